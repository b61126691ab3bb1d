// Dark or light: the system's choice, or the button's, kept under the same key as the Django admin keeps it.
"use strict";
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)");

  function kept() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is blocked: the system chooses
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // the choice holds for this page
    }
  }

  function shown() {
    return root.dataset.theme ?? (system.matches ? "light" : "dark");
  }

  if (["dark", "light"].includes(kept())) root.dataset.theme = kept();

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const label = () => (button.textContent = shown() === "dark" ? "Light theme" : "Dark theme");
    button.addEventListener("click", () => {
      root.dataset.theme = shown() === "dark" ? "light" : "dark";
      keep(root.dataset.theme);
      label();
    });
    system.addEventListener("change", label);
    button.hidden = false;
    label();
  });
})();
