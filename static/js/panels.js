// The parts of the page: asks for one (or all) of them again, puts the answer in its place, keeps the address right.
//
// For the other scripts:
//   panels.refresh(section, {quiet})   asks /panels/<name>/ with the query of the present address
//   panels.load(section, {show})       the same without "panel:refresh": `show` puts the answer in place
//   panels.follow(section, keys)       says by which keys of the address it goes; own(section) is their part of it,
//                                      fits(section) whether that is what is shown
//   panels.hush(section)               takes away what says that it could not be fetched
//   panels.asks(section)               whether a request for it is under way
//   panels.go(changes, {replace})      changes query keys of the address (null drops one)
//   panels.steady(section, change)     calls change(), which replaces content; focus, open boxes and place stay
//   event "panel:refresh" on a section, before it is asked for: preventDefault() and do it yourself
//   event "panel:answer" on a section, before its content is replaced: preventDefault() and it stays
//   event "panel:shown" on a section, after its content was put in place
//   event "panels:address" on document: back, forward or panels.go() changed the address
//   event "panels:answered" on document: detail.ok says whether the server answered; detail.said whether the panel
//   itself says that it did not
// An element with hx-push-url (or hx-replace-url) inside a panel changes the address once its answer is there:
// its value, or with "true" the query that was asked for.
"use strict";
const panels = (() => {
  const PATIENCE = 8_000; // ms
  const PAUSE = 2_000; // ms before what has failed is asked for again by itself
  const NAMES = ["data-tile", "data-line", "data-feed", "data-key", "data-set", "name"]; // of elements without an id
  const etags = new Map(); // id of a section -> what its content was made of
  const asking = new Map(); // id of a section -> the request that is under way
  const keys = new Map(); // id of a section -> the keys of the address that it goes by
  const stands = new Map(); // id of a section -> its part of the address, as it is shown
  const owed = new Map(); // id of a section that was asked for in vain -> when that failed

  const all = () => [...document.querySelectorAll("[data-panel]")];
  const named = (name) => document.getElementById(`panel-${name}`);
  const tell = (target, name, detail = {}) =>
    target.dispatchEvent(new CustomEvent(name, { bubbles: true, cancelable: true, detail }));

  function etag(section) {
    return etags.get(section.id) ?? section.dataset.etag ?? "";
  }

  const asks = (section) => asking.has(section.id);

  // Answers {html, etag}, or null while nothing has changed. Throws when the server does not answer.
  async function ask(name, search, known, signal) {
    const headers = { "HX-Request": "true" };
    if (known) headers["If-None-Match"] = known;
    const limit = AbortSignal.timeout(PATIENCE);
    const stop = signal ? AbortSignal.any([signal, limit]) : limit;
    let answer;
    try {
      answer = await fetch(`/panels/${name}/${search}`, { headers, cache: "no-store", signal: stop });
    } catch (error) {
      if (!signal?.aborted) answered(name, { ok: false });
      throw error;
    }
    const ok = answer.ok || answer.status === 304;
    answered(name, { ok, date: Date.parse(answer.headers.get("Date")) });
    if (!ok) throw new Error(`HTTP ${answer.status}`);
    if (answer.status === 304) return null;
    return { html: await answer.text(), etag: answer.headers.get("ETag") ?? "" };
  }

  function answered(name, detail) {
    tell(document, "panels:answered", { ...detail, said: Boolean(said(named(name))) });
  }

  // A selector that finds an element of the section again in what takes its place: the way from the nearest id, or
  // from the section, by names where there are some and else by place.
  function wayTo(element, section) {
    let [way, named] = ["", false];
    for (let at = element; at !== section; at = at.parentElement) {
      if (at.id) return `#${CSS.escape(at.id)}${way}`;
      const name = nameOf(at);
      if (name) [way, named] = [` ${at.localName}${name}${way}`, true];
      else if (!named) way = ` > ${at.localName}:nth-of-type(${placeOf(at)})${way}`;
    }
    return `:scope${way}`;
  }

  function nameOf(element) {
    const names = element.type === "radio" ? ["name", "value"] : NAMES.filter((name) => element.hasAttribute(name));
    return names.map((name) => `[${name}="${CSS.escape(element.getAttribute(name))}"]`).join("");
  }

  function placeOf(element) {
    return [...element.parentElement.children].filter((one) => one.localName === element.localName).indexOf(element) + 1;
  }

  function focus(element) {
    if (element.matches("[data-panel]")) element.setAttribute("tabindex", "-1");
    element.focus({ preventScroll: true });
  }

  // Changes what stands in a section under a reader's eyes: open boxes stay open, the focus stays (with the section,
  // where its element has gone), and what is looked at does not move.
  function steady(section, change) {
    const open = [...section.querySelectorAll("details[id][open]")].map((box) => box.id);
    const focused = document.activeElement;
    const way = section.contains(focused) && focused !== section ? wayTo(focused, section) : "";
    const top = (element) => element.getBoundingClientRect().top;
    const above = section.getBoundingClientRect().bottom <= 0;
    const edge = () => section.getBoundingClientRect()[above ? "bottom" : "top"];
    const seen = focused !== document.body && top(focused) >= 0 && top(focused) < innerHeight;
    const [focusedAt, edgeAt] = [top(focused), edge()];
    change();
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    const found = way ? section.querySelector(way) : focused;
    if (way && !section.contains(document.activeElement)) focus(found ?? section);
    const moved = seen && found === document.activeElement ? top(found) - focusedAt : edge() - edgeAt;
    if (Math.abs(moved) >= 1) scrollBy({ top: moved, behavior: "instant" });
  }

  function put(section, { html, etag }) {
    steady(section, () => {
      htmx.swap(section, html, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 0 });
      etags.set(section.id, etag);
      stands.set(section.id, own(section));
      tell(section, "panel:shown");
    });
  }

  // The section's own part of an address, as a string; "" where it does not go by the address.
  function own(section, search = location.search) {
    const query = new URLSearchParams(search);
    return (keys.get(section.id) ?? []).map((key) => `${key}=${query.get(key) ?? ""}`).join("&");
  }

  const fits = (section) => own(section) === (stands.get(section.id) ?? "");

  // Says by which keys of the address a section goes: what it shows now is what the address says now.
  function follow(section, names) {
    keys.set(section.id, names);
    stands.set(section.id, own(section));
  }

  // Asks for a section and has `show` put the answer in place. What fails is owed: it is asked for again as soon as
  // the server answers anything, and said in the section if it was asked for by hand or fails again.
  async function load(section, { quiet = false, known = etag(section), show }) {
    asking.get(section.id)?.abort();
    const request = new AbortController();
    asking.set(section.id, request);
    const search = location.search;
    if (!quiet) section.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(section.dataset.panel, search, known, request.signal);
      if (request.signal.aborted || own(section, search) !== own(section)) return true; // the next one comes
      owed.delete(section.id);
      hush(section);
      if (answer) show(answer);
      stands.set(section.id, own(section));
      return true;
    } catch {
      if (request.signal.aborted) return false;
      if (!quiet || owed.has(section.id) || !fits(section)) say(section);
      owed.set(section.id, Date.now());
      return false; // what stands there stays
    } finally {
      if (asking.get(section.id) === request) {
        asking.delete(section.id);
        section.removeAttribute("aria-busy");
      }
    }
  }

  async function refresh(section, { quiet = false } = {}) {
    if (!tell(section, "panel:refresh", { quiet })) return true;
    const show = (answer) => tell(section, "panel:answer") && put(section, answer);
    return load(section, { quiet, show });
  }

  const said = (section) => section?.querySelector(":scope > .unmet");

  function say(section) {
    if (said(section) || section.dataset.panel === "strip") return; // for the strip the page itself says it
    const notice = document.createElement("p");
    notice.className = "notice unmet";
    notice.dataset.level = "warn";
    notice.setAttribute("role", "alert");
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Try again" });
    button.addEventListener("click", () => refresh(section));
    notice.append(`${section.ariaLabel} could not be updated. Showing the last data received; retrying. `, button);
    section.append(notice);
  }

  function hush(section) {
    const notice = said(section);
    if (notice?.contains(document.activeElement)) focus(section);
    notice?.remove();
  }

  function go(changes, { replace = false } = {}) {
    const query = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === "") query.delete(key);
      else query.set(key, value);
    }
    address(query.size ? `/?${query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":")}` : "/", replace);
  }

  function address(url, replace) {
    const here = location.pathname + location.search;
    if (url === here) return;
    history[replace ? "replaceState" : "pushState"](null, "", url);
    tell(document, "panels:address");
  }

  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, successful, pathInfo } = event.detail;
    const way = successful && elt?.closest?.("[hx-push-url], [hx-replace-url]");
    if (!way) return;
    const replace = way.hasAttribute("hx-replace-url");
    const value = way.getAttribute(replace ? "hx-replace-url" : "hx-push-url");
    const asked = (pathInfo.finalRequestPath ?? "").split("?")[1];
    if (value !== "false") address(value === "true" ? (asked ? `/?${asked}` : "/") : value, replace);
  });

  // A link that only sets some keys keeps what the address says besides them: <a data-set="metrics=node_total" ...>
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-set]");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const target = link && named(link.dataset.for);
    if (!target || !plain) return;
    event.preventDefault();
    go(Object.fromEntries(new URLSearchParams(link.dataset.set)));
    refresh(target);
    target.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    focus(target);
  });

  addEventListener("popstate", () => {
    tell(document, "panels:address");
    for (const section of all()) refresh(section, { quiet: true });
  });

  document.addEventListener("panels:answered", (event) => {
    if (!event.detail.ok) return;
    for (const section of all()) {
      const due = owed.has(section.id) ? Date.now() - owed.get(section.id) >= PAUSE : !fits(section);
      if (due && !asks(section)) refresh(section, { quiet: true });
    }
  });

  return { all, named, ask, put, steady, load, refresh, asks, follow, own, fits, hush, go, etag };
})();
