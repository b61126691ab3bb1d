// Dark or light: the system's choice, or the button's, kept under the same key as the Django admin keeps it.
"use strict";
const storage = (() => {
  try {
    return localStorage;
  } catch {
    return null; // blocked: a choice holds for this page
  }
})();

(() => {
  const { dataset } = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)");
  const shown = () => dataset.theme ?? (system.matches ? "light" : "dark");
  const kept = storage?.getItem("theme");
  if (["dark", "light"].includes(kept)) dataset.theme = kept;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => (button.textContent = shown() === "dark" ? "Light theme" : "Dark theme");
    button.addEventListener("click", () => {
      dataset.theme = shown() === "dark" ? "light" : "dark";
      storage?.setItem("theme", dataset.theme);
      label();
    });
    system.addEventListener("change", label);
    button.hidden = false;
    label();
  });
})();
