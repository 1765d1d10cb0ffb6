// Drip's tag as a plugin of analytics.js (@segment/analytics-next). The bridge serves this file as
// /plugins/drip.js, with its own settings at the end. How to use it: docs/destination.md.
;(function () {
  'use strict'
  const NAMES = ['Drip', 'Drip (Actions)']
  const LONGEST = 2000 // characters. The tag writes a call into a URL.
  // What the tag takes for something else than the bridge does, and what is to be sent once only.
  const NOT_OF_PEOPLE =
    /^(success|failure|userid|newemail|removetags|euconsent.*|(initial)?status.*|sms.*|customfields|drip.*)$/
  const NOT_OF_EVENTS = /^(success|failure|email|value|occurredat|tags)$/
  const lettersOf = (name) => name.replace(/[\W_]+/g, '').toLowerCase()
  const isBlank = (value) => value === undefined || value === null || value === ''

  function isAllowed({ integrations, context }, categories) {
    const chosen = integrations || {}
    if (NAMES.some((name) => chosen[name] === false)) return false
    if (chosen.All === false && !NAMES.some((name) => chosen[name])) return false
    const given = ((context || {}).consent || {}).categoryPreferences || {}
    return categories.every((category) => given[category] === true)
  }

  // What the tag can take of these values, and whether that is all of them.
  function fieldsOf(values, reserved) {
    const fields = {}
    let isWhole = true
    for (const [name, value] of Object.entries(values || {})) {
      if (isBlank(value)) continue
      const key = name.trim().replace(/\s/g, '_')
      const isSimple = key === 'tags' ? Array.isArray(value) : typeof value !== 'object'
      if (isSimple && !(key in fields) && !reserved.test(lettersOf(name))) fields[key] = value
      else isWhole = false
    }
    return { fields, isWhole: isWhole && JSON.stringify(fields).length <= LONGEST }
  }

  // The fields of an event, with its revenue in cents. Nothing if the bridge has to send it.
  function propertiesOf({ event, properties, timestamp }) {
    const { fields, isWhole } = fieldsOf(properties, NOT_OF_EVENTS)
    const { revenue, ...rest } = fields
    const isPaid = revenue === undefined && /^(order completed|completed order)$/i.test(event)
    const amount = isPaid ? fields.total : revenue
    if (amount !== undefined) rest.value = typeof amount === 'number' ? Math.round((amount * 100).toFixed(4)) : -1
    const isClear = amount === undefined || (rest.value >= 0 && rest.value < 2147483647)
    const isNow = Date.now() - new Date(timestamp) < 60000 // when Drip gets it, is its time for Drip
    return isWhole && isClear && isNow && event.length <= 255 ? rest : null
  }

  function campaignOf({ integrations }, otherwise) {
    const chosen = NAMES.map((name) => Object.entries(Object((integrations || {})[name])))
    const named = [].concat(...chosen).find(([key, id]) => lettersOf(key) === 'campaignid' && !isBlank(id))
    return String((named && named[1]) || otherwise || '')
  }

  // What the browser remembers, unless its storage is blocked.
  function stored(key, value) {
    try {
      return value ? localStorage.setItem(key, value) : localStorage.getItem(key)
    } catch (error) {}
  }

  window.dripPlugin = function (options) {
    const settings = Object.assign({ wait: 2000, consent: [] }, window.dripPlugin.defaults, options)
    const account = String(settings.account || '')
    const allows = (event) => isAllowed(event, settings.consent)
    let analytics, loading, identified
    let isAnswering = true

    // Load the tag, once. Resolves to whether it is there.
    const tag = () => (loading = loading || new Promise((resolve) => {
      window._dcq = window._dcq || []
      window._dcs = Object.assign(window._dcs || {}, { account })
      if (window._dcq.push !== Array.prototype.push) return resolve(true) // the page has loaded it
      const script = document.createElement('script')
      script.src = settings.url || `https://tag.getdrip.com/${account}.js`
      script.onload = () => resolve((isAnswering = true))
      script.onerror = () => resolve(false)
      document.head.appendChild(script)
    }))

    // Give the tag a call. Resolves to whether Drip says that it has it, and knows whose it is.
    const give = (call) => new Promise((resolve) => {
      const success = (answer) => {
        isAnswering = true
        resolve(!answer || (answer.success !== false && !(identified && answer.anonymous)))
      }
      Object.assign(call[call.length - 1], { success, failure: () => resolve(false) })
      window._dcq.push(call)
    })

    // Give the tag calls, one after the other. Resolves to whether Drip has them all; to false if that
    // is not known when the wait is over or the page is left. The bridge sends them then.
    const areTaken = (calls) => new Promise((resolve) => {
      const waiting = new AbortController()
      const end = (answer) => {
        if (!waiting.signal.aborted && typeof answer !== 'boolean') isAnswering = false
        waiting.abort()
        resolve(answer === true)
      }
      setTimeout(end, isAnswering ? settings.wait : 0)
      for (const name of ['beforeunload', 'pagehide']) addEventListener(name, end, { signal: waiting.signal })
      tag().then(async (isThere) => {
        for (const call of isThere ? calls : []) {
          const isLate = waiting.signal.aborted || !isAnswering // a person may come twice, an event may not
          if ((isLate && call[0] !== 'identify') || !(await give(call))) return false
        }
        return isThere
      }).then(end, end)
    })

    async function identify(ctx) {
      const { fields, isWhole } = fieldsOf(ctx.event.traits, NOT_OF_PEOPLE)
      if (!fields.email || !allows(ctx.event)) return ctx
      const email = (identified = fields.email)
      if (ctx.event.userId) fields.user_id = ctx.event.userId
      const calls = [['identify', fields]]
      const campaign_id = campaignOf(ctx.event, settings.campaignId)
      const joined = `drip:${account}:${campaign_id}`
      const joining = { campaign_id, fields: { ...fields } }
      if (typeof settings.doubleOptin === 'boolean') joining.double_optin = settings.doubleOptin
      if (isWhole && campaign_id && stored(joined) !== email) calls.push(['subscribe', joining])
      if (!(await areTaken(calls)) || !isWhole) return ctx
      if (campaign_id) stored(joined, email)
      ctx.updateEvent('context.drip_device', account)
      return ctx
    }

    async function track(ctx) {
      if (!allows(ctx.event)) return ctx
      const known = (analytics.user().traits() || {}).email
      const named = ((ctx.event.context || {}).traits || {}).email
      if (known && !named) ctx.updateEvent('context.traits.email', known)
      const fields = propertiesOf(ctx.event)
      const isOrder = settings.orders && /order|cart|checkout|product/i.test(ctx.event.event)
      if (!fields || isOrder || (named && named !== known) || ctx.attempts > 1) return ctx
      const calls = [['track', ctx.event.event.trim(), fields]]
      if (known && known !== identified) calls.unshift(['identify', { email: (identified = known) }])
      if (await areTaken(calls)) ctx.updateEvent('context.drip_device', account)
      return ctx
    }

    const page = async (ctx) => (allows(ctx.event) ? tag() && ctx : ctx)
    const load = async (_, instance) => {
      if (!account) throw new Error('drip.js: which account of Drip?')
      analytics = instance
      await page({ event: { integrations: instance.integrations } })
    }
    return { name: 'Drip (tag)', version: '1.0.0', type: 'enrichment', isLoaded: () => true, load, page, identify, track }
  }
})()
