// Draws the chart with uPlot over the server's drawing: hover, keyboard, zoom by dragging, both themes.
// Colours and dashes are those of the legend's swatches (css/chart.css); values come from /api/history/series.
"use strict";
function chartPanel(section, go) {
  const DAY = 86_400; // s
  const MINUS = "\u2212";
  const SIZES = ["GB", "TB", "PB", "EB"];
  const WORDS = { simulated: "simulated", backfilled: "backfilled", import: "from the tracker that was replaced", live: "as last read" };
  const kept = new Map(); // address -> its answer: shown at once when the panel is put anew
  let plot = null;
  let answer = null;
  let steered = null; // the day that the arrow keys have read
  let number = 0; // of the newest drawing: an older one's answer is not put in place

  const root = () => section.querySelector(".chart");
  const place = () => section.querySelector(".chart-plot");
  const entry = (series) => section.querySelector(`.chart-legend li[data-key="${CSS.escape(series.key)}"]`);
  const style = (element) => getComputedStyle(element);

  // Words

  function grouped(value, least, most) {
    return value.toLocaleString("en", { minimumFractionDigits: least, maximumFractionDigits: most }).replace("-", MINUS);
  }

  function size(gb) {
    let unit = 0;
    for (; Math.abs(gb) >= 1000 && unit < SIZES.length - 1; unit++) gb /= 1000;
    const places = Math.abs(gb) >= 9.995 ? 1 : 2;
    return `${grouped(gb, places, places)} ${SIZES[unit]}`;
  }

  function price(value) {
    const places = Math.max(2, 3 - Math.floor(Math.log10(value)));
    return `$${grouped(value, places, places)}`;
  }

  function words({ key, unit }, value) {
    if (key === "flux_price_usd" && value > 0) return price(value);
    if (unit === "FLUX") return `${grouped(value, 2, 2)} FLUX`;
    if (unit === "USD") return value > 0 && value < 0.005 ? "< $0.01" : `$${grouped(value, 2, 2)}`;
    if (unit === "GB") return size(value);
    if (unit === "%") return `${grouped(value, 2, 2)} %`;
    return grouped(value, 0, 1) + (unit === "cores" ? " cores" : "");
  }

  function day(iso, year = true) {
    const when = new Date(iso);
    const month = when.toLocaleString("en", { month: "short", timeZone: "UTC" });
    return `${when.getUTCDate()} ${month}${year ? ` ${when.getUTCFullYear()}` : ""}`;
  }

  function span(index) {
    const [first, last] = [answer.dates[index], answer.ends[index]];
    return first === last ? day(first) : `${day(first, first.slice(0, 4) !== last.slice(0, 4))} – ${day(last)}`;
  }

  function notes(series, index) {
    const date = answer.dates[index];
    const found = series.marks.filter(({ start, end }) => start <= answer.ends[index] && date <= end).map(({ source }) => WORDS[source]);
    if (series.partial.includes(date)) found.unshift("not whole");
    return found.length ? ` (${found.join(", ")})` : "";
  }

  function reading(series, index) {
    const value = series.points[index];
    const before = series.ghost?.points[index];
    const now = value === null ? "not known" : words(series, value) + notes(series, index);
    return before === null || before === undefined ? now : `${now}, before: ${words(series, before)}`;
  }

  // Reading values: the legend tells those under the cursor, else the last known ones, as the server wrote them.

  function read(index) {
    for (const series of answer.series) {
      const item = entry(series);
      if (!item) continue;
      const [value, when] = [item.querySelector("[data-chart-value]"), item.querySelector("[data-chart-when]")];
      value.dataset.last ??= value.textContent;
      if (when) when.dataset.last ??= when.textContent;
      value.textContent = index === null ? value.dataset.last : reading(series, index);
      if (when) when.textContent = index === null ? when.dataset.last : span(index);
    }
  }

  function tell(live, index) {
    const said = answer.series.map((series) => `${series.label} ${reading(series, index)}`).join("; ");
    live.setAttribute("aria-valuenow", index);
    live.setAttribute("aria-valuetext", `${span(index)}: ${said}`);
  }

  // Drawing

  // Colours of the theme: css/chart.css gives them to the box that is drawn in, there they are resolved.
  function ink() {
    const box = style(section.querySelector(".chart-live"));
    return { text: box.color, line: box.borderBottomColor, ground: box.backgroundColor, mark: box.caretColor, font: box.fontFamily };
  }

  function line(series, ghost) {
    const path = entry(series)?.querySelector("path");
    if (!path) return { stroke: ink().text, dash: [] };
    const dash = ghost ? [2, 3] : (style(path).strokeDasharray.match(/[\d.]+/g) ?? []).map(Number);
    return { stroke: style(path).stroke, dash };
  }

  // Points that a line alone would not show: alone between two gaps, or not whole.
  function lonely(points, partial) {
    return points.flatMap((value, at) => {
      const alone = (points[at - 1] ?? null) === null && (points[at + 1] ?? null) === null;
      return value !== null && (alone || partial.has(at)) ? [at] : [];
    });
  }

  function described(series, points, partial, ghost) {
    const marked = lonely(points, partial);
    return {
      label: series.label,
      scale: series.unit || "count",
      width: ghost ? 1.5 : 2,
      alpha: ghost ? 0.7 : 1,
      spanGaps: false,
      stroke: () => line(series, ghost).stroke,
      dash: line(series, ghost).dash,
      points: { show: () => false, filter: () => marked, size: 7, width: 2, fill: () => ink().ground, stroke: () => line(series, ghost).stroke },
    };
  }

  function axes(units) {
    const days = (u, ticks) => ticks.map((tick) => (tick % DAY ? null : tick)); // no hours
    const common = {
      font: `12px ${ink().font}`,
      stroke: () => ink().text,
      ticks: { stroke: () => ink().line, width: 1, size: 6 },
      grid: { stroke: () => ink().line, width: 0.5 },
      gap: 6,
    };
    return [
      {
        ...common,
        space: 80,
        size: 32,
        filter: days,
        values: (u, ticks) => ticks.map((tick) => tick && dayOf(u, tick)),
        ticks: { ...common.ticks, filter: days },
        grid: { ...common.grid, filter: days },
      },
      ...units.slice(0, 2).map((unit, at) => ({
        ...common,
        scale: unit || "count",
        side: at ? 1 : 3,
        size: (u, values) => 16 + 7.5 * Math.max(3, ...(values ?? []).map((text) => text.length)),
        values: (u, ticks) => ticks.map((tick) => short(unit, tick)),
        grid: { ...common.grid, show: !at },
      })),
    ];
  }

  function dayOf(u, tick) {
    const long = u.scales.x.max - u.scales.x.min > 300 * DAY;
    const when = new Date(tick * 1000);
    const month = when.toLocaleString("en", { month: "short", timeZone: "UTC" });
    return long ? `${month} ${when.getUTCFullYear()}` : `${when.getUTCDate()} ${month}`;
  }

  function short(unit, value) {
    if (unit === "GB") return size(value);
    const text = value.toLocaleString("en", { notation: Math.abs(value) >= 10_000 ? "compact" : "standard", maximumSignificantDigits: 4 });
    return (unit === "USD" ? "$" : "") + text.replace("-", MINUS) + (unit === "%" ? " %" : "");
  }

  // Days that were not read on their day: a hatched strip at the foot of the chart.
  function drawMarks(u) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const spans = answer.series.flatMap(({ marks }) => marks).filter(({ source }) => source !== "live");
    ctx.save();
    ctx.beginPath();
    for (const { start, end } of spans) {
      const from = Math.max(left, u.valToPos(Date.parse(start) / 1000 - DAY / 2, "x", true));
      const to = Math.min(left + width, u.valToPos(Date.parse(end) / 1000 + DAY / 2, "x", true));
      ctx.rect(from, top + height - 6 * devicePixelRatio, to - from, 6 * devicePixelRatio);
    }
    ctx.clip();
    ctx.beginPath();
    for (let x = left - height; x < left + width; x += 5 * devicePixelRatio) {
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + 6 * devicePixelRatio, top + height - 6 * devicePixelRatio);
    }
    ctx.strokeStyle = ink().mark;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.stroke();
    ctx.restore();
  }

  function zoom(u) {
    const { left, width } = u.select;
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (width < 8) return;
    const [from, to] = [u.posToIdx(left), u.posToIdx(left + width)];
    if (from === to) return;
    const query = new URLSearchParams(location.search);
    query.delete("days");
    query.delete("rows");
    query.set("start", answer.dates[from]);
    query.set("end", answer.ends[to]);
    go(query);
  }

  // What adds up is measured from 0; what is a state is looked at from nearby.
  function floor(unit) {
    const sums = answer.series.some((series) => series.additive && series.unit === unit);
    return { pad: 0.1, soft: 0, mode: sums ? 1 : 3 };
  }

  function options(live, width) {
    const units = [...new Set(answer.series.map(({ unit }) => unit))];
    const partial = ({ partial: dates }) => new Set(dates.map((date) => answer.dates.indexOf(date)));
    const ghosts = answer.series.filter(({ ghost }) => ghost);
    return {
      width,
      height: innerWidth < 740 ? 280 : 360,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      padding: [null, units.length > 1 ? null : 32, null, null], // half of the last date's label; a second axis has room
      scales: {
        x: { range: (u, min, max) => (answer.count > 1 ? [min, max] : [min - DAY, min + DAY]) },
        ...Object.fromEntries(units.map((unit) => [unit || "count", { range: { min: floor(unit), max: { pad: 0.1 } } }])),
      },
      series: [
        {},
        ...answer.series.map((series) => described(series, series.points, partial(series), false)),
        ...ghosts.map((series) => described(series, series.ghost.points, new Set(), true)),
      ],
      axes: axes(units),
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 7 }, y: false },
      hooks: {
        draw: [drawMarks],
        setSelect: [zoom],
        setCursor: [(u) => read(u.cursor.left >= 0 ? (u.cursor.idx ?? null) : null)],
      },
    };
  }

  function data() {
    const ghosts = answer.series.filter(({ ghost }) => ghost);
    return [
      answer.dates.map((date) => Date.parse(date) / 1000),
      ...answer.series.map(({ points }) => points),
      ...ghosts.map(({ ghost }) => ghost.points),
    ];
  }

  // Keyboard: a slider over the days, whose text is the reading.
  function steer(live, u) {
    const last = answer.count - 1;
    let at = answer.dates.includes(steered) ? answer.dates.indexOf(steered) : null;
    function move(index) {
      at = Math.min(last, Math.max(0, index));
      steered = answer.dates[at];
      u.setCursor({ left: u.valToPos(u.data[0][at], "x"), top: 0 });
      read(at);
      tell(live, at);
    }
    const moves = {
      ArrowLeft: () => at - 1, ArrowDown: () => at - 1, ArrowRight: () => at + 1, ArrowUp: () => at + 1,
      PageUp: () => at - 7, PageDown: () => at + 7, Home: () => 0, End: () => last,
    };
    live.addEventListener("focus", () => { if (live.matches(":focus-visible")) move(at ?? last); });
    live.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !moves[event.key]) return;
      event.preventDefault();
      if (at === null) at = last;
      move(moves[event.key]());
    });
    live.addEventListener("blur", () => {
      u.setCursor({ left: -10, top: -10 });
      read(null);
    });
    tell(live, last);
  }

  function mount() {
    plot?.destroy();
    plot = null;
    const room = place();
    if (!room || !answer.count) return;
    const live = document.createElement("div");
    live.className = "chart-live";
    live.tabIndex = 0;
    const attributes = { role: "slider", "aria-label": "Values of the chart, by arrow keys", "aria-orientation": "horizontal", "aria-valuemin": 0, "aria-valuemax": answer.count - 1 };
    for (const [name, value] of Object.entries(attributes)) live.setAttribute(name, value);
    const focused = room.contains(document.activeElement);
    room.replaceChildren(live);
    plot = new uPlot(options(live, room.clientWidth), data(), live);
    steer(live, plot);
    if (focused) live.focus({ preventScroll: true });
    const how = section.querySelector(".chart-how");
    how.hidden = false;
    how.querySelector("[data-chart-third]").hidden = new Set(answer.series.map(({ unit }) => unit)).size < 3;
  }

  async function show() {
    const panel = root();
    if (!panel || !place()) return;
    const mine = ++number;
    const url = `/api/history/series?${panel.dataset.exactly}`;
    if (kept.has(url)) {
      answer = kept.get(url);
      mount();
    }
    try {
      const asked = await fetch(url);
      if (!asked.ok) throw new Error(`HTTP ${asked.status}`);
      const found = await asked.json();
      if (mine !== number) return;
      const same = JSON.stringify(found) === JSON.stringify(kept.get(url));
      kept.clear();
      kept.set(url, found);
      if (same) return;
      answer = found;
      mount();
      section.querySelector(".chart-trouble").textContent = "";
    } catch {
      const trouble = section.querySelector(".chart-trouble");
      if (mine === number && trouble) trouble.textContent = "The values could not be fetched; what is drawn here is what the server drew last. The next refresh tries again.";
    }
  }

  function again() {
    if (!plot) return;
    plot.redraw(false, true);
  }

  new ResizeObserver(() => {
    const room = place();
    if (plot && room?.clientWidth && room.clientWidth !== plot.width) plot.setSize({ width: room.clientWidth, height: plot.height });
  }).observe(section);
  new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", again);
  section.addEventListener("panel:shown", show);
  show();
}
