// The carousel moves unless reduced motion is preferred (css/feeds.css); it pauses on hover, focus and by a button.
// The list is duplicated visually only, so that it loops seamlessly.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const SPEED = 40; // px a second
  const section = panels.named("feeds");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const radio = (name) => section.querySelector(`input[name=feed][value="${CSS.escape(name ?? "")}"]`);
  const usual = section.dataset.usual;
  let chosen = section.querySelector("input[name=feed]:checked")?.value;

  function start() {
    if (radio(chosen)) radio(chosen).checked = true;
    for (const copy of section.querySelectorAll("[data-copy]")) copy.remove();
    const button = section.querySelector("[data-pause]");
    if (button) {
      button.hidden = still.matches;
      button.ariaPressed = String(section.classList.contains("paused"));
    }
    section.classList.toggle("moving", !still.matches);
    if (!still.matches) section.querySelectorAll(".window > ul").forEach(double);
  }

  function double(list) {
    const box = list.parentElement;
    const way = list.scrollWidth;
    if (!box.offsetParent || way <= box.clientWidth) return; // not shown, or nothing is hidden
    const copy = list.cloneNode(true);
    Object.assign(copy, { ariaHidden: "true", inert: true });
    copy.dataset.copy = "";
    list.after(copy);
    box.scrollLeft = 0;
    for (const one of [list, copy]) one.style.animationDuration = `${way / SPEED}s`;
  }

  section.addEventListener("change", ({ target }) => {
    if (target.name !== "feed") return;
    chosen = target.value;
    panels.go({ feed: chosen === usual ? null : chosen }, { replace: true });
    start();
  });
  section.addEventListener("submit", (event) => event.preventDefault());
  section.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-pause]");
    if (button) button.ariaPressed = String(section.classList.toggle("paused"));
  });
  section.addEventListener("panel:shown", start);
  document.addEventListener("panels:address", () => {
    const name = new URLSearchParams(location.search).get("feed");
    const before = chosen;
    chosen = radio(name) ? name : usual;
    if (chosen !== before) start();
  });
  still.addEventListener("change", start);
  new ResizeObserver(start).observe(section);
});
