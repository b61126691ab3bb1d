// Draws the chart with uPlot over the server's drawing: hover, keyboard, zoom by dragging, both themes.
// Colours and dashes are those of the legend's swatches (css/chart.css); values come from /api/history/series.
"use strict";
function chartPanel(section, go) {
  const DAY = 86_400; // s
  const MINUS = "\u2212";
  const SIZES = ["GB", "TB", "PB", "EB"];
  const WORDS = { simulated: "simulated", backfilled: "backfilled", import: "from the replaced tracker", live: "as last read" };
  let kept = {}; // address and text of the answer: shown at once when the panel is replaced
  let plot = null;
  let answer = null;
  let steered = null; // the day that the arrow keys have read
  let number = 0; // of the newest drawing: an older one's answer is not put in place

  const root = () => section.querySelector(".chart");
  const place = () => section.querySelector(".chart-plot");
  const entry = (series) => section.querySelector(`.chart-legend li[data-key="${CSS.escape(series.key)}"]`);
  const units = () => [...new Set(answer.series.map(({ unit }) => unit))];

  function grouped(value, least, most = least) {
    return value.toLocaleString("en", { minimumFractionDigits: least, maximumFractionDigits: most }).replace("-", MINUS);
  }

  function size(gb) {
    let unit = 0;
    for (; Math.abs(gb) >= 1000 && unit < SIZES.length - 1; unit++) gb /= 1000;
    return `${grouped(gb, Math.abs(gb) >= 9.995 ? 1 : 2)} ${SIZES[unit]}`;
  }

  function words({ key, unit }, value) {
    const digits = Math.max(2, 3 - Math.floor(Math.log10(value)));
    if (key === "flux_price_usd" && value > 0) return `$${grouped(value, digits)}`;
    if (unit === "USD") return value > 0 && value < 0.005 ? "< $0.01" : `$${grouped(value, 2)}`;
    if (unit === "GB") return size(value);
    if (unit === "FLUX" || unit === "%") return `${grouped(value, 2)} ${unit}`;
    return grouped(value, 0, 1) + (unit === "cores" ? " cores" : "");
  }

  const month = (when) => when.toLocaleString("en", { month: "short", timeZone: "UTC" });

  function day(iso, year = true) {
    const when = new Date(iso);
    return `${when.getUTCDate()} ${month(when)}${year ? ` ${when.getUTCFullYear()}` : ""}`;
  }

  function span(index) {
    const [first, last] = [answer.dates[index], answer.ends[index]];
    return first === last ? day(first) : `${day(first, first.slice(0, 4) !== last.slice(0, 4))} – ${day(last)}`;
  }

  function notes(series, index) {
    const date = answer.dates[index];
    const found = series.marks.filter(({ start, end }) => start <= answer.ends[index] && date <= end);
    const words = found.map(({ source }) => WORDS[source]);
    if (series.partial.includes(date)) words.unshift("incomplete");
    return words.length ? ` (${words.join(", ")})` : "";
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
    const box = getComputedStyle(section.querySelector(".chart-live"));
    return { text: box.color, line: box.borderBottomColor, ground: box.backgroundColor, mark: box.caretColor, font: box.fontFamily };
  }

  function line(series, ghost) {
    const path = entry(series)?.querySelector("path");
    if (!path) return { stroke: ink().text, dash: [] };
    const { stroke, strokeDasharray } = getComputedStyle(path);
    return { stroke, dash: ghost ? [2, 3] : (strokeDasharray.match(/[\d.]+/g) ?? []).map(Number) };
  }

  // Every line: the series themselves, then those before.
  function lines() {
    const now = answer.series.map((series) => ({ series, points: series.points, ghost: false }));
    const before = answer.series.filter(({ ghost }) => ghost);
    return [...now, ...before.map((series) => ({ series, points: series.ghost.points, ghost: true }))];
  }

  // Points that a line alone would not show: alone between two gaps, or not whole.
  function lonely({ series, points, ghost }) {
    return points.flatMap((value, at) => {
      const alone = (points[at - 1] ?? null) === null && (points[at + 1] ?? null) === null;
      const partial = !ghost && series.partial.includes(answer.dates[at]);
      return value !== null && (alone || partial) ? [at] : [];
    });
  }

  function described(drawn) {
    const { series, ghost } = drawn;
    const marked = lonely(drawn);
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

  function axes() {
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
      ...units().slice(0, 2).map((unit, at) => ({
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
    return long ? `${month(when)} ${when.getUTCFullYear()}` : day(when, false);
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
    for (const key of ["days", "rows"]) query.delete(key);
    query.set("start", answer.dates[from]);
    query.set("end", answer.ends[to]);
    go(query);
  }

  // The scale of what adds up begins at 0, that of a state near its lowest value.
  function scale(unit) {
    const sums = answer.series.some((series) => series.additive && series.unit === unit);
    return [unit || "count", { range: { min: { pad: 0.1, soft: 0, mode: sums ? 1 : 3 }, max: { pad: 0.1 } } }];
  }

  function options(live, width) {
    return {
      width,
      height: innerWidth < 740 ? 280 : 360,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      padding: [null, units().length > 1 ? null : 32, null, null], // half of the last date's label; a second axis has room
      scales: {
        x: { range: (u, min, max) => (answer.count > 1 ? [min, max] : [min - DAY, min + DAY]) },
        ...Object.fromEntries(units().map(scale)),
      },
      series: [{}, ...lines().map(described)],
      axes: axes(),
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 7 }, y: false },
      hooks: {
        draw: [drawMarks],
        setSelect: [zoom],
        setCursor: [(u) => read(u.cursor.left >= 0 ? (u.cursor.idx ?? null) : null)],
      },
    };
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
    const live = section.querySelector(".chart-frame").content.firstElementChild.cloneNode();
    live.ariaValueMax = answer.count - 1;
    const focused = room.contains(document.activeElement);
    room.replaceChildren(live);
    const data = [answer.dates.map((date) => Date.parse(date) / 1000), ...lines().map(({ points }) => points)];
    plot = new uPlot(options(live, room.clientWidth), data, live);
    steer(live, plot);
    if (focused) live.focus({ preventScroll: true });
    const how = section.querySelector(".chart-how");
    how.hidden = false;
    how.querySelector("[data-chart-third]").hidden = units().length < 3;
  }

  async function show() {
    const url = root()?.dataset.series;
    const trouble = section.querySelector(".chart-trouble");
    if (!url || !place()) return;
    const mine = ++number;
    const known = kept.url === url ? kept.text : "";
    if (known) mount();
    try {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const text = await response.text();
      if (mine !== number || text === known) return;
      kept = { url, text };
      answer = JSON.parse(text);
      mount();
      trouble.textContent = "";
    } catch {
      if (mine === number) trouble.textContent = trouble.dataset.failed;
    }
  }

  const again = () => plot?.redraw(false, true);

  new ResizeObserver(() => {
    const width = place()?.clientWidth;
    if (plot && width && width !== plot.width) plot.setSize({ width, height: plot.height });
  }).observe(section);
  new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", again);
  section.addEventListener("panel:shown", show);
  show();
}
