// What the page does by itself: shows what changed, quotes and looks at an address while one types, copies, and says when it is old.
// Every sentence is the server's.
"use strict";

const CONNECT_AGAIN_MS = 3000;
const LOOK_ANYWAY_MS = 60_000;
const ANSWER_WITHIN_MS = 10_000;

const fetched = async (url) => {
  const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  if (!answer.ok) throw new Error(answer.status);
  return answer.text();
};

// Makes `place` hold what `html` says and touches nothing that is the same, so that focus, selection and what is announced stay.
const become = (place, html) => {
  const wanted = document.createElement("template");
  wanted.innerHTML = html;
  children(place, wanted.content);
};
const children = (old, wanted) => {
  const kept = [...old.childNodes];
  const count = wanted.childNodes.length;
  for (const [index, node] of [...wanted.childNodes].entries()) {
    const there = kept[index];
    if (!there) old.append(node);
    else if (there.isEqualNode(node)) continue;
    else if (there.nodeType === 1 && there.nodeName === node.nodeName && there.id === node.id) element(there, node);
    else there.replaceWith(node);
  }
  for (const left of kept.slice(count)) left.remove();
};
const element = (old, wanted) => {
  if (old.hasAttribute("data-own")) return;
  for (const { name } of [...old.attributes]) if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  children(old, wanted);
};

// Times stay true while the page stands. Days do not change that fast.
const tell = () => {
  const { justNow, minutesAgo, hoursAgo } = document.body.dataset;
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / 60_000);
    if (minutes >= 24 * 60) continue;
    const text = minutes < 1 ? justNow
      : minutes < 60 ? minutesAgo.replace("{}", minutes)
      : hoursAgo.replace("{}", Math.floor(minutes / 60));
    if (time.textContent !== text) time.textContent = text;
  }
};
setInterval(tell, 10_000);

for (const place of document.querySelectorAll("[data-live]")) {
  const stale = document.querySelector("[data-stale]");
  const since = stale.querySelector("[data-since]");
  let news = Date.now();
  let stream;
  const heard = () => { news = Date.now(); stale.hidden = true; };
  const lost = () => { stale.hidden = false; count(); };
  const count = () => { since.textContent = since.dataset.since.replace("{}", Math.round((Date.now() - news) / 1000)); };
  let turn = 0;
  const refresh = async () => {
    const mine = ++turn;
    try {
      const text = await fetched(place.dataset.part);
      // One that was overtaken is older than what is shown.
      if (mine < turn) return;
      become(place, text);
      tell();
      heard();
    } catch { lost(); }
  };
  // The first event of a stream shows everything anew. The browser comes back by itself when the stream ends, but not after
  // an answer that is an error, such as a starting desk's.
  const follow = () => {
    stream?.close();
    stream = new EventSource(place.dataset.live);
    stream.addEventListener("customer", refresh);
    stream.addEventListener("error", () => {
      lost();
      if (stream.readyState === EventSource.CLOSED) setTimeout(follow, CONNECT_AGAIN_MS);
    });
  };
  follow();
  addEventListener("offline", lost);
  addEventListener("online", follow);
  // A stream can be dead without anybody's noticing.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  setInterval(refresh, LOOK_ANYWAY_MS);
  setInterval(() => { if (!stale.hidden) count(); }, 1000);
}

// Calls with what is asked, once one stopped typing; an answer that was overtaken is not shown, and where there is none, neither is
// the one before. `cancel` takes back what was asked and is not answered yet.
const typed = (pause_ms, ask, forget) => {
  let pending, turn = 0;
  const cancel = () => { clearTimeout(pending); turn += 1; };
  const call = (...asked) => {
    cancel();
    const mine = turn;
    const failed = () => { if (mine === turn) forget(); };
    pending = setTimeout(() => ask(() => mine === turn, ...asked).catch(failed), pause_ms);
  };
  return Object.assign(call, { cancel });
};

for (const form of document.querySelectorAll("[data-quote]")) {
  const { amount, payout } = form.elements;
  const result = document.querySelector("[data-quote-result]");
  const quoted = (text) => {
    become(result, text);
    const meant = document.querySelector("[data-check] input[name=amount]");
    if (meant) meant.value = result.querySelector("[data-amount]")?.dataset.amount ?? "";
  };
  const quote = typed(250, async (isLast) => {
    const side = payout.value.trim() ? payout : amount;
    const text = await fetched(`${form.dataset.quote}&${side.name}=${encodeURIComponent(side.value.trim())}`);
    if (isLast()) quoted(text);
  }, () => quoted(""));
  form.addEventListener("input", (event) => {
    (event.target === amount ? payout : amount).value = "";
    quote();
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); quote(); });
}

for (const form of document.querySelectorAll("[data-check]")) {
  const { target } = form.elements;
  const said = document.getElementById("target-said");
  const show = (html) => {
    become(said, html);
    if (said.querySelector("[data-valid=false]")) target.setAttribute("aria-invalid", "true");
    else target.removeAttribute("aria-invalid");
  };
  const check = typed(300, async (isLast) => {
    const text = target.value.trim();
    const html = text && await fetched(`${form.dataset.check}&target=${encodeURIComponent(text)}`);
    if (isLast()) show(html);
  }, () => show(""));
  // Nobody is told that his address is too short while he types it.
  target.addEventListener("input", () => {
    if (target.value.trim().length >= 26) { check(); return; }
    check.cancel();
    show("");
  });
  target.addEventListener("change", check);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const said = document.getElementById("copied");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    said.textContent = button.dataset.copied;
    setTimeout(() => { said.textContent = ""; }, 4000);
  } catch {
    getSelection().selectAllChildren(document.getElementById("deposit-address"));
  }
});
