// The chart's links and fields change the address and ask for the panel again; what draws is loaded once it is seen.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const section = document.getElementById("panel-chart");
  if (!section || typeof panels === "undefined") return;

  const KEYS = ["metrics", "days", "start", "end", "bucket", "previous", "cumulative", "rows", "add"];
  const SEARCHED = 3; // letters from which on images are searched for
  const WAIT = 250; // ms
  let typed = 0; // timer
  let searched = "";
  let asked = false; // by a link or a field of this panel
  let carried = []; // what was written and not sent, while the panel is put anew
  let shown = new URLSearchParams(location.search); // the address whose answer stands here

  panels.follow(section, KEYS);

  const root = () => section.querySelector(".chart");
  const field = () => section.querySelector("#chart-add");

  // The link's or field's view in the address. It was made for the address that was shown: what has changed there
  // since, by another click whose answer is still to come, stays. Keys of other panels are left alone.
  async function go(query) {
    const [now, here] = [new URLSearchParams(location.search), new URLSearchParams(root()?.dataset.here)];
    const value = (key) => {
      if (now.get(key) === shown.get(key)) return query.get(key);
      if (key === "metrics") return merged(now.get(key), here.get(key), query.get(key));
      return (query.get(key) ?? "") === (here.get(key) ?? "") ? now.get(key) : query.get(key);
    };
    panels.go(Object.fromEntries(KEYS.map((key) => [key, value(key)])));
    asked = true;
    const answer = panels.refresh(section);
    asked = false;
    return answer;
  }

  // Takes out and adds to `now` what the way from `here` to `there` does.
  function merged(...lists) {
    const [now, here, there] = lists.map((list) => (list || "revenue_flux").split(","));
    const stays = now.filter((key) => there.includes(key) || !here.includes(key));
    return [...new Set([...stays, ...there.filter((key) => !here.includes(key))])].join(",");
  }

  async function goTo(query, place) {
    await go(query);
    const lost = document.activeElement === section || !section.contains(document.activeElement);
    if (place && lost) section.querySelector(place)?.focus({ preventScroll: true });
  }

  // Where the focus was, in the panel that takes the place of this one.
  function placeOf(link) {
    const list = link.closest("ul, p, details");
    const name = [...(list?.classList ?? [])].find((word) => word.startsWith("chart-") && word !== "chart-picks");
    if (!name || link.matches(".chart-drop")) return "#chart-add";
    const number = [...list.querySelectorAll("a")].indexOf(link);
    return name === "chart-row" ? `nav[aria-label="${link.closest("nav").ariaLabel}"] li:nth-child(${number + 1}) a` : `.${name} li:nth-child(${number + 1}) a`;
  }

  function send(form) {
    const query = new URLSearchParams(new FormData(form));
    const option = [...section.querySelectorAll("#chart-names option")].find((one) => one.value === query.get("add"));
    if (option) {
      const keys = (query.get("metrics") ?? "revenue_flux").split(",");
      query.set("metrics", [...new Set([...keys, option.dataset.key])].join(","));
      query.delete("add");
    }
    if (query.get("start") || query.get("end")) query.delete("days");
    return goTo(query, form.matches(".chart-add") ? "#chart-add" : ".chart-days button");
  }

  async function searchImages(text) {
    if (text.length < SEARCHED || text === searched) return;
    searched = text;
    const answer = await fetch(`/api/history/metrics?limit=30&search=${encodeURIComponent(text)}`).catch(() => null);
    if (!answer?.ok || field()?.value.trim() !== text) return;
    const { metrics } = await answer.json();
    const names = section.querySelector("#chart-names");
    const known = new Set([...names.options].map((option) => option.dataset.key));
    for (const metric of metrics.filter(({ key }) => !known.has(key))) {
      const option = new Option("Images", metric.label);
      option.dataset.key = metric.key;
      names.append(option);
    }
  }

  section.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || link.hasAttribute("download")) return;
    if (link.hasAttribute("data-chart-copy")) {
      event.preventDefault();
      copy(link);
    } else if (link.pathname === "/" && link.closest(".chart")) {
      event.preventDefault();
      goTo(new URLSearchParams(link.search), placeOf(link));
    }
  });
  section.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-chart-form]")) return;
    event.preventDefault();
    send(event.target);
  });
  section.addEventListener("change", (event) => {
    if (event.target.matches("[data-chart-form] input[type=checkbox]")) send(event.target.form);
  });
  section.addEventListener("input", (event) => {
    if (event.target !== field()) return;
    clearTimeout(typed);
    const chosen = !event.inputType || event.inputType === "insertReplacementText"; // from the list, not typed
    const names = [...section.querySelectorAll("#chart-names option")];
    if (chosen && names.some((option) => option.value === event.target.value)) send(event.target.form);
    else typed = setTimeout(searchImages, WAIT, event.target.value.trim());
  });

  // What was written into the forms and not sent stays: the panel waits while somebody is at it, else it is carried over.
  const written = () => [...section.querySelectorAll("[data-chart-form] :is([type=search], [type=date])")]
    .filter((one) => one.value !== one.defaultValue || one.validity.badInput);
  const writing = () => written().some((one) => one.form.contains(document.activeElement));

  section.addEventListener("panel:refresh", (event) => {
    if (!asked && panels.fits(section) && writing()) event.preventDefault();
  });
  section.addEventListener("panel:answer", (event) => {
    carried = panels.fits(section) ? written().map(({ name, value }) => [name, value]) : [];
    if (panels.fits(section) && writing()) event.preventDefault();
  });
  section.addEventListener("panel:shown", () => {
    shown = new URLSearchParams(location.search);
    for (const [name, value] of carried) section.querySelector(`[data-chart-form] [name=${name}]`).value = value;
    carried = [];
  });

  async function copy(link) {
    const said = section.querySelector(".chart-copied");
    try {
      await navigator.clipboard.writeText(link.href);
      said.textContent = "Link copied.";
    } catch {
      said.textContent = "";
      location.assign(link.href); // the address of the page is the link then
    }
  }

  // What draws comes with its library, by the hashed addresses that the panel names.
  function load(tag, attributes) {
    return new Promise((done, failed) => {
      const element = Object.assign(document.createElement(tag), attributes);
      element.addEventListener("load", done);
      element.addEventListener("error", failed);
      document.head.append(element);
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
