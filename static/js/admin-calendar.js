// The days of the calendar are one stop of the Tab key; arrow keys go from day to day.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const links = [...document.querySelectorAll(".months a[data-day]")];
  if (!links.length) return;
  const byDay = new Map(links.map((link) => [link.dataset.day, link]));
  const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };

  function shift(day, change) {
    const date = new Date(`${day}T00:00:00Z`);
    change(date);
    return byDay.get(date.toISOString().slice(0, 10));
  }

  function target(key, day) {
    if (key in STEPS) return shift(day, (date) => date.setUTCDate(date.getUTCDate() + STEPS[key]));
    if (key === "PageUp") return shift(day, (date) => date.setUTCMonth(date.getUTCMonth() - 1));
    if (key === "PageDown") return shift(day, (date) => date.setUTCMonth(date.getUTCMonth() + 1));
    if (key === "Home") return links[0];
    if (key === "End") return links.at(-1);
    return undefined;
  }

  function choose(link) {
    for (const other of links) other.tabIndex = other === link ? 0 : -1;
  }

  choose(document.querySelector(".months [aria-current]") ?? links.at(-1));
  document.querySelector(".months").addEventListener("keydown", (event) => {
    const day = event.target.closest("a[data-day]")?.dataset.day;
    const link = day && !event.ctrlKey && !event.metaKey && !event.altKey && target(event.key, day);
    if (!link) return;
    event.preventDefault();
    choose(link);
    link.focus();
  });
});
