// The period switch, steps to past periods and the range. All periods are fetched ahead. Keys: d w m q y, arrows.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const OLD = 60_000; // ms after which what was fetched ahead is shown, and fetched again
  const MOST = 60; // answers that are kept
  const KEYS_OFF = "fluxtracker-keys-off";
  const STEPS = { ArrowLeft: "#period-back", ArrowRight: "#period-on" };
  const form = document.getElementById("period");
  const tiles = panels.named("tiles");
  const ranges = panels.named("range");
  const keys = document.getElementById("keys");
  const radios = [...form.elements.period];
  const { usual } = tiles.dataset;
  const ahead = new Map(); // period and time -> its answer, and when it came
  let at = Date.now(); // when what is shown came

  const address = () => new URLSearchParams(location.search);
  const view = (period, time, range) => `${range ? "" : period} ${time ?? ""} ${range ?? ""}`;
  const inAddress = () => view(periodInAddress(), address().get("at"), rangeInAddress());
  // The period's own keys go before the range.
  const rangeInAddress = () => (address().get("period") || address().get("at") ? "" : address().get("range"));

  function periodInAddress() {
    const value = (address().get("period") ?? "").toUpperCase();
    return radios.some((radio) => radio.value === value) ? value : usual;
  }

  let shown = inAddress();
  const period = () => shown.split(" ")[0];

  async function fetchAhead() {
    const time = address().get("at");
    for (const other of radios.map((radio) => radio.value).filter((value) => value !== period())) {
      const query = address();
      query.set("period", other);
      query.delete("range");
      const key = view(other, time);
      try {
        const answer = await panels.ask(tiles, `?${query}`, ahead.get(key)?.etag);
        ahead.set(key, { ...(answer ?? ahead.get(key)), at: Date.now() });
      } catch {
        return; // reported already; a switch tries again
      }
    }
  }

  // Shows the view's tiles, at once if prefetched, else when they arrive. The URL is already updated.
  function show(wanted) {
    if (wanted === shown) return;
    panels.hush(tiles);
    const before = tiles.querySelector("[data-period]")?.dataset; // not the one chosen, if that did not come
    if (ahead.size > MOST) ahead.clear();
    if (before) ahead.set(view(before.period, before.at, before.range), { html: tiles.innerHTML, etag: panels.etag(tiles), at });
    shown = wanted;
    const answer = ahead.get(wanted);
    if (answer) {
      panels.put(tiles, answer);
      at = answer.at;
    }
    if (!answer || Date.now() - at > OLD) panels.refresh(tiles, { quiet: Boolean(answer) });
  }

  // The focus follows the choice.
  function check(value) {
    for (const radio of radios) radio.checked = radio.value === value;
    const radio = radios.find((one) => one.checked);
    if (radio && radios.includes(document.activeElement)) radio.focus({ preventScroll: true });
  }

  function choose(value) {
    check(value);
    panels.go({ period: value === usual ? null : value, range: null });
  }

  const step = (link) => panels.go({ [link.dataset.key]: link.dataset.at || null });

  form.addEventListener("change", ({ target }) => choose(target.value));
  form.addEventListener("click", ({ target }) => {
    // a click on the current one only reloads it
    if (target.name === "period" && target.value === period()) live.refreshAll();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  tiles.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-at]");
    if (!link || !panels.plain(event)) return;
    event.preventDefault();
    step(link);
  });
  panels.steer(ranges, async (query) => {
    const own = ranges.firstElementChild.dataset.own.split(" ").map((key) => [key, null]);
    panels.go({ ...Object.fromEntries(own), range: query.get("range") });
    await panels.refresh(ranges);
    ranges.querySelector("summary")?.focus({ preventScroll: true });
  });
  document.addEventListener("panels:refreshed", fetchAhead);
  document.addEventListener("panels:address", () => {
    check(rangeInAddress() ? "" : periodInAddress());
    document.getElementById("share-link").value = location.href;
    show(inAddress());
  });
  tiles.addEventListener("panel:shown", () => {
    at = Date.now();
    const title = tiles.querySelector("[data-title]")?.dataset.title;
    if (title) document.title = `${title} · Fluxtracker`;
  });
  document.addEventListener("keydown", (event) => {
    const taken = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented;
    if (taken || keys.ariaPressed === "false") return;
    if (STEPS[event.key]) {
      const link = tiles.querySelector(STEPS[event.key]);
      const free = event.target === document.body || tiles.contains(event.target);
      if (link && free && !event.target.closest("input, select, textarea")) step(link);
      return;
    }
    const value = event.key.toUpperCase();
    if (!radios.some((radio) => radio.value === value)) return;
    if (event.target.closest?.("input:not([type=radio]), select, textarea, [contenteditable]")) return;
    if (value === period()) live.refreshAll();
    else choose(value);
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
