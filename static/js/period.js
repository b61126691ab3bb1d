// The period switch: all five are fetched ahead, so that another one is there at once. In the address; back works.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const OLD = 60_000; // ms after which what was fetched ahead is shown, and asked for again
  const KEYS_OFF = "fluxtracker-keys-off";
  const form = document.getElementById("period");
  const tiles = panels.named("tiles");
  const keys = document.getElementById("keys");
  const radios = [...form.elements.period];
  const { usual } = tiles.dataset;
  const ahead = new Map(); // period -> its answer, and when it came
  let shown = radios.find((radio) => radio.checked).value;
  let at = Date.now(); // when what is shown came

  function inAddress() {
    const value = (new URLSearchParams(location.search).get("period") ?? "").toUpperCase();
    return radios.some((radio) => radio.value === value) ? value : usual;
  }

  async function fetchAhead() {
    for (const period of radios.map((radio) => radio.value).filter((period) => period !== shown)) {
      const query = new URLSearchParams(location.search);
      query.set("period", period);
      try {
        const answer = await panels.ask(tiles, `?${query}`, ahead.get(period)?.etag);
        ahead.set(period, { ...(answer ?? ahead.get(period)), at: Date.now() });
      } catch {
        return; // said already; a switch asks again
      }
    }
  }

  // Puts the period's tiles in place: at once when they are here, else when they come. The address is right already.
  function show(period) {
    if (period === shown) return;
    panels.hush(tiles);
    const before = tiles.querySelector("[data-period]")?.dataset.period; // not the one chosen, if that did not come
    if (before) ahead.set(before, { html: tiles.innerHTML, etag: panels.etag(tiles), at });
    shown = period;
    const answer = ahead.get(period);
    if (answer) {
      panels.put(tiles, answer);
      at = answer.at;
    }
    if (!answer || Date.now() - at > OLD) panels.refresh(tiles, { quiet: Boolean(answer) });
  }

  // The focus goes with the choice.
  function check(period) {
    const radio = radios.find((one) => one.value === period);
    radio.checked = true;
    if (radios.includes(document.activeElement)) radio.focus({ preventScroll: true });
  }

  function choose(period) {
    check(period);
    panels.go({ period: period === usual ? null : period });
  }

  form.addEventListener("change", ({ target }) => choose(target.value));
  form.addEventListener("click", ({ target }) => {
    // a click on the one that is chosen already changes nothing, and asks for it again
    if (target.name === "period" && target.value === shown) live.refreshAll();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("panels:refreshed", fetchAhead);
  document.addEventListener("panels:address", () => {
    check(inAddress());
    show(inAddress());
  });
  tiles.addEventListener("panel:shown", () => {
    at = Date.now();
    const title = tiles.querySelector("[data-title]")?.dataset.title;
    if (title) document.title = `${title} · Fluxtracker`;
  });
  document.addEventListener("keydown", (event) => {
    const period = event.key.toUpperCase();
    const taken = event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented;
    if (taken || keys.ariaPressed === "false" || !radios.some((radio) => radio.value === period)) return;
    if (event.target.closest?.("input:not([type=radio]), select, textarea, [contenteditable]")) return;
    if (period === shown) live.refreshAll();
    else choose(period);
  });
  keys.addEventListener("click", () => {
    keys.ariaPressed = String(keys.ariaPressed === "false");
    storage?.setItem(KEYS_OFF, keys.ariaPressed === "false" ? "1" : "");
  });

  keys.ariaPressed = String(storage?.getItem(KEYS_OFF) !== "1");
  keys.hidden = false;
  form.querySelector("[data-without-js]").hidden = true;
  (window.requestIdleCallback ?? setTimeout)(fetchAhead, { timeout: 2_000 });
});
