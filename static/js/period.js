// The period switch: all five are fetched ahead, so that another one is there at once. In the address; back works.
// And the refresh of the whole page: every five minutes, on demand, and when a tab that was asleep is looked at.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("period");
  const tiles = document.getElementById("panel-tiles");
  if (!form || !tiles || !window.htmx) return;

  const FULL_EVERY = 300_000; // ms
  const OLD = 60_000; // ms after which what was fetched ahead is shown, and asked for again
  const KEYS_OFF = "fluxtracker-keys-off";
  const radios = [...form.elements.period];
  const button = document.getElementById("refresh");
  const left = button.querySelector("[data-left]");
  const keys = document.getElementById("keys");
  const ahead = new Map(); // period -> its answer
  let shown = current();
  let at = Date.now(); // when the server told what is shown
  let due = at + FULL_EVERY;

  function current() {
    return radios.find((radio) => radio.checked)?.value ?? "W";
  }

  function asked() {
    const value = (new URLSearchParams(location.search).get("period") ?? "").toUpperCase();
    return radios.some((radio) => radio.value === value) ? value : "W";
  }

  function search(period) {
    const query = new URLSearchParams(location.search);
    query.set("period", period);
    return `?${query}`;
  }

  function title() {
    const said = tiles.querySelector("[data-title]")?.dataset.title;
    if (said) document.title = `${said} · Fluxtracker`;
  }

  async function fetchAhead() {
    for (const period of radios.map((radio) => radio.value).filter((period) => period !== shown)) {
      try {
        const answer = await panels.ask("tiles", search(period), ahead.get(period)?.etag);
        ahead.set(period, { ...(answer ?? ahead.get(period)), at: Date.now() });
      } catch {
        return; // said already; a switch asks again
      }
    }
  }

  function whenIdle(work) {
    if (window.requestIdleCallback) requestIdleCallback(work, { timeout: 2_000 });
    else setTimeout(work, 200);
  }

  // Puts the period's tiles in place: at once when they are here, else when they come. The address is right already.
  function show(period) {
    if (period === shown) return;
    panels.hush(tiles);
    const stood = tiles.querySelector("[data-period]")?.dataset.period; // not the one chosen, if that did not come
    if (stood) ahead.set(stood, { html: tiles.innerHTML, etag: panels.etag(tiles), at });
    shown = period;
    const answer = ahead.get(period);
    if (answer) {
      panels.put(tiles, answer);
      at = answer.at;
    }
    if (!answer || Date.now() - at > OLD) ask({ quiet: Boolean(answer) });
  }

  async function ask(options) {
    if (await panels.refresh(tiles, options)) at = Date.now();
  }

  // The radio of a period; the focus goes with the choice.
  function check(period) {
    const radio = radios.find((one) => one.value === period);
    radio.checked = true;
    if (radios.includes(document.activeElement)) radio.focus({ preventScroll: true });
  }

  function choose(period) {
    check(period);
    panels.go({ period: period === "W" ? null : period });
  }

  async function refreshAll({ quiet = false } = {}) {
    due = Date.now() + FULL_EVERY;
    const others = panels.all().filter((section) => section !== tiles);
    await Promise.all([ask({ quiet }), ...others.map((section) => panels.refresh(section, { quiet }))]);
    await fetchAhead();
  }

  function countDown() {
    const s = Math.max(0, Math.ceil((due - Date.now()) / 1000));
    left.textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
    if (s === 0 && !document.hidden) refreshAll({ quiet: true });
  }

  form.addEventListener("change", (event) => {
    if (event.target.name === "period") choose(current());
  });
  form.addEventListener("click", (event) => {
    // a click on the one that is chosen already changes nothing, and asks for it again
    if (event.target.name === "period" && event.target.value === shown) refreshAll();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose(current());
  });
  button.addEventListener("click", () => refreshAll());
  document.addEventListener("panels:news", () => refreshAll({ quiet: true }));
  document.addEventListener("panels:address", () => {
    const period = asked();
    check(period);
    show(period);
  });
  tiles.addEventListener("panel:shown", () => {
    at = Date.now();
    title();
  });
  document.addEventListener("visibilitychange", countDown);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || keys.getAttribute("aria-pressed") === "false") return;
    if (event.target.closest?.("input:not([type=radio]), select, textarea, [contenteditable]")) return;
    const period = event.key.toUpperCase();
    if (event.key.length !== 1 || !radios.some((radio) => radio.value === period)) return;
    if (period === shown) refreshAll();
    else choose(period);
  });

  function keep(off) {
    try {
      if (off) localStorage.setItem(KEYS_OFF, "1");
      else localStorage.removeItem(KEYS_OFF);
    } catch {
      // the choice holds for this page
    }
  }

  function kept() {
    try {
      return localStorage.getItem(KEYS_OFF) === "1";
    } catch {
      return false;
    }
  }

  keys.setAttribute("aria-pressed", String(!kept()));
  keys.addEventListener("click", () => {
    const on = keys.getAttribute("aria-pressed") === "false";
    keys.setAttribute("aria-pressed", String(on));
    keep(!on);
  });

  panels.follow(tiles, ["period"]);
  form.querySelector("[data-without-js]").hidden = true;
  for (const element of [button, keys]) element.hidden = false;
  setInterval(countDown, 1_000);
  countDown();
  whenIdle(fetchAhead);
});
