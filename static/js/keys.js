// Keys besides those of the period: "?" lists all of them, "/" focuses the search for payments.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("shortcuts");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.getElementById("keys").ariaPressed === "false") return;
    if (event.target.closest?.("input:not([type=radio], [type=checkbox]), select, textarea, [contenteditable]")) return;
    if (event.key === "?") box.showModal();
    else if (event.key === "/") document.getElementById("payments-search")?.focus();
    else return;
    event.preventDefault();
  });
  document.getElementById("keys-shown").addEventListener("click", () => box.showModal());
});
