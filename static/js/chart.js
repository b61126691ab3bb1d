// Draws the chart with uPlot over the server's drawing: what adds up as bars, states as lines; reading by pointer, finger
// and keyboard, zoom by dragging, both themes. uPlot has the scales, the axes and the pointer; the marks are drawn here.
// Colours and dashes are those of the legend's swatches (css/chart.css); values come from /api/history/series.
"use strict";
function chartPanel(section, go) {
  const DAY_MS = 86_400_000;
  const WIDE = 0.8; // of its bucket that a bar takes
  const MINUS = "\u2212";
  const SIZES = ["GB", "TB", "PB", "EB"];
  const WORDS = { simulated: "simulated", backfilled: "backfilled", import: "from the replaced tracker", live: "as last read" };
  let kept = {}; // address and text of the answer: shown at once when the panel is replaced
  let plot = null;
  let answer = null;
  let steered = null; // the day that the arrow keys have read
  let rested = null; // the day under the pointer: it stays there through a refresh
  let number = 0; // of the newest drawing: an older one's answer is not put in place

  const root = () => section.querySelector(".chart");
  const place = () => section.querySelector(".chart-plot");
  const entry = (series) => section.querySelector(`.chart-legend li[data-key="${CSS.escape(series.key)}"]`);
  const shown = () => answer.series.filter(entry); // the others only stand in the tooltip
  const units = () => [...new Set(shown().map(({ unit }) => unit))];
  const isBar = (series) => series.additive && !answer.cumulative;
  const goesOn = (index) => answer.ends[index] >= root().dataset.today;

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

  // Reading values: the legend and a box at the pointer tell those of the bucket under it, else the legend the last
  // known ones, as the server wrote them.

  function change(series, index) {
    const [value, before] = [series.points[index], series.points[index - 1]];
    const whole = [index, index - 1].every((at) => !series.partial.includes(answer.dates[at]));
    if (!whole || !before || value === null) return "";
    const percent = ((value - before) / before) * 100;
    return `${percent < 0 ? "▼" : percent ? "▲" : "="} ${grouped(Math.abs(percent), 1)} % on the ${answer.bucket} before`;
  }

  function read(index) {
    for (const series of shown()) {
      const item = entry(series);
      const [value, when] = [item.querySelector("[data-chart-value]"), item.querySelector("[data-chart-when]")];
      value.dataset.last ??= value.textContent;
      if (when) when.dataset.last ??= when.textContent;
      value.textContent = index === null ? value.dataset.last : reading(series, index);
      if (when) when.textContent = index === null ? when.dataset.last : span(index);
    }
  }

  function tell(live, index) {
    const values = shown().map((series) => `${series.label} ${reading(series, index)}`).join("; ");
    live.setAttribute("aria-valuenow", index);
    live.setAttribute("aria-valuetext", `${span(index)}: ${values}`);
  }

  function tip(u, index) {
    const box = place()?.querySelector(".chart-tip");
    if (!box) return;
    box.hidden = index === null;
    if (box.hidden) return;
    const heading = Object.assign(document.createElement("b"), { textContent: span(index) + (goesOn(index) ? ", in progress" : "") });
    const lines = answer.series.flatMap((series) => [`${series.label}: ${reading(series, index)}`, entry(series) ? change(series, index) : ""]);
    box.replaceChildren(heading, ...lines.filter(Boolean).map((textContent) => Object.assign(document.createElement("div"), { textContent })));
    const x = u.over.offsetLeft + u.valToPos(index, "x");
    const left = x + 16 + box.offsetWidth < place().clientWidth ? x + 16 : Math.max(0, x - 16 - box.offsetWidth);
    box.style.transform = `translate(${left}px, ${u.over.offsetTop + 8}px)`;
  }

  // Drawing

  // Colours of the theme: css/chart.css gives them to the box that is drawn in, there they are resolved.
  function ink() {
    const box = getComputedStyle(section.querySelector(".chart-live"));
    return { text: box.color, line: box.borderBottomColor, ground: box.backgroundColor, mark: box.caretColor, font: box.fontFamily };
  }

  function pen(series) {
    const path = entry(series)?.querySelector("path");
    if (!path) return { stroke: ink().text, dash: [] };
    const { stroke, strokeDasharray } = getComputedStyle(path);
    return { stroke, dash: (strokeDasharray.match(/[\d.]+/g) ?? []).map(Number) };
  }

  function hatch(ctx, { x, y, width, height }, colour) {
    ctx.save();
    ctx.beginPath();
    ctx.rect(x, y, width, height);
    ctx.clip();
    ctx.beginPath();
    for (let at = x - height; at < x + width; at += 6 * devicePixelRatio) {
      ctx.moveTo(at, y + height);
      ctx.lineTo(at + height, y);
    }
    Object.assign(ctx, { strokeStyle: colour, lineWidth: 1.5 * devicePixelRatio });
    ctx.stroke();
    ctx.restore();
  }

  // Bars of different series are side by side; incomplete ones are hatched, previous ones dotted.
  function drawBars(u) {
    const bars = shown().filter(isBar);
    const slot = Math.abs(u.valToPos(1, "x", true) - u.valToPos(0, "x", true));
    const width = Math.max(1, (slot * WIDE) / bars.length);
    bars.forEach((series, number) => {
      const foot = u.valToPos(0, series.unit || "count", true);
      const { stroke } = pen(series);
      const shape = (value, index) => {
        const x = u.valToPos(index, "x", true) - (slot * WIDE) / 2 + number * width;
        const y = u.valToPos(value, series.unit || "count", true);
        return { x, y, width: width > 4 ? width - 1 : width, height: foot - y };
      };
      series.points.forEach((value, index) => {
        if (value === null) return;
        const box = shape(value, index);
        u.ctx.fillStyle = u.ctx.strokeStyle = stroke;
        if (!series.partial.includes(answer.dates[index])) return u.ctx.fillRect(box.x, box.y, box.width, box.height);
        u.ctx.lineWidth = devicePixelRatio;
        u.ctx.strokeRect(box.x, box.y, box.width, box.height);
        hatch(u.ctx, box, stroke);
      });
      u.ctx.setLineDash([2 * devicePixelRatio, 2 * devicePixelRatio]);
      Object.assign(u.ctx, { strokeStyle: ink().text, lineWidth: 1.5 * devicePixelRatio });
      series.ghost?.points.forEach((value, index) => {
        if (value === null) return;
        const box = shape(value, index);
        u.ctx.strokeRect(box.x, box.y, box.width, box.height);
      });
      u.ctx.setLineDash([]);
      if (root().dataset.mean) stroked(u, series, means(series), { colour: getComputedStyle(document.body).color, dash: [] });
    });
  }

  // The mean of each day and the six before, if all of them are complete.
  function means({ points, partial }) {
    const whole = points.map((value, index) => (partial.includes(answer.dates[index]) ? null : value));
    return whole.map((_, index) => {
      const week = whole.slice(Math.max(0, index - 6), index + 1);
      return week.length < 7 || week.includes(null) ? null : week.reduce((sum, value) => sum + value, 0) / 7;
    });
  }

  // A line through known values. Over gaps a faint step leads from the last value to the next.
  function stroked(u, series, points, { colour, dash, width = 2 }) {
    const { ctx } = u;
    const at = (index, value) => [u.valToPos(index, "x", true), u.valToPos(value, series.unit || "count", true)];
    const [solid, steps] = [new Path2D(), new Path2D()];
    let last = null;
    points.forEach((value, index) => {
      if (value === null) return;
      const here = at(index, value);
      if (last === index - 1 && last !== null) solid.lineTo(...here);
      else solid.moveTo(...here);
      if (last !== null && last < index - 1) {
        steps.moveTo(...at(last, points[last]));
        steps.lineTo(here[0], at(last, points[last])[1]);
        steps.lineTo(...here);
      }
      last = index;
    });
    ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
    Object.assign(ctx, { strokeStyle: colour, lineWidth: width * devicePixelRatio, lineJoin: "round" });
    ctx.stroke(solid);
    ctx.setLineDash([devicePixelRatio, 4 * devicePixelRatio]);
    ctx.stroke(steps);
    ctx.setLineDash([]);
  }

  // States, and sums that add up. A bucket that goes on is a ring beside the line, as is a point alone.
  function drawLines(u) {
    for (const series of shown().filter((one) => !isBar(one))) {
      const { stroke: colour, dash } = pen(series);
      const open = series.points.map((value, index) => series.partial.includes(answer.dates[index]) && goesOn(index));
      const joined = series.points.map((value, index) => (open[index] ? null : value));
      if (series.ghost) stroked(u, series, series.ghost.points, { colour, dash: [2, 3], width: 1.5 });
      stroked(u, series, joined, { colour, dash });
      const alone = (index) => (joined[index - 1] ?? null) === null && (joined[index + 1] ?? null) === null;
      series.points.forEach((value, index) => {
        const partial = series.partial.includes(answer.dates[index]);
        if (value === null || !(partial || alone(index))) return;
        u.ctx.beginPath();
        u.ctx.arc(u.valToPos(index, "x", true), u.valToPos(value, series.unit || "count", true), 3.5 * devicePixelRatio, 0, 7);
        Object.assign(u.ctx, { fillStyle: ink().ground, strokeStyle: colour, lineWidth: 2 * devicePixelRatio });
        u.ctx.fill();
        u.ctx.stroke();
      });
    }
  }

  // Days not read on their day: a hatched strip at the bottom of the chart.
  function drawMarks(u) {
    const { left, top, width, height } = u.bbox;
    for (const { start, end } of shown().flatMap(({ marks }) => marks).filter(({ source }) => source !== "live")) {
      const [first, last] = [answer.ends.findIndex((day) => day >= start), answer.dates.findLastIndex((day) => day <= end)];
      const from = Math.max(left, u.valToPos(first - 0.5, "x", true));
      const to = Math.min(left + width, u.valToPos(last + 0.5, "x", true));
      const tall = 6 * devicePixelRatio;
      hatch(u.ctx, { x: from, y: top + height - tall, width: to - from, height: tall }, ink().mark);
    }
  }

  function clipped(u, draw) {
    u.ctx.save();
    u.ctx.beginPath();
    u.ctx.rect(u.bbox.left, u.bbox.top - 4, u.bbox.width, u.bbox.height + 4);
    u.ctx.clip();
    draw(u);
    u.ctx.restore();
  }

  // One tick for each bucket, as long as they can be told apart; as many labels as there is room for, the last one first.
  function axes() {
    const common = {
      font: `12px ${ink().font}`,
      stroke: () => ink().text,
      ticks: { stroke: () => ink().line, width: 1, size: 6 },
      grid: { stroke: () => ink().line, width: 0.5 },
      gap: 6,
    };
    const room = (u) => Math.max(1, Math.ceil((answer.count * 8 * (label(0).length + 1)) / (u.bbox.width / devicePixelRatio)));
    const every = () => [...Array(answer.count).keys()];
    return [
      {
        ...common,
        size: 32,
        splits: (u) => (u.bbox.width / devicePixelRatio / answer.count >= 4 ? every() : every().filter((at) => (answer.count - 1 - at) % room(u) === 0)),
        values: (u, ticks) => ticks.map((at) => ((answer.count - 1 - at) % room(u) ? null : label(at))),
        grid: { show: false },
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

  // The year is shown if the range has two of them, and with months and quarters.
  function label(index) {
    const when = new Date(answer.dates[index]);
    if (answer.bucket === "quarter") return `Q${Math.floor(when.getUTCMonth() / 3) + 1} ${when.getUTCFullYear()}`;
    if (answer.bucket === "month") return `${month(when)} ${when.getUTCFullYear()}`;
    return day(answer.dates[index], answer.dates[0].slice(0, 4) !== answer.dates.at(-1).slice(0, 4));
  }

  function short(unit, value) {
    if (unit === "GB") return size(value);
    const text = value.toLocaleString("en", { notation: Math.abs(value) >= 10_000 ? "compact" : "standard", maximumSignificantDigits: 4 });
    return (unit === "USD" ? "$" : "") + text.replace("-", MINUS) + (unit === "%" ? " %" : "");
  }

  // Zooming: the view from one day to another.

  function look(start, end) {
    const query = new URLSearchParams(location.search);
    for (const key of ["days", "rows"]) query.delete(key);
    query.set("start", start);
    query.set("end", end);
    go(query);
  }

  function zoom(u) {
    const { left, width } = u.select;
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (width < 8) return;
    const [from, to] = [u.posToIdx(left), u.posToIdx(left + width)];
    if (from !== to) look(answer.dates[from], answer.ends[to]);
  }

  // A finger reads values; two pinch; along the dates, finger or mouse choose what to look at.
  function touch(u) {
    const fingers = new Map();
    const spread = () => Math.abs([...fingers.values()].reduce((a, b) => a - b));
    const inside = (event) => event.clientX - u.over.getBoundingClientRect().left;
    let wide = 0;
    u.over.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") return;
      fingers.set(event.pointerId, inside(event));
      if (fingers.size === 2) wide = spread();
      else u.setCursor({ left: inside(event), top: 0 });
    });
    u.over.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, inside(event));
      if (fingers.size === 1) u.setCursor({ left: inside(event), top: 0 });
    });
    const lift = (event) => {
      if (fingers.size === 2 && wide && event.type === "pointerup") pinched(u, [...fingers.values()], spread() / wide);
      fingers.delete(event.pointerId);
      wide = 0;
    };
    for (const name of ["pointerup", "pointercancel"]) u.over.addEventListener(name, lift);

    const axis = u.root.querySelector(".u-axis");
    let from = null;
    axis.addEventListener("pointerdown", (event) => {
      axis.setPointerCapture(event.pointerId);
      from = inside(event);
    });
    axis.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const ends = [from, inside(event)].map((x) => Math.min(u.over.clientWidth, Math.max(0, x))).sort((a, b) => a - b);
      u.setSelect({ left: ends[0], width: ends[1] - ends[0], top: 0, height: u.over.clientHeight }, false);
    });
    axis.addEventListener("pointerup", () => {
      if (from !== null) zoom(u);
      from = null;
    });
  }

  function pinched(u, places, by) {
    if (by > 0.9 && by < 1.1) return;
    const middle = u.posToIdx((places[0] + places[1]) / 2);
    const [first, last] = [Date.parse(answer.dates[0]), Date.parse(answer.ends.at(-1))];
    const reach = Math.max(DAY_MS, (last - first) / by / 2);
    const centre = Date.parse(answer.dates[middle]);
    const iso = (time) => new Date(time).toISOString().slice(0, 10);
    look(iso(centre - reach), iso(Math.min(centre + reach, Date.parse(root().dataset.today))));
  }

  // The scale of sums begins at 0, that of a state near its lowest value.
  function scale(unit) {
    const sums = shown().some((series) => series.additive && series.unit === unit);
    return [unit || "count", { range: { min: { pad: 0.1, soft: 0, mode: sums ? 1 : 3 }, max: { pad: 0.1 } } }];
  }

  // Data for uPlot's scales: every line, and the previous ones.
  function lines() {
    const ghosts = shown().filter(({ ghost }) => ghost).map((series) => ({ series, points: series.ghost.points }));
    return [...shown().map((series) => ({ series, points: series.points })), ...ghosts];
  }

  // `rest`: the bucket that the pointer was on.
  function options(width, rest) {
    const described = ({ series }) => ({
      label: series.label,
      scale: series.unit || "count",
      stroke: () => pen(series).stroke,
      paths: () => null,
      points: { show: false },
    });
    return {
      width,
      height: innerWidth < 740 ? 280 : 360,
      legend: { show: false },
      padding: [null, units().length > 1 ? null : 32, null, null], // half of the last label; a second axis has room
      scales: {
        x: { time: false, range: () => [-0.5, answer.count - 0.5] },
        ...Object.fromEntries(units().map(scale)),
      },
      series: [{}, ...lines().map(described)],
      axes: axes(),
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 7 }, y: false },
      hooks: {
        drawAxes: [(u) => clipped(u, drawBars)],
        draw: [(u) => clipped(u, drawLines), drawMarks],
        setSelect: [zoom],
        setCursor: [pointed],
        ready: [(u) => rest >= 0 && u.setCursor({ left: u.valToPos(rest, "x"), top: 0 })],
      },
    };
  }

  function pointed(u) {
    const index = u.cursor.left >= 0 ? (u.cursor.idx ?? null) : null;
    rested = index === null ? null : answer.dates[index];
    read(index);
    tip(u, index);
  }

  // Keyboard: a slider over the days, whose text is the reading.
  function steer(live, u) {
    const last = answer.count - 1;
    let at = answer.dates.includes(steered) ? answer.dates.indexOf(steered) : null;
    function move(index) {
      at = Math.min(last, Math.max(0, index));
      steered = answer.dates[at];
      u.setCursor({ left: u.valToPos(at, "x"), top: 0 });
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
    room.replaceChildren(live, Object.assign(document.createElement("div"), { className: "chart-tip", hidden: true, ariaHidden: "true" }));
    const rest = answer.dates.indexOf(rested);
    const data = [answer.dates.map((_, index) => index), ...lines().map(({ points }) => points)];
    plot = new uPlot(options(room.clientWidth, rest), data, live);
    steer(live, plot);
    touch(plot);
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
