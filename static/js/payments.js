// The list of payments: search as you type, filters, pages, all without a reload and in the address; copies; news.
// Links and forms work without this file: it only takes them over. See panels.js for what it builds on.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const section = window.htmx && panels.named("payments");
  const said = document.getElementById("said");
  if (!section) return;

  const OWN = [
    "tab", "search", "app", "type", "address", "sender", "from", "to", "min_amount", "max_amount",
    "sort", "page", "limit",
  ];
  const TYPING = 100; // ms of quiet before the search is asked for
  const NEW_FOR = 60_000; // ms that a new payment stays marked
  const COPIED_FOR = 1_500; // ms
  const BESIDE = ["#payments-tabs", ...OWN.map((key) => `#payments-wrong-${key}`)]
    .filter((place) => place !== "#payments-wrong-page") // stands in the list itself
    .join(",");

  panels.follow(section, OWN);
  const seen = new Map(); // row id -> when it came; 0: it was there before
  let asked = panels.own(section); // the part of the address that was asked for last
  let etag = panels.etag(section);
  let pause = 0;
  const typing = new Set(); // fields that were written into since the form or a link was followed

  const rows = () => section.querySelectorAll("tr[data-payment]");

  function tell(words) {
    if (said) said.textContent = words;
  }

  function mark() {
    for (const row of rows()) row.classList.toggle("new", Date.now() - (seen.get(row.id) ?? 0) < NEW_FOR);
  }

  // Notes which rows are there; those that came by themselves are new.
  function note({ news }) {
    const fresh = [...rows()].filter((row) => !seen.has(row.id));
    for (const row of fresh) seen.set(row.id, news ? Date.now() : 0);
    if (news && fresh.length) tell(fresh.length === 1 ? "1 new payment." : `${fresh.length} new payments.`);
    mark();
  }

  function putList(html) {
    const options = { select: "#payments-results", selectOOB: BESIDE };
    const how = { swapStyle: "outerHTML", swapDelay: 0, settleDelay: 0 };
    panels.steady(section, () => htmx.swap("#payments-results", html, how, options));
    for (const field of section.querySelectorAll("#payments-form [aria-describedby]")) {
      const wrong = document.getElementById(field.getAttribute("aria-describedby").split(" ").at(-1));
      if (wrong?.textContent.trim()) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  }

  // What was written meanwhile stays in its field.
  function putAll(answer) {
    const written = [...typing].map((id) => [id, document.getElementById(id)?.value]);
    panels.put(section, answer);
    for (const [id, value] of written) {
      const field = document.getElementById(id);
      if (field && value !== undefined) field.value = value;
    }
  }

  // Asks for what the address says. `whole`: the form, too; else it stays as it is being filled in.
  function load({ whole = false, quiet = false } = {}) {
    const fits = panels.fits(section);
    const news = quiet && fits && section.querySelector("#payments-results[data-live]") !== null;
    asked = panels.own(section);
    return panels.load(section, {
      quiet,
      known: fits ? etag : "",
      show(answer) {
        if (whole || !section.querySelector("#payments-results") || !answer.html.includes("payments-results")) {
          putAll(answer);
        } else putList(answer.html);
        etag = answer.etag;
        note({ news });
      },
    });
  }

  // Puts the panel's keys into the address and shows what they mean.
  async function go(keys, { whole, replace = false }) {
    clearTimeout(pause);
    typing.clear();
    panels.go(Object.fromEntries(OWN.map((key) => [key, keys.get(key) || null])), { replace });
    if (await load({ whole })) tell(outcome());
  }

  // What is wrong in the fields, and how many were found.
  function outcome() {
    const places = section.querySelectorAll(".wrong, #payments-count, #payments-results .empty > p:first-child");
    return [...places].map((place) => place.textContent.replace(/\s+/g, " ").trim()).filter(Boolean).join(" ");
  }

  function submit(form, { replace = false } = {}) {
    return go(new FormData(form), { whole: form.id === "payments-jump", replace });
  }

  // One step back leaves a search, however many letters it had; one that was emptied can be gone back to.
  function search() {
    const form = document.getElementById("payments-form");
    const searching = Boolean(new URLSearchParams(location.search).get("search"));
    if (form) submit(form, { replace: searching && form.elements.search.value.trim() !== "" });
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      if (!copyOldWay(text)) return tell("The browser did not let it be copied.");
    }
    tell(`Copied ${text}`);
    button.dataset.done = "";
    setTimeout(() => delete button.dataset.done, COPIED_FOR);
  }

  // Without HTTPS browsers know no other way.
  function copyOldWay(text) {
    const place = document.createElement("textarea");
    const focused = document.activeElement;
    place.value = text;
    place.className = "unseen";
    document.body.append(place);
    place.select();
    const done = document.execCommand("copy");
    place.remove();
    focused?.focus();
    return done;
  }

  section.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) return void copy(button);
    const link = event.target.closest("a[href^='/?']");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain) return;
    event.preventDefault();
    go(new URL(link.href).searchParams, { whole: true });
  });
  section.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(event.target);
  });
  section.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form?.id === "payments-form" && event.target.type !== "search") submit(form);
  });
  section.addEventListener("input", (event) => {
    if (event.target.id) typing.add(event.target.id);
    if (event.target.id !== "payments-search") return;
    clearTimeout(pause);
    pause = setTimeout(search, TYPING);
  });

  section.addEventListener("panel:refresh", (event) => {
    event.preventDefault();
    const moved = panels.own(section) !== asked; // back or forward: the form has to follow
    if (panels.asks(section) && !moved) return; // it is under way
    if (moved) {
      clearTimeout(pause);
      typing.clear();
    }
    load({ whole: !panels.fits(section), quiet: event.detail.quiet });
  });
  section.addEventListener("panel:shown", () => note({ news: false }));
  setInterval(mark, 1_000);
  note({ news: false });
});
