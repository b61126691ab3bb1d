// The list of payments: search as you type, filters and pages without a reload, kept in the URL; copying; new rows.
// Links and forms work without this file, which only enhances them. It builds on panels.js.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const section = panels.named("payments");
  const announcement = document.getElementById("announcement");

  const TYPING = 100; // ms of quiet before the search is sent
  const NEW_FOR = 60_000; // ms that a new payment stays marked
  const COPIED_FOR = 1_500; // ms
  const RESULTS = "#payments-results";
  const seen = new Map(); // row id -> when it came; 0: it was there before
  let pause = 0;
  let held = ""; // a list with new rows, while somebody reads the one that is shown
  let whole = false; // the form is replaced, too; else it stays as it is being filled in

  const announce = (words) => (announcement.textContent = words);

  // Remembers the current rows and marks new ones.
  function note(news) {
    const rows = [...section.querySelectorAll("tr[data-payment]")];
    const fresh = rows.filter((row) => !seen.has(row.id));
    for (const row of fresh) seen.set(row.id, news ? Date.now() : 0);
    if (news && fresh.length) announce(fresh.length === 1 ? "1 new payment." : `${fresh.length} new payments.`);
    for (const row of rows) row.classList.toggle("new", Date.now() - seen.get(row.id) < NEW_FOR);
  }

  const parsed = (html) => new DOMParser().parseFromString(html, "text/html");
  const total = (root) => Number(root.querySelector(`${RESULTS} [data-total]`)?.dataset.total ?? 0);

  // Whether the visitor reads, points at or has left the top of the list, where new rows would move the content.
  function isRead(list) {
    const { top, bottom } = list.getBoundingClientRect();
    const pointed = list.matches(":hover, :focus-within, :not([data-live]), :has(#payments-all:checked)");
    return pointed || (top < 0 && bottom > 0);
  }

  // Inserts new rows, or shows their number until they are requested or the visitor stops reading.
  function putNews(html) {
    const fresh = total(parsed(html)) - total(section);
    if (fresh <= 0 || !isRead(section.querySelector(RESULTS))) return take(html);
    const pill = section.querySelector("#payments-new");
    if (!held) announce(`${fresh} new.`);
    pill.textContent = `${fresh} new`;
    pill.hidden = false;
    held = html;
  }

  function take(html) {
    const news = section.querySelector(`${RESULTS}[data-live]`) !== null;
    held = "";
    putList(html);
    note(news);
  }

  function putList(html) {
    const answer = parsed(html);
    const places = [RESULTS, "#payments-tabs", ".wrong"].flatMap((place) => [...section.querySelectorAll(place)]);
    panels.steady(section, () => {
      for (const place of places) {
        const found = answer.getElementById(place.id);
        if (found) place.replaceWith(found);
      }
    });
    for (const field of section.querySelectorAll("#payments-form [aria-describedby]")) {
      field.ariaInvalid = answer.getElementById(field.id)?.ariaInvalid ?? null;
    }
  }

  panels.shows(section, (_, answer, { moved, quiet }) => {
    const lists = section.querySelector(RESULTS) && answer.html.includes("payments-results");
    if (lists && quiet && !moved && !whole) return putNews(answer.html);
    if (lists && !whole && !quiet) putList(answer.html);
    else panels.put(section, answer);
    whole = false;
    held = "";
    note(false);
  });

  // Puts the panel's keys into the URL and shows the result.
  async function go(query, { form = null, replace = false } = {}) {
    clearTimeout(pause);
    whole = form?.id !== "payments-form";
    panels.follow(section, query, { replace });
    if (await panels.refresh(section)) announce(outcome());
  }

  // Errors of the fields, and the number of results.
  function outcome() {
    const places = section.querySelectorAll(".wrong, #payments-count, #payments-results .empty > p:first-child");
    return [...places].map((place) => place.textContent.replace(/\s+/g, " ").trim()).filter(Boolean).join(" ");
  }

  const submit = (form, replace) => go(panels.queryOf(form), { form, replace });

  // One step back leaves a search of any length; a cleared one can be returned to.
  function search(field) {
    const searching = Boolean(new URLSearchParams(location.search).get("search"));
    if (field.form) submit(field.form, searching && field.value.trim() !== "");
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      if (!copyOldWay(text)) return announce("The browser did not let it be copied.");
    }
    announce(`Copied ${text}`);
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
    if (!held || !event.target.closest("#payments-new") || new URLSearchParams(location.search).has("page")) return;
    event.preventDefault(); // the new rows are on this page
    take(held);
  });
  panels.steer(section, (query, element) => go(query, { form: element.matches("form") ? element : null }));
  section.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });
  section.addEventListener("change", ({ target }) => {
    if (target.form?.id === "payments-form" && target.type !== "search") submit(target.form);
  });
  section.addEventListener("input", ({ target }) => {
    if (target.id !== "payments-search") return;
    clearTimeout(pause);
    pause = setTimeout(search, TYPING, target);
  });
  addEventListener("popstate", () => clearTimeout(pause));
  section.addEventListener("panel:shown", () => note(false));
  setInterval(() => (held && !isRead(section.querySelector(RESULTS)) ? take(held) : note(false)), 1_000);
  note(false);
});
