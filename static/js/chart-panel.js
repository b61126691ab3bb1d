// The chart's links and fields change the URL and reload the panel; the chart library is loaded once visible.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const section = panels.named("chart");
  const SEARCHED = 3; // letters from which on images are searched for
  const WAIT = 250; // ms
  let typed = 0; // timer
  let searched = "";
  let shown = new URLSearchParams(location.search); // the address whose answer is shown

  const root = () => section.querySelector(".chart");
  const field = () => section.querySelector("#chart-add");
  const options = () => [...section.querySelectorAll("#chart-names option")];

  // The link's or field's view in the address. It was made for the address that was shown: what has changed there
  // since, by another click whose answer is still to come, stays.
  async function go(query) {
    const [now, here] = [new URLSearchParams(location.search), new URLSearchParams(root()?.dataset.here)];
    for (const key of new Set([...now.keys(), ...here.keys(), ...query.keys()])) {
      if (now.get(key) === shown.get(key)) continue;
      if (key === "metrics") query.set(key, merged(now.get(key), here.get(key), query.get(key)));
      else if ((query.get(key) ?? "") === (here.get(key) ?? "")) query.set(key, now.get(key) ?? "");
    }
    panels.follow(section, query);
    await panels.refresh(section);
    if (document.activeElement === section) field()?.focus({ preventScroll: true }); // what was used is gone
  }

  // Takes out and adds to `now` what the way from `here` to `there` does.
  function merged(...lists) {
    const [now, here, there] = lists.map((list) => (list || section.dataset.usual).split(","));
    const stays = now.filter((key) => there.includes(key) || !here.includes(key));
    return [...new Set([...stays, ...there.filter((key) => !here.includes(key))])].join(",");
  }

  function send(query) {
    const option = options().find((one) => one.value === query.get("add"));
    if (option) {
      const keys = (query.get("metrics") ?? section.dataset.usual).split(",");
      query.set("metrics", [...new Set([...keys, option.dataset.key])].join(","));
      query.delete("add");
    }
    if (query.get("start") || query.get("end")) query.delete("days");
    return go(query);
  }

  const submit = (form) => send(panels.queryOf(form));

  async function searchImages(text) {
    if (text.length < SEARCHED || text === searched) return;
    searched = text;
    const answer = await fetch(root().dataset.search + encodeURIComponent(text)).catch(() => null);
    if (!answer?.ok || field()?.value.trim() !== text) return;
    const known = new Set(options().map((option) => option.dataset.key));
    for (const { key, label } of (await answer.json()).metrics) {
      if (known.has(key)) continue;
      const option = new Option("Images", label);
      option.dataset.key = key;
      section.querySelector("#chart-names").append(option);
    }
  }

  async function copy(link) {
    const copied = section.querySelector(".chart-copied");
    try {
      await navigator.clipboard.writeText(link.href);
      copied.textContent = "Link copied.";
    } catch {
      location.assign(link.href); // the address of the page is the link then
    }
  }

  section.addEventListener("click", (event) => {
    const link = event.target.closest("[data-chart-copy]");
    if (!link || !panels.plain(event)) return;
    event.preventDefault();
    copy(link);
  });
  panels.steer(section, (query, element) => (element.matches("form") ? send(query) : go(query)));
  section.addEventListener("change", ({ target }) => {
    if (target.type === "checkbox") submit(target.form);
  });
  section.addEventListener("input", (event) => {
    if (event.target !== field()) return;
    clearTimeout(typed);
    const chosen = !event.inputType || event.inputType === "insertReplacementText"; // from the list, not typed
    if (chosen && options().some((option) => option.value === event.target.value)) submit(event.target.form);
    else typed = setTimeout(searchImages, WAIT, event.target.value.trim());
  });
  section.addEventListener("panel:shown", () => (shown = new URLSearchParams(location.search)));

  // The drawing code is loaded with its library, from the hashed URLs in the panel.
  function load(tag, attributes) {
    return new Promise((onload, onerror) => {
      document.head.append(Object.assign(document.createElement(tag), { ...attributes, onload, onerror }));
    });
  }

  async function draw() {
    const { uplot, uplotCss, chart } = root()?.dataset ?? {};
    if (!chart) return; // the panel failed, or the parts are not built: the server's drawing stays
    try {
      await Promise.all([load("link", { rel: "stylesheet", href: uplotCss }), load("script", { src: uplot })]);
      await load("script", { src: chart });
    } catch {
      return; // the server's drawing stays
    }
    chartPanel(section, go);
  }

  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    draw();
  }, { rootMargin: "200px" });
  seen.observe(section);
});
