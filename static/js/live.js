// Keeps the page current: asks for the strip every 5 s while it is looked at, and says when the server is away.
// When the strip tells of newer data, the other panels are asked for, too ("panels:news").
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const strip = document.getElementById("panel-strip");
  const lost = document.querySelector("#lost > p");
  if (!strip || !window.htmx) return;

  const EVERY = 5_000; // ms
  let asked = Date.now();
  let version = told();

  function told() {
    return strip.querySelector("[data-version]")?.dataset.version ?? "";
  }

  async function ask() {
    asked = Date.now();
    await panels.refresh(strip, { quiet: true });
    if (told() === version) return;
    version = told();
    document.dispatchEvent(new CustomEvent("panels:news"));
  }

  document.addEventListener("panels:answered", (event) => {
    if (event.detail.ok || !event.detail.said) lost.hidden = event.detail.ok;
    times.set(event.detail.date);
  });
  strip.addEventListener("panel:refresh", (event) => {
    if (panels.asks(strip)) event.preventDefault(); // asked anew each time, a server that hangs would never be told of
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
  });

  setInterval(() => {
    if (!document.hidden && Date.now() - asked >= EVERY - 100) ask();
  }, EVERY);
});
