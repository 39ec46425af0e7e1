// The two things the page does by itself: show what changed, and quote while one types.
"use strict";

for (const place of document.querySelectorAll("[data-live]")) {
  const refresh = async () => {
    const answer = await fetch(place.dataset.part);
    if (answer.ok) place.innerHTML = await answer.text();
  };
  // The first event of a stream shows everything anew. The browser comes back by itself when the stream ends, but not
  // after an answer that is an error, such as a starting desk's.
  const follow = () => {
    const stream = new EventSource(place.dataset.live);
    stream.addEventListener("customer", () => refresh().catch(() => {}));
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
    });
  };
  follow();
}

for (const form of document.querySelectorAll("[data-quote]")) {
  const result = form.querySelector("[data-quote-result]");
  let pending;
  const quote = async (amount) => {
    const answer = await fetch("/api/v1/quote?amount=" + encodeURIComponent(amount));
    const body = await answer.json();
    if (form.elements.amount.value.trim() !== amount) return;
    result.textContent = answer.ok ? `about ${body.payout} SKY (${body.rate} SKY for one BTC)` : body.message;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    clearTimeout(pending);
    const amount = form.elements.amount.value.trim();
    result.textContent = "";
    if (amount) pending = setTimeout(() => quote(amount).catch(() => { result.textContent = ""; }), 250);
  });
}
