// Describes the selected crontab next to its field (schedules in the admin).
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const field = document.getElementById("id_crontab");
  const readable = JSON.parse(document.getElementById("readable-crontabs").textContent);
  document.querySelector(".field-crontab_translation")?.setAttribute("hidden", "");
  if (!field) return;
  const words = document.createElement("div");
  words.className = "help";
  words.setAttribute("aria-live", "polite");
  document.querySelector(".field-crontab").append(words);
  const tell = () => (words.textContent = readable[field.value] ?? "");
  field.addEventListener("change", tell);
  tell();
});
