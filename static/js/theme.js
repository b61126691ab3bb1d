// Dark, light or the system's theme, stored under the Django admin's key and values. Dark by default.
"use strict";
const storage = (() => {
  try {
    return localStorage;
  } catch {
    return null; // blocked: a choice holds for this page
  }
})();

(() => {
  const LABELS = { dark: "Dark", light: "Light", auto: "System" };
  const themes = Object.keys(LABELS);
  const { dataset } = document.documentElement;
  const kept = storage?.getItem("theme");
  dataset.theme = themes.includes(kept) ? kept : "dark";

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => (button.textContent = `Theme: ${LABELS[dataset.theme]}`);
    button.addEventListener("click", () => {
      dataset.theme = themes[(themes.indexOf(dataset.theme) + 1) % themes.length];
      storage?.setItem("theme", dataset.theme);
      label();
    });
    button.hidden = false;
    label();
  });
})();
