// The parts of the page: asks for one (or all) of them again, puts the answer in its place, keeps the address right.
//
// For the other scripts:
//   panels.refresh(section, {quiet})   asks /panels/<name>/ with the query of the present address
//   panels.asks(section)               whether a request for it is under way
//   panels.go(changes, {replace})      changes query keys of the address (null drops one)
//   panels.steady(section, change) calls change(), which replaces content, and keeps focus, open boxes and place
//   event "panel:refresh" on a section, before it is asked for: preventDefault() and do it yourself
//   event "panel:answer" on a section, before its content is replaced: preventDefault() and it stays
//   event "panel:shown" on a section, after its content was put in place
//   event "panels:address" on document: back, forward or panels.go() changed the address
//   event "panels:answered" on document: detail.ok says whether the server answered
// An element with hx-push-url (or hx-replace-url) inside a panel changes the address once its answer is there:
// its value, or with "true" the query that was asked for.
"use strict";
const panels = (() => {
  const PATIENCE = 8_000; // ms
  const NAMES = ["data-tile", "data-line", "data-feed", "data-key", "data-set", "name"]; // of elements without an id
  const etags = new Map(); // id of a section -> what its content was made of
  const asking = new Map(); // id of a section -> the request that is under way

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
      if (!signal?.aborted) tell(document, "panels:answered", { ok: false });
      throw error;
    }
    const ok = answer.ok || answer.status === 304;
    tell(document, "panels:answered", { ok, date: Date.parse(answer.headers.get("Date")) });
    if (!ok) throw new Error(`HTTP ${answer.status}`);
    if (answer.status === 304) return null;
    return { html: await answer.text(), etag: answer.headers.get("ETag") ?? "" };
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
      tell(section, "panel:shown");
    });
  }

  async function refresh(section, { quiet = false } = {}) {
    if (!tell(section, "panel:refresh")) return true;
    asking.get(section.id)?.abort();
    const request = new AbortController();
    asking.set(section.id, request);
    const search = location.search;
    if (!quiet) section.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(section.dataset.panel, search, etag(section), request.signal);
      const wanted = answer && !request.signal.aborted && search === location.search;
      if (wanted && tell(section, "panel:answer")) put(section, answer);
      return true;
    } catch {
      return false; // said by "panels:answered"; what stands there stays
    } finally {
      if (asking.get(section.id) === request) {
        asking.delete(section.id);
        section.removeAttribute("aria-busy");
      }
    }
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

  return { all, named, ask, put, steady, refresh, asks, go, etag };
})();
