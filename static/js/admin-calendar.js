// The calendar's days are one Tab stop; arrow keys move between days.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const links = [...document.querySelectorAll(".months a[data-day]")];
  if (!links.length) return;
  const byDay = new Map(links.map((link) => [link.dataset.day, link]));
  const byDays = (days) => (date) => date.setUTCDate(date.getUTCDate() + days);
  const byMonths = (months) => (date) => date.setUTCMonth(date.getUTCMonth() + months);
  const MOVES = {
    ArrowLeft: byDays(-1), ArrowRight: byDays(1), ArrowUp: byDays(-7), ArrowDown: byDays(7),
    PageUp: byMonths(-1), PageDown: byMonths(1),
  };

  function target(key, day) {
    if (key === "Home") return links[0];
    if (key === "End") return links.at(-1);
    const date = new Date(`${day}T00:00:00Z`);
    return MOVES[key]?.(date) && byDay.get(date.toISOString().slice(0, 10));
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
