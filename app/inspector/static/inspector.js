"use strict";

// Refreshes the page: every 5 s it fetches the parts that change, and replaces them.
// The page also works without this script.

const REFRESH_EVERY = 5000; // ms
const ANNOUNCE_EVERY = 30000; // ms: more often would interrupt a screen reader

const live = document.getElementById("live");
const statusLine = document.getElementById("live-state");
const pause = document.getElementById("pause");
const announcer = document.getElementById("announce");

let timer = 0;
let paused = false;
let unannounced = 0;
let announcedAt = 0;

function showStatus(text) {
  if (statusLine.textContent !== text) statusLine.textContent = text;
}

function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

function newestId() {
  const row = document.querySelector("[data-id]");
  return row ? Number(row.dataset.id) : 0;
}

// Keeps the focus, the open details and the scroll positions, by id or by position.
function replacePart(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const openIds = [...old.querySelectorAll("details[open]")].map((element) => element.id);
  const scrollTops = [...old.querySelectorAll(".scroll")].map((element) => element.scrollTop);
  old.replaceChildren(...fresh.childNodes);
  for (const id of openIds) document.getElementById(id)?.setAttribute("open", "");
  old.querySelectorAll(".scroll").forEach((element, index) => {
    element.scrollTop = scrollTops[index] ?? 0;
  });
  if (!focused) return;
  const target = focused.id
    ? document.getElementById(focused.id)
    : [...old.querySelectorAll("a, summary, [tabindex]")].find(
        (element) =>
          element.tagName === focused.tagName && element.textContent === focused.textContent);
  target?.focus({ preventScroll: true });
}

function announce(count) {
  unannounced += count;
  if (unannounced && Date.now() - announcedAt > ANNOUNCE_EVERY) {
    announcer.textContent = unannounced === 1 ? "1 new event" : `${unannounced} new events`;
    unannounced = 0;
    announcedAt = Date.now();
  }
}

function render(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const before = newestId();
  for (const name of ["overview", "rows"]) replacePart(part(live, name), part(fresh, name));
  showLocalTimes();
  const rows = [...document.querySelectorAll("[data-id]")];
  announce(rows.filter((row) => Number(row.dataset.id) > before).length);
}

function showLocalTimes() {
  for (const time of document.querySelectorAll("time")) {
    time.title = `${time.dateTime} – here ${new Date(time.dateTime).toLocaleString()}`;
  }
}

async function refresh() {
  const response = await fetch(live.dataset.live, {
    redirect: "manual", headers: { "X-Requested-With": "fetch" },
  });
  if (response.type === "opaqueredirect" || response.status === 401) {
    location.assign(live.dataset.login);
  } else if (response.status === 204) {
    if (!("firstRun" in live.dataset)) location.reload(); // no event is kept any more
    else showStatus("Nothing has come yet. It will appear here by itself.");
  } else if (response.headers.has("Retry-After")) {
    showStatus("The bridge is busy with another search. Trying again…");
  } else if (!response.ok) {
    throw new Error("not shown");
  } else if ("firstRun" in live.dataset) {
    location.reload();
  } else {
    render(await response.text());
    showStatus("Live: refreshed every 5 seconds.");
  }
}

async function tick() {
  timer = 0;
  try {
    await refresh();
  } catch {
    showStatus("The bridge does not answer. Trying again…");
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  timer = paused || document.hidden ? 0 : setTimeout(tick, REFRESH_EVERY);
}

function start() {
  showStatus("firstRun" in live.dataset
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
      showStatus(paused ? "Paused." : "Live: refreshed every 5 seconds.");
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

showLocalTimes();
if (live) start();
