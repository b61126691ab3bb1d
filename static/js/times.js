// Updates ages, and adds the reader's local time to every UTC time on hover.
"use strict";
const times = (() => {
  let skew = 0; // ms that the server's clock is ahead of ours

  function ago(then) {
    const s = Math.max(0, Math.floor((Date.now() + skew - then) / 1000));
    if (s < 60) return `${s} s ago`;
    if (s < 3600) return `${Math.floor(s / 60)} min ago`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
    const on = new Date(then);
    const month = on.toLocaleString("en", { month: "short", timeZone: "UTC" });
    return `on ${on.getUTCDate()} ${month} ${on.getUTCFullYear()}`;
  }

  function show() {
    for (const time of document.querySelectorAll("time[data-age]")) {
      const words = ago(Date.parse(time.dateTime));
      if (time.textContent !== words) time.textContent = words;
    }
    for (const time of document.querySelectorAll("time[title$=UTC]")) {
      const local = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
      time.title = `${time.title}\n${local}, your time`;
    }
  }

  // The server's time is now `date` (ms since 1970).
  const set = (date) => date && (skew = date - Date.now());

  set(Date.parse(document.body.dataset.now));
  show();
  setInterval(show, 1_000);
  document.addEventListener("panel:shown", show);
  return { set };
})();
