// The panels of the page: reloads a panel, replaces its content and keeps the URL in sync.
// A section's data-panel is the URL of its content, its data-keys the query keys it depends on.
//
// For the other scripts:
//   panels.refresh(section, {quiet})   reloads it with the current query; false if that failed
//   panels.go(changes, {replace})      changes query keys of the URL (null drops one)
//   panels.steer(section, go)          makes its links and forms call go(query, element) instead of loading the page
//   panels.shows(section, show)        shows responses by show(answer, {moved, quiet}) instead of panels.put
//   panels.steady(section, change)     calls change(), which replaces content; keeps focus, open boxes, scroll
//   event "panel:shown" on a section: its content was replaced
//   event "panels:address" on document: back, forward or panels.go() changed the URL
//   event "panels:answered" on document: whether (detail.ok) and when (detail.date) the server answered
"use strict";
const panels = (() => {
  const PATIENCE = 8_000; // ms
  const PAUSE = 2_000; // ms before a request that failed is repeated
  const states = new Map(); // section -> what is known of it, see below

  for (const section of document.querySelectorAll("[data-panel]")) {
    const keys = section.dataset.keys.split(" ").filter(Boolean); // of the address
    const state = { keys, etag: section.dataset.etag, show: put, written: new Set(), failedAt: 0 };
    states.set(section, state);
    state.shown = state.requested = own(section); // the section's part of the address
    section.addEventListener("input", ({ target }) => target.id && state.written.add(target.id));
  }

  const all = () => [...states.keys()];
  const named = (name) => document.getElementById(`panel-${name}`);
  const etag = (section) => states.get(section).etag;
  const unmet = (section) => section.querySelector(":scope > .unmet");
  const tell = (target, name, detail) => target.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  const queryOf = (form) => new URLSearchParams(new FormData(form));
  const shows = (section, show) => (states.get(section).show = show);
  const plain = (event) => event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;

  // The section's own part of a URL; "" if it does not depend on the URL.
  function own(section, search = location.search) {
    const query = new URLSearchParams(search);
    return states.get(section).keys.map((key) => `${key}=${query.get(key) ?? ""}`).join("&");
  }

  const fits = (section) => own(section) === states.get(section).shown;

  // Returns {html, etag}, or null if nothing has changed. Throws if the server does not answer.
  async function ask(section, search, known, signal) {
    const limit = AbortSignal.timeout(PATIENCE);
    const options = { cache: "no-store", headers: known ? { "If-None-Match": known } : {} };
    options.signal = signal ? AbortSignal.any([signal, limit]) : limit;
    const answered = (detail) => tell(document, "panels:answered", { ...detail, unmet: Boolean(unmet(section)) });
    const answer = await fetch(section.dataset.panel + search, options).catch((error) => {
      if (!signal?.aborted) answered({ ok: false });
      throw error;
    });
    const same = answer.status === 304;
    answered({ ok: answer.ok || same, date: Date.parse(answer.headers.get("Date")) });
    if (!answer.ok && !same) throw new Error(`HTTP ${answer.status}`);
    return same ? null : { html: await answer.text(), etag: answer.headers.get("ETag") ?? "" };
  }

  // Finds an element in its replacement: by id, or by kind in the nearest element with an id.
  function wayTo(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    const name = element.name ? `[name="${CSS.escape(element.name)}"]` : "";
    return `#${CSS.escape(element.closest("[id]").id)} ${element.localName}${name}`;
  }

  function focus(element) {
    if (states.has(element)) element.tabIndex = -1;
    element.focus({ preventScroll: true });
  }

  // Replaces content under a reader's eyes: open boxes stay open, the focus stays (with the section, where its
  // element has gone), and what is looked at does not move.
  function steady(section, change) {
    const open = [...section.querySelectorAll("details[id][open]")].map((box) => box.id);
    const focused = document.activeElement;
    const way = section.contains(focused) && focused !== section ? wayTo(focused) : "";
    const top = (element) => element.getBoundingClientRect().top;
    const above = section.getBoundingClientRect().bottom <= 0;
    const edge = () => section.getBoundingClientRect()[above ? "bottom" : "top"];
    const seen = focused !== document.body && top(focused) >= 0 && top(focused) < innerHeight;
    const [focusedAt, edgeAt] = [top(focused), edge()];
    const left = section.querySelector(".swipe")?.scrollLeft;
    change();
    section.querySelector(".swipe")?.scrollTo({ left, behavior: "instant" });
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    const found = way ? document.querySelector(way) : focused;
    if (way && !section.contains(document.activeElement)) focus(found ?? section);
    const moved = seen && found === document.activeElement ? top(found) - focusedAt : edge() - edgeAt;
    if (Math.abs(moved) >= 1) scrollBy({ top: moved, behavior: "instant" });
  }

  // What was written since the section was last loaded for another view stays in its field. While the visitor types
  // there, the content waits.
  function put(section, { html, etag }) {
    const state = states.get(section);
    const fields = [...state.written].map((id) => document.getElementById(id)).filter(Boolean);
    if (fits(section) && fields.some((field) => field.form?.contains(document.activeElement))) return;
    steady(section, () => {
      section.innerHTML = html;
      Object.assign(state, { etag, shown: own(section) });
      for (const { id, value } of fields) Object.assign(document.getElementById(id) ?? {}, { value });
      tell(section, "panel:shown");
    });
  }

  // Asks for a section. A request that failed is repeated as soon as the server answers anything; the section says so
  // if it was reloaded by hand, shows another view or fails again.
  async function refresh(section, { quiet = false } = {}) {
    const state = states.get(section);
    const [search, part] = [location.search, own(section)];
    if (part !== state.requested) state.written.clear();
    else if (quiet && state.request) return (state.again = true); // once what is under way is answered
    state.request?.abort();
    const request = (state.request = new AbortController());
    state.requested = part;
    if (!quiet) section.setAttribute("aria-busy", "true");
    try {
      const moved = !fits(section);
      const answer = await ask(section, search, moved ? "" : state.etag, request.signal);
      if (request.signal.aborted || part !== own(section)) return true; // the next one comes
      state.failedAt = 0;
      hush(section);
      if (answer) state.show(section, answer, { moved, quiet });
      state.shown = part;
      return true;
    } catch {
      if (request.signal.aborted) return false;
      if (!quiet || state.failedAt || !fits(section)) say(section);
      state.failedAt = Date.now();
      return false; // what is shown stays
    } finally {
      if (state.request === request) {
        state.request = null;
        section.removeAttribute("aria-busy");
        if (state.again) refresh(section, { quiet: true });
        state.again = false;
      }
    }
  }

  function say(section) {
    if (unmet(section) || section === named("strip")) return; // for the strip the page itself says it
    const notice = document.getElementById("unmet").content.firstElementChild.cloneNode(true);
    notice.prepend(section.ariaLabel);
    section.append(notice);
  }

  function hush(section) {
    const notice = unmet(section);
    if (notice?.contains(document.activeElement)) focus(section);
    notice?.remove();
  }

  function go(changes, { replace = false } = {}) {
    const query = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(changes)) {
      if (value) query.set(key, value);
      else query.delete(key);
    }
    const search = query.size ? `?${query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":")}` : "";
    if (search === location.search) return;
    history[replace ? "replaceState" : "pushState"](null, "", location.pathname + search);
    tell(document, "panels:address");
  }

  // Takes all keys of a section from a query, except the shared range.
  function follow(section, query, options) {
    const keys = states.get(section).keys.filter((key) => key !== "range");
    go(Object.fromEntries(keys.map((key) => [key, query.get(key)])), options);
  }

  function steer(section, go) {
    section.addEventListener("click", (event) => {
      const link = event.target.closest("a[href]");
      const here = link?.host === location.host && link.pathname === location.pathname;
      if (!here || !plain(event) || event.defaultPrevented) return;
      event.preventDefault();
      go(new URLSearchParams(link.search), link);
    });
    section.addEventListener("submit", (event) => {
      event.preventDefault();
      go(queryOf(event.target), event.target);
    });
  }

  // A link that only sets some keys keeps the others of the URL: <a data-set="metrics=node_total" ...>
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-set], .retry");
    if (!link || !plain(event) || event.defaultPrevented) return;
    event.preventDefault();
    if (link.matches(".retry")) return void refresh(link.closest("[data-panel]"));
    const target = named(link.dataset.for);
    go(Object.fromEntries(new URLSearchParams(link.dataset.set)));
    refresh(target);
    target.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    focus(target);
  });

  addEventListener("popstate", () => {
    tell(document, "panels:address");
    for (const section of states.keys()) refresh(section, { quiet: true });
  });

  document.addEventListener("panels:answered", (event) => {
    if (!event.detail.ok) return;
    for (const [section, { failedAt, request }] of states) {
      const due = failedAt ? Date.now() - failedAt >= PAUSE : !fits(section);
      if (due && !request) refresh(section, { quiet: true });
    }
  });

  return { all, named, plain, queryOf, etag, ask, put, steady, refresh, hush, go, follow, steer, shows };
})();
