// Keeps the page current: asks every 5 s while it is looked at, marks new payments, lets ages tick.
// The server's answer is the same part of the page that it rendered first; 304 means nothing changed.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  const lost = document.getElementById("lost");
  if (!live || !window.htmx) return;

  const EVERY = 5_000; // ms
  const NEW_FOR = 60_000; // ms that a new payment stays marked
  let etag = live.dataset.etag;
  let skew = Date.parse(live.dataset.now) - Date.now(); // ms that the server's clock is ahead of ours
  let asked = Date.now();
  const seen = new Map(); // row id -> when it was first seen; 0: before we looked

  const rows = () => live.querySelectorAll("tr[data-payment]");

  function ago(then) {
    const s = Math.max(0, Math.floor((Date.now() + skew - then) / 1000));
    if (s < 60) return `${s} s ago`;
    if (s < 3600) return `${Math.floor(s / 60)} min ago`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
    const on = new Date(then);
    const month = on.toLocaleString("en", { month: "short", timeZone: "UTC" });
    return `on ${on.getUTCDate()} ${month} ${on.getUTCFullYear()}`;
  }

  function tick() {
    for (const time of live.querySelectorAll("time[data-age]")) {
      const words = ago(Date.parse(time.dateTime));
      if (time.textContent !== words) time.textContent = words;
    }
    for (const row of rows()) {
      row.classList.toggle("new", Date.now() - (seen.get(row.id) ?? 0) < NEW_FOR);
    }
  }

  function addLocalTimes() {
    for (const time of live.querySelectorAll("time[title$=UTC]")) {
      const local = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
      time.title = `${time.title}\n${local}, your time`;
    }
  }

  function settle(first) {
    const fresh = [...rows()].filter((row) => !seen.has(row.id));
    for (const row of fresh) seen.set(row.id, first ? 0 : Date.now());
    if (fresh.length && !first) {
      said.textContent = `${fresh.length === 1 ? "1 new payment" : `${fresh.length} new payments`}. ${document.title}`;
    }
    addLocalTimes();
    tick();
  }

  function ask() {
    asked = Date.now();
    htmx.trigger(live, "refresh");
  }

  live.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["If-None-Match"] = etag;
  });
  live.addEventListener("htmx:afterRequest", (event) => {
    const { xhr } = event.detail;
    const answered = xhr.status === 200 || xhr.status === 304;
    lost.hidden = answered;
    if (!answered) return;
    etag = xhr.getResponseHeader("ETag") ?? "";
    const date = Date.parse(xhr.getResponseHeader("Date"));
    if (date) skew = date - Date.now();
  });
  live.addEventListener("htmx:afterSettle", () => settle(false));

  setInterval(tick, 1_000);
  setInterval(() => {
    if (!document.hidden && Date.now() - asked >= EVERY - 100) ask();
  }, EVERY);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement.matches(".unknown")) document.activeElement.blur();
  });
  settle(true);
});
