// Keeps the overview current while it is visible, and shows when the server is away.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const lost = document.getElementById("lost");
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (lost) lost.hidden = event.detail.successful;
  });
});
