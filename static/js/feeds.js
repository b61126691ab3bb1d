// The carousel moves by itself where motion is welcome: it pauses while it is looked into, and by a button.
// The list is doubled for the eye alone, so that it goes round without a seam.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const section = document.getElementById("panel-feeds");
  if (!section || !Element.prototype.animate) return;

  const SPEED = 40; // px a second
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const running = new Map(); // list -> its animation
  let paused = false; // by the button
  let chosen = section.querySelector("input[name=feed]:checked")?.value;

  // Shows the list that is chosen.
  function show() {
    const radio = [...section.querySelectorAll("input[name=feed]")].find((one) => one.value === chosen);
    if (radio) radio.checked = true;
    start();
  }

  function held() {
    return paused || section.matches(":hover") || Boolean(section.querySelector(".window:focus-visible, .window :focus-visible"));
  }

  function pace() {
    const hold = held();
    for (const animation of running.values()) hold ? animation.pause() : animation.play();
  }

  function stop() {
    for (const animation of running.values()) animation.cancel();
    running.clear();
    for (const copy of section.querySelectorAll("[data-copy]")) copy.remove();
    section.classList.remove("moving");
  }

  function start() {
    stop();
    const button = section.querySelector("[data-pause]");
    if (button) {
      button.hidden = still.matches;
      button.setAttribute("aria-pressed", String(paused));
    }
    if (still.matches) return;
    section.classList.add("moving");
    for (const list of section.querySelectorAll(".window > ul")) move(list);
    pace();
  }

  function move(list) {
    const box = list.parentElement;
    if (!box.offsetParent || list.scrollWidth <= box.clientWidth) return; // not shown, or nothing is hidden
    const copy = list.cloneNode(true);
    copy.dataset.copy = "";
    copy.setAttribute("aria-hidden", "true");
    copy.inert = true;
    const way = list.scrollWidth;
    list.after(copy);
    box.scrollLeft = 0;
    for (const one of [list, copy]) {
      const steps = [{ transform: "none" }, { transform: `translateX(${-way}px)` }];
      running.set(one, one.animate(steps, { duration: (way / SPEED) * 1000, iterations: Infinity }));
    }
  }

  section.addEventListener("change", (event) => {
    if (event.target.name !== "feed") return;
    chosen = event.target.value;
    panels.go({ feed: chosen === "network" ? null : chosen }, { replace: true });
    start();
  });
  section.addEventListener("submit", (event) => event.preventDefault());
  section.addEventListener("click", (event) => {
    if (!event.target.closest("[data-pause]")) return;
    paused = !paused;
    event.target.closest("[data-pause]").setAttribute("aria-pressed", String(paused));
    pace();
  });
  for (const name of ["mouseenter", "mouseleave", "focusin", "focusout"]) {
    section.addEventListener(name, () => requestAnimationFrame(pace));
  }
  section.addEventListener("panel:shown", show);
  document.addEventListener("panels:address", () => {
    const asked = new URLSearchParams(location.search).get("feed");
    const before = chosen;
    chosen = section.querySelector(`input[name=feed][value="${CSS.escape(asked ?? "")}"]`) ? asked : "network";
    if (chosen !== before) show();
  });
  still.addEventListener("change", start);
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(start, 200);
  });
  let resized = 0;
  start();
});
