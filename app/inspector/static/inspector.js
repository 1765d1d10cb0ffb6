"use strict";

// Refreshes the page: every 5 s it fetches the parts that change, and replaces them.
// The page also works without this script.

const REFRESH_EVERY = 5000; // ms
const ANNOUNCE_EVERY = 30000; // ms: more often would interrupt a screen reader

const live = document.getElementById("live");
const down = document.getElementById("down");
const statusLine = document.getElementById("live-state");
const pause = document.getElementById("pause");
const announcer = document.getElementById("announce");

const WAITING = "Nothing has come yet. This page shows it when the first event comes.";

let timer = 0;
let paused = false;
let unannounced = 0;
let announcedAt = 0;
let shownAt = new Date();

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
  for (const old of live.querySelectorAll("[data-part]")) {
    const next = part(fresh, old.dataset.part);
    if (!next) continue;
    replacePart(old, next);
    showAttention(next.dataset.attention);
  }
  showLocalTimes();
  const rows = [...document.querySelectorAll("[data-id]")];
  announce(rows.filter((row) => Number(row.dataset.id) > before).length);
}

// In the title and the icon, so that a tab in the background shows it too.
function showAttention(count) {
  if (count === undefined) return;
  const icon = document.getElementById("icon");
  const calm = document.title.replace(/^▲\d+ /, "");
  document.title = Number(count) ? `▲${count} ${calm}` : calm;
  icon.href = Number(count) ? icon.dataset.attention : icon.dataset.calm;
}

function showLocalTimes() {
  for (const time of document.querySelectorAll("time")) {
    time.title = `${time.dateTime} – here ${new Date(time.dateTime).toLocaleString()}`;
  }
}

// Says that the figures are old, and greys them. Without a fault it takes that back.
function showDown(fault) {
  live.classList.toggle("stale", fault !== "");
  down.hidden = fault === "";
  const time = shownAt.toISOString().slice(11, 19);
  const text = `${fault} What is shown here is from ${time} UTC. Trying again…`;
  if (fault && down.textContent !== text) down.textContent = text;
}

async function fetchLive() {
  try {
    return await fetch(live.dataset.live, {
      redirect: "manual", headers: { "X-Requested-With": "fetch" },
    });
  } catch {
    throw new Error("The bridge does not answer.");
  }
}

async function refresh() {
  const response = await fetchLive();
  if (response.type === "opaqueredirect" || response.status === 401) {
    location.assign(live.dataset.login);
  } else if (response.status === 204) {
    if (!("firstRun" in live.dataset)) location.reload(); // no event is kept any more
    else showStatus(WAITING);
  } else if (response.headers.has("Retry-After")) {
    showStatus("The bridge is busy. Trying again…");
  } else if (!response.ok) {
    throw new Error(`The bridge cannot show its state (HTTP ${response.status}).`);
  } else if ("firstRun" in live.dataset) {
    location.reload();
  } else {
    render(await response.text());
    showStatus("Live, every 5 s.");
  }
}

async function tick() {
  timer = 0;
  try {
    await refresh();
    shownAt = new Date();
    showDown("");
  } catch (error) {
    showStatus("Not refreshed.");
    showDown(error.message);
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  timer = paused || document.hidden ? 0 : setTimeout(tick, REFRESH_EVERY);
}

function start() {
  showStatus("firstRun" in live.dataset
    ? WAITING
    : "Live, every 5 s.");
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || paused) schedule();
    else if (!timer) tick();
  });
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      showStatus(paused ? "Paused." : "Live, every 5 s.");
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
