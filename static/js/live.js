// Keeps the page current: requests the strip every 5 s while the page is visible, and shows when the server is away.
// All panels are loaded again when the strip shows newer data, every five minutes, and on demand (live.refreshAll).
"use strict";
const live = (() => {
  const EVERY = 5_000; // ms
  const FULL_EVERY = 300_000; // ms
  const strip = panels.named("strip");
  const lost = document.querySelector("#lost > p");
  const button = document.getElementById("refresh");
  const left = button.querySelector("[data-left]");
  const told = (key) => strip.querySelector("[data-version]")?.dataset[key] ?? "";
  let known = told("version");
  let pending = told("pending");
  let due = Date.now() + FULL_EVERY;

  async function ask() {
    await panels.refresh(strip, { quiet: true });
    if (told("pending") !== pending) {
      pending = told("pending");
      panels.refresh(panels.named("pending"), { quiet: true });
    }
    if (told("version") === known) return;
    known = told("version");
    document.dispatchEvent(new CustomEvent("panels:news"));
  }

  async function refreshAll({ quiet = false } = {}) {
    due = Date.now() + FULL_EVERY;
    await Promise.all(panels.all().map((section) => panels.refresh(section, { quiet })));
    document.dispatchEvent(new CustomEvent("panels:refreshed"));
  }

  function tick() {
    const s = Math.max(0, Math.ceil((due - Date.now()) / 1000));
    left.textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
    if (s === 0 && !document.hidden) refreshAll({ quiet: true });
  }

  button.addEventListener("click", () => refreshAll());
  document.addEventListener("panels:news", () => refreshAll({ quiet: true }));
  document.addEventListener("panels:answered", ({ detail }) => {
    if (detail.ok || !detail.unmet) {
      lost.hidden = detail.ok;
      strip.toggleAttribute("data-lost", !detail.ok);
    }
    times.set(detail.date);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
    tick();
  });
  setInterval(() => document.hidden || ask(), EVERY);
  setInterval(tick, 1_000);
  button.hidden = false;
  tick();
  return { refreshAll };
})();
