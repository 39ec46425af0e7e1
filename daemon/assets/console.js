// What the console does by itself: it shows a page anew when the desk says that something changed, lets times go on, draws plots,
// and says when it no longer hears from the desk. Without it every page works and is as it was when it was loaded.
"use strict";

const live = document.getElementById("live");
const stale = document.getElementById("stale");
const follows = () => (live?.dataset.follows ?? "").split(" ").filter(Boolean);

// Times.

const span = (seconds) => {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(seconds / 86400)} d`;
};
// The desk's clock, not the browser's: they are told apart by what a page said when it came.
let ahead = 0;
const setClock = (at) => { if (at) ahead = Date.parse(at) - Date.now(); };
const ago = (at) => {
  const seconds = Math.floor((Date.now() + ahead - Date.parse(at)) / 1000);
  if (seconds < -1) return `in ${span(-seconds)}`;
  return seconds < 1 ? "now" : `${span(seconds)} ago`;
};
const tick = () => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = ago(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
};

// The page as it is now.

let lostSince = null;
const lost = (why) => {
  // By the desk's clock, and in UTC as everything else here.
  lostSince ??= new Date(Date.now() + ahead).toISOString().slice(11, 19);
  stale.textContent = `${why} What is shown is from ${lostSince} UTC or before; it is tried again and again.`;
  stale.hidden = false;
};
const found = () => {
  lostSince = null;
  stale.hidden = true;
};

// Whoever is logged out sees no more of the desk, wherever that was done: nothing of it stays in the page either.
let isOut = false;
const putAway = () => {
  live.hidden = true;
  live.replaceChildren();
  plots.clear();
};
const loggedOut = () => {
  isOut = true;
  stream?.close();
  const way = document.createElement("a");
  way.href = `/console/login?ended=1&next=${encodeURIComponent(location.pathname + location.search)}`;
  way.textContent = "Log in again";
  stale.replaceChildren("You are logged out: your session has ended, and what was shown here is put away. ", way, ".");
  stale.hidden = false;
  document.title = "Logged out · Millrace";
  putAway();
};

const show = async (text) => {
  await htmx.swap({ sourceElement: document.body, target: live, text, select: "#live", swap: "outerMorph" });
  if (isOut) { putAway(); return; }
  setClock(document.querySelector(".as_of time")?.dateTime);
  tick();
  draw();
};

let stream = null;
let fetching = false;
let wanted = false;
// The next try after one in vain.
let trying;
// Whoever has sent a form is on his way to another page: this one and its forms stay as they were until then.
let leaving = false;
// What follows nothing is not shown anew: of that it is asked only whether the desk still lets one in, at a page that costs little.
const DOOR = "/console/settings";
const refresh = async () => {
  if (leaving || isOut) return;
  if (document.hidden || fetching) { wanted = true; return; }
  fetching = true;
  wanted = false;
  const address = location.href;
  const moves = follows().length > 0;
  try {
    const answer = await fetch(moves ? address : DOOR, {
      headers: { "HX-Request": "true", "X-Refresh": "1" }, signal: AbortSignal.timeout(10000),
    });
    if (answer.status === 401) { loggedOut(); return; }
    const text = await answer.text();
    // The desk's own pages have this, those too that say what went wrong; what stands between may answer by pages of its own.
    if (!text.includes('<div id="live"')) throw new Error("not of the desk");
    // Whoever went on meanwhile is shown what he went to.
    if (moves && address === location.href && !leaving && !isOut) await show(text);
    if (!isOut) found();
  } catch {
    if (!isOut) lost("The desk does not answer.");
    clearTimeout(trying);
    trying = setTimeout(refresh, 5000);
  } finally {
    fetching = false;
    if (wanted) setTimeout(refresh, 250);
  }
};
// A hidden page hears nothing, so that many of them leave room for the one that is looked at; shown, it looks at once. And now and
// then without being told to: a connection that is half dead tells nobody. A page that follows nothing listens all the same: it has
// to know when one is logged out.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { stream?.close(); stream = null; return; }
  refresh();
  follow();
});

let retry = 500;
const follow = () => {
  if (document.hidden || stream || isOut) return;
  const opened = new EventSource("/console/live");
  stream = opened;
  opened.addEventListener("open", () => { retry = 500; if (lostSince) refresh(); });
  opened.addEventListener("changed", (event) => {
    const topics = event.data.split(" ");
    if (follows().some((topic) => topics.includes(topic))) refresh();
  });
  opened.addEventListener("ended", loggedOut);
  opened.addEventListener("error", () => {
    if (isOut) return;
    lost("The desk is not heard.");
    if (opened.readyState !== EventSource.CLOSED) return;
    // An answer that is an error, such as a starting desk's, ends a stream for good.
    if (stream === opened) stream = null;
    setTimeout(() => { refresh(); follow(); }, retry);
    retry = Math.min(retry * 2, 5000);
  });
};

// Plots: <div data-plot="/console/…" data-unit="…"> shows the series that the address answers.

const plots = new Map();
// A canvas takes no variables of the stylesheet: an element does, and says what comes of them.
const colour = (place, name) => {
  place.style.color = `var(${name})`;
  const { color } = getComputedStyle(place);
  place.style.color = "";
  return color;
};
// Axes say the time as every page does: UTC, to the minute, with the day where one begins.
const instant = (seconds) => {
  const [day, time] = new Date(seconds * 1000).toISOString().split(/[T.]/);
  return time.startsWith("00:00") ? day.slice(5) : time.slice(0, 5);
};
const plot = async (place) => {
  const answer = await fetch(place.dataset.plot, { headers: { "X-Refresh": "1" }, signal: AbortSignal.timeout(10000) });
  if (!answer.ok) return;
  const { at, series } = await answer.json();
  const data = [at, ...series.map((one) => one.values)];
  const known = plots.get(place);
  if (known) { known.setData(data); return; }
  const line = { stroke: colour(place, "--line"), width: 1 };
  const axis = { stroke: colour(place, "--ink-soft"), grid: line, ticks: line };
  const strokes = ["--plot-1", "--plot-2", "--plot-3"].map((name) => colour(place, name));
  const dashes = [[], [6, 4], [2, 3]];
  const shown = new uPlot({
    width: place.clientWidth, height: 180,
    axes: [{ ...axis, values: (_, splits) => splits.map(instant) }, { ...axis, size: 60 }],
    scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, 1)] } },
    series: [{ label: "UTC", value: (_, at) => (at == null ? "–" : instant(at)) }, ...series.map((one, index) => ({
      label: one.label, stroke: strokes[index % 3], dash: dashes[index % 3], width: 2, spanGaps: true,
      // Without neighbours a point is no line.
      points: { show: one.values.includes(null), size: 5 },
      value: (_, value) => (value == null ? "–" : `${value} ${place.dataset.unit}`),
    }))],
  }, data, place);
  plots.set(place, shown);
  new ResizeObserver(() => plots.get(place)?.setSize({ width: place.clientWidth, height: 180 })).observe(place);
};
// A drawn canvas keeps its colours: by others it is drawn anew.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const shown of plots.values()) shown.destroy();
  plots.clear();
  drawn = -DRAWN_EVERY_MS;
  draw();
});
const DRAWN_EVERY_MS = 2000;
let drawn = -DRAWN_EVERY_MS;
let drawing;
// No more often than that; what comes between is made up for.
const draw = () => {
  for (const place of plots.keys()) if (!place.isConnected) plots.delete(place);
  const places = document.querySelectorAll("[data-plot]");
  if (places.length === 0) return;
  clearTimeout(drawing);
  const wait = drawn + DRAWN_EVERY_MS - performance.now();
  if (wait > 0) { drawing = setTimeout(draw, wait); return; }
  drawn = performance.now();
  for (const place of places) plot(place).catch(() => {});
};

// What one does.

const LEFT_WITHIN_MS = 15000;
const buttons = (form) => form.querySelectorAll("button");
// The ids of the forms that were sent. A page's newer self has new ones: a form that is sent again stays the one that it was, so that
// the desk, which may be at it, knows it again.
const sent = new Map();
const nameOf = (form) => `${form.closest("[id]")?.id} ${form.getAttribute("action")}`;
const keepIds = () => {
  for (const form of document.querySelectorAll("form[method=post]")) {
    const id = sent.get(nameOf(form));
    if (id) form.elements.form_id.value = id;
  }
};
let staying;
// No page came, or whoever waited for it gave it up: this one goes on.
const stay = () => {
  clearTimeout(staying);
  leaving = false;
  for (const form of document.querySelectorAll("form[method=post]")) {
    if (sent.has(nameOf(form))) for (const button of buttons(form)) button.disabled = false;
  }
};
document.addEventListener("submit", (event) => {
  // A second click has nothing to click on; the desk would know it for the first, too.
  const form = event.target;
  if (form.method !== "post") return;
  leaving = true;
  sent.set(nameOf(form), form.elements.form_id?.value);
  setTimeout(() => { for (const button of buttons(form)) button.disabled = true; });
  clearTimeout(staying);
  staying = setTimeout(() => { stay(); refresh(); }, LEFT_WITHIN_MS);
});
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  stay();
  location.reload();
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  button.dataset.label ??= button.textContent;
  const say = (text) => {
    button.textContent = text;
    setTimeout(() => { button.textContent = button.dataset.label; }, 3000);
  };
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    say("Copied");
  } catch {
    // Without TLS browsers have no clipboard for pages. What would be copied stands beside the button.
    const text = [...button.parentElement.children].find((one) => one.textContent === button.dataset.copy);
    if (!text) return;
    getSelection().selectAllChildren(text);
    say("Selected, copy it by the keyboard");
  }
});
// Keys, which the dialog #keys lists. Whatever has the focus of a row opens by itself at Enter.
const move = (by) => {
  const rows = [...document.querySelectorAll("main tbody tr")];
  const ways = rows.map((row) => row.querySelector("th a, th summary, td a")).filter(Boolean);
  const at = ways.findIndex((way) => way.closest("tr").contains(document.activeElement));
  const next = at < 0 && by < 0 ? ways.length - 1 : Math.max(0, Math.min(at + by, ways.length - 1));
  ways[next]?.focus();
};
const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  "[": () => document.querySelector("[rel=prev]")?.click(),
  "]": () => document.querySelector("[rel=next]")?.click(),
  "/": () => document.querySelector("input[type=search]")?.focus(),
  "?": () => document.getElementById("keys")?.showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});
document.addEventListener("htmx:after:swap", () => {
  if (isOut) { putAway(); return; }
  keepIds();
  tick();
  draw();
});

// A form that was opened and written in, and that the page as it is now offers no more: it does not go without a word.

const undone = document.getElementById("undone");
const isWritten = (act) => {
  const fields = act.querySelectorAll("input:not([type=hidden]), textarea");
  return [...fields].some((field) => field.value !== field.defaultValue);
};
let begun = [];
document.addEventListener("htmx:before:swap", () => {
  begun = [...document.querySelectorAll("details.act[open]")].filter(isWritten).map((act) => act.id);
});
document.addEventListener("htmx:after:swap", () => {
  if (begun.every((id) => document.getElementById(id))) return;
  undone.hidden = false;
  undone.textContent = "What you were about to do can no longer be done: the page is another now. Nothing was done.";
});
// Whoever opens another form has seen it.
document.addEventListener("toggle", (event) => {
  if (!event.target.matches("details.act[open]")) return;
  undone.hidden = true;
  // In a table that is wider than the screen it opens beyond the edge.
  event.target.scrollIntoView({ block: "nearest", inline: "nearest" });
}, true);

if (live) {
  setClock(document.querySelector(".as_of time")?.dateTime);
  tick();
  setInterval(tick, 1000);
  setInterval(refresh, 60000);
  draw();
  follow();
}
