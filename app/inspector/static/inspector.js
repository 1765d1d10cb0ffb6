"use strict";

// Keeps the page fresh: asks every 5 s for the parts that change, and puts them in place.
// Without it the page says so, and works all the same.

const EVERY = 5000;
const ANNOUNCE_EVERY = 30000;

const live = document.getElementById("live");
const state = document.getElementById("live-state");
const pause = document.getElementById("pause");
const announcer = document.getElementById("announce");

let timer = 0;
let paused = false;
let unsaid = 0;
let saidAt = 0;

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

function newestId() {
  const row = document.querySelector("[data-id]");
  return row ? Number(row.dataset.id) : 0;
}

// What has the focus, and what is unfolded, is found again by its id.
function replacePart(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const unfolded = [...old.querySelectorAll("details[open]")].map((one) => one.id);
  const regions = [...old.querySelectorAll(".scroll")].map((one) => one.scrollTop);
  old.replaceChildren(...fresh.childNodes);
  for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  old.querySelectorAll(".scroll").forEach((one, place) => { one.scrollTop = regions[place] ?? 0; });
  if (!focused) return;
  const again = focused.id
    ? document.getElementById(focused.id)
    : [...old.querySelectorAll("a, summary, [tabindex]")].find(
        (one) => one.tagName === focused.tagName && one.textContent === focused.textContent);
  again?.focus({ preventScroll: true });
}

function announce(count) {
  unsaid += count;
  if (unsaid && Date.now() - saidAt > ANNOUNCE_EVERY) {
    announcer.textContent = unsaid === 1 ? "1 new event" : `${unsaid} new events`;
    unsaid = 0;
    saidAt = Date.now();
  }
}

function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const before = newestId();
  for (const name of ["overview", "rows"]) replacePart(part(live, name), part(fresh, name));
  localise();
  const rows = [...document.querySelectorAll("[data-id]")];
  announce(rows.filter((row) => Number(row.dataset.id) > before).length);
}

function localise() {
  for (const time of document.querySelectorAll("time")) {
    time.title = `${time.dateTime} – here ${new Date(time.dateTime).toLocaleString()}`;
  }
}

async function refresh() {
  const answer = await fetch(live.dataset.live, {
    redirect: "manual", headers: { "X-Requested-With": "fetch" },
  });
  if (answer.type === "opaqueredirect" || answer.status === 401) {
    location.assign(live.dataset.login);
  } else if (answer.status === 204) {
    if (!("firstRun" in live.dataset)) location.reload(); // all that was shown is gone
    else say("Nothing has come yet. It will appear here by itself.");
  } else if (answer.headers.has("Retry-After")) {
    say("The bridge is busy with another search. Trying again…");
  } else if (!answer.ok) {
    throw new Error("not shown");
  } else if ("firstRun" in live.dataset) {
    location.reload();
  } else {
    show(await answer.text());
    say("Live: refreshed every 5 seconds.");
  }
}

async function tick() {
  timer = 0;
  try {
    await refresh();
  } catch {
    say("The bridge does not answer. Trying again…");
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  timer = paused || document.hidden ? 0 : setTimeout(tick, EVERY);
}

function begin() {
  say("firstRun" in live.dataset
    ? "Nothing has come yet. It will appear here by itself."
    : "Live: refreshed every 5 seconds.");
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || paused) schedule();
    else if (!timer) tick();
  });
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      say(paused ? "Paused." : "Live: refreshed every 5 seconds.");
      if (paused) schedule();
      else tick();
    });
  }
  schedule();
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

localise();
if (live) begin();
