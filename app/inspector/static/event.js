"use strict";

// Keeps the page of one event current: once a second it fetches the parts that change, until the
// event is settled. The page also works without this script.

{
  const POLL_EVERY = 1000; // ms

  const event = document.getElementById("event");
  const notice = document.getElementById("event-state");
  const findPart = (root, name) => root.querySelector(`[data-part="${name}"]`);

  let timer = 0;
  let etag = "";

  // Replaces a part unless it is the same, so that the focus and what is unfolded in it stay.
  const replacePart = (fresh) => {
    const old = findPart(event, fresh.dataset.part);
    if (!old || old.innerHTML === fresh.innerHTML) return;
    const open = [...old.querySelectorAll("details")].map((element) => element.open);
    old.toggleAttribute("data-settled", fresh.hasAttribute("data-settled"));
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll("details").forEach((element, index) => {
      element.open = open[index] ?? false;
    });
  };

  const show = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    fresh.querySelectorAll("[data-part]").forEach(replacePart);
  };

  const poll = async () => {
    const response = await fetch(event.dataset.now, {
      redirect: "manual", cache: "no-store", headers: etag ? { "If-None-Match": etag } : {},
    });
    if (response.type === "opaqueredirect") location.assign(event.dataset.login);
    else if (response.status === 404) location.reload();
    else if (response.ok) {
      etag = response.headers.get("ETag");
      show(await response.text());
    } else if (response.status !== 304) throw new Error("not shown");
  };

  const isSettled = () => findPart(event, "status").hasAttribute("data-settled");

  const tick = async () => {
    timer = 0;
    try {
      await poll();
      notice.hidden = true;
    } catch {
      notice.textContent = "The bridge does not answer: what you see may be out of date. Trying again…";
      notice.hidden = false;
    }
    schedule();
  };

  const schedule = () => {
    const refresh = document.getElementById("refresh");
    if (refresh) refresh.hidden = true;
    clearTimeout(timer);
    timer = isSettled() || document.hidden ? 0 : setTimeout(tick, POLL_EVERY);
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) schedule();
    else if (!timer && !isSettled()) tick();
  });
  schedule();
}
