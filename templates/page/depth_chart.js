/* Charts with depth along the x axis, or the steps of training: one column per layer or step, read with the mouse or the arrow keys. */

const CHART_HEIGHT = 260;
/* Up to this many layers each gets a point of its own; beyond, points would run into a band. */
const MOST_POINTS = 64;
/* Logarithmic axes end here: float32 holds nothing beyond 1e±45, and a prediction beyond 1e±60 says no more than that line. */
const LOG_REACH = 60;
/* Share of an axis that stays free at both ends, so that no point lies on the border and is cut in half. */
const AIR = 0.06;

/**
 * What each chart draws. `y` is the scale: "log", "share" (0 to 1) or "asinh"; `lines` name columns of the report's series. One that is
 * `sparse` runs on over layers without a value: of a large network, the gradient is measured at some layers only.
 */
const DEPTH_CHARTS = {
  signal: {
    y: "log", title: "variance (logarithmic)", reference: [1, "1: the signal keeps its size"], lost: true,
    lines: [
      { key: "variance", label: "variance", colour: "measured", width: 2.5 },
      { key: "predicted", label: "predicted variance", colour: "predicted", dash: [7, 5] },
      { key: "meanSquare", label: "mean square", colour: "second", dash: [2, 3] },
      { key: "after", label: "variance after activation", colour: "third", hidden: true },
    ],
  },
  gradient: {
    y: "log", title: "gradient (logarithmic)", lost: true,
    lines: [
      { key: "gradientTotal", label: "of the layer", sparse: true, colour: "measured", width: 2.5, error: "gradientError", resolved: "resolved" },
      { key: "gradient", label: "per element", sparse: true, colour: "second", dash: [2, 3] },
      { key: "weightGradient", label: "weight gradient / weight", sparse: true, colour: "predicted", dash: [7, 5], hidden: true },
    ],
  },
  units: {
    y: "share", title: "share", lost: true,
    lines: [
      { key: "similarity", label: "similarity", colour: "measured", width: 2.5 },
      { key: "saturated", label: "saturated", sparse: true, colour: "predicted", dash: [7, 5] },
      { key: "dead", label: "dead", sparse: true, colour: "third", dash: [2, 3] },
    ],
  },
  scale: {
    y: "log", title: "std / target (logarithmic)", reference: [1, "1: as recommended for the start"],
    lines: [{ key: "ratio", label: "std / target", colour: "measured", bars: true }],
    alongside: [["std", "std"], ["target", "target"]],
  },
};

/* Labels that fit one above the other on an axis. */
const MOST_LABELS = 8;

/** Places of the grid on each kind of axis. The library's own lists of powers of ten end at 1e±32. */
const GRIDS = {
  share: () => [0, 0.2, 0.4, 0.6, 0.8, 1],
  log: (low, high) => {
    const [from, to] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
    const within = to - from > 2 ? [1] : [1, 2, 5];
    const step = Math.ceil((to - from) / MOST_LABELS);
    const places = [];
    for (let power = Math.ceil(from / step) * step; power <= to; power += step) places.push(...within.map((digit) => digit * 10 ** power));
    return places.filter((place) => place <= high);
  },
  asinh: (_, reach) => {
    if (reach < 10) return [-5, -2, -1, 0, 1, 2, 5].filter((place) => Math.abs(place) <= reach);
    const powers = Math.floor(Math.log10(reach));
    const step = Math.ceil((powers + 1) / (MOST_LABELS / 2));
    const side = [];
    for (let power = powers; power >= 0; power -= step) side.unshift(10 ** power);
    return [...side.map((place) => -place).reverse(), 0, ...side];
  },
};

/** The axes every chart shares, in the colours of the theme. */
function axes(y, title, along) {
  const font = "12px system-ui, sans-serif";
  const base = { stroke: colour("soft"), font, grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 5 } };
  const label = { labelFont: font, labelSize: 18, labelGap: 0 };
  return [
    { ...base, ...label, label: along, grid: { show: false }, size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000], space: 36 },
    {
      ...base, ...label, label: title, size: 58, filter: (_, splits) => splits,
      incrs: (u, _, low, high) => [10 ** Math.max(0, Math.ceil(Math.log10(high - low)))], // one that fits: the library asks for no splits where it finds none in its list
      splits: (u, _, low, high) => GRIDS[y](low, high),
      values: (_, splits) => splits.map(y === "share" ? (v) => `${Math.round(v * 100)} %` : showPower),
    },
  ];
}

function yScale(y, reference) {
  if (y === "share") return { range: [-AIR, 1 + AIR] };
  const decade = (value, round) => 10 ** Math.min(LOG_REACH, Math.max(-LOG_REACH, round(Math.log10(value))));
  return {
    distr: 3,
    range: (_, low, high) => {
      if (low === null) return [0.1, 10];
      const from = decade(Math.min(low, reference ?? low), Math.floor);
      const to = decade(Math.max(high, reference ?? high), Math.ceil);
      if (to <= from) return [from / 10, to * 10];
      const air = (to / from) ** AIR;
      return [from / air, to * air];
    },
  };
}

/**
 * A chart inside `holder`, with legend, readout, cursor, keys and zoom; returns { rebuild, resize, moveTo }. Its columns are layers, unless
 * `options.along` says what else: { places, unit, label, describe }.
 */
function depthChart(holder, data, title, lines, options) {
  const count = data.titles.length;
  const along = options.along ?? {
    places: Array.from({ length: count }, (_, index) => index + 1), unit: "layer", label: "layer, from the input to the output",
    describe: (index) => `${index + 1} ${data.titles[index]}`,
  };
  const { places } = along;
  const canvas = element("div", { className: "canvas", tabIndex: 0, role: "slider" });
  canvas.setAttribute("aria-label", `${title}: arrow keys move through the ${along.unit}s${options.along ? "" : ", Enter opens the layer"}`);
  canvas.setAttribute("aria-valuemin", "1");
  canvas.setAttribute("aria-valuemax", String(count));
  canvas.setAttribute("aria-valuenow", "1");
  canvas.setAttribute("aria-valuetext", `no ${along.unit} chosen`);
  const silent = () => element("small", {}, `point at the chart to read a ${along.unit}`);
  const readout = element("div", { className: "readout" }, silent());
  const legend = element("div", { className: "legend", role: "group" });
  legend.setAttribute("aria-label", "Lines of this chart");
  const marks = options.overlays.flatMap((overlay) => overlay.key);
  const key = element("p", { className: "key" }, ...marks.map(([symbol, tone, meaning]) => {
    const sign = SWATCHES.has(symbol) ? element("i", { className: `swatch ${symbol}` }) : element("i", { className: `triangle ${tone}` }, symbol);
    return element("span", {}, sign, meaning);
  }));
  holder.append(canvas, readout, legend, key);

  const shown = lines.map((line) => !line.hidden);
  const values = lines.map((line, number) => {
    const swatch = element("span", { className: `swatch ${line.dash ? (line.dash[0] > 4 ? "dashed" : "dotted") : ""}` });
    const value = element("span", { className: "value" }, "");
    const button = element("button", { type: "button" }, swatch, line.label, " ", value);
    button.setAttribute("aria-pressed", String(shown[number]));
    button.addEventListener("click", () => {
      shown[number] = !shown[number];
      button.setAttribute("aria-pressed", String(shown[number]));
      plot.setSeries(number + 1, { show: shown[number] });
    });
    legend.append(button);
    return { swatch, value };
  });

  const painters = (layer) => options.overlays.map((overlay) => overlay[layer]).filter(Boolean);
  let plot = null;
  let current = null;

  const describe = (index) => [along.describe(index),
    ...(options.alongside ?? []).map(([key, label]) => `${label} ${show(data.series[key][index])}`)].join(" · ");

  const onCursor = (u) => {
    const index = u.cursor.idx;
    current = index ?? null;
    readout.replaceChildren(index === null || index === undefined ? silent() : describe(index));
    lines.forEach((line, number) => { values[number].value.textContent = index === null || index === undefined || !line.column ? "" : show(line.column[index]); });
    if (index !== null && index !== undefined) {
      canvas.setAttribute("aria-valuenow", String(index + 1));
      const read = lines.filter((line) => line.column).map((line) => `${line.label} ${show(line.column[index])}`);
      canvas.setAttribute("aria-valuetext", [describe(index), ...read].join(", "));
    }
  };

  const build = () => {
    const zoom = plot ? { min: plot.scales.x.min, max: plot.scales.x.max } : null;
    plot?.destroy();
    lines.forEach((line, number) => { values[number].swatch.style.borderTopColor = colour(line.colour); });
    plot = new uPlot({
      width: Math.max(200, canvas.clientWidth), height: CHART_HEIGHT,
      legend: { show: false },
      cursor: { sync: { key: options.sync, setSeries: false }, drag: { x: true, y: false, dist: 6 }, points: { size: 8 }, y: false },
      focus: { alpha: 1 },
      scales: { x: { time: false, range: (_, low, high) => [Math.max(places[0] - 0.5, low - 0.5), Math.min(places[count - 1] + 0.5, high + 0.5)] }, y: options.scale },
      axes: axes(options.y, options.title, along.label),
      series: [{}, ...lines.map((line, number) => ({
        label: line.label, show: shown[number], scale: "y", spanGaps: false,
        stroke: colour(line.colour), width: line.width ?? 1.75, dash: line.dash,
        points: { show: count <= MOST_POINTS || undefined, size: 6, fill: colour(line.colour) },
        ...line.draw?.(),
      }))],
      hooks: { setCursor: [onCursor], drawClear: painters("under"), draw: painters("over") },
    }, [places, ...lines.map((line) => line.plotted)], canvas);
    if (zoom) plot.setScale("x", { min: zoom.min + 0.5, max: zoom.max - 0.5 });
    plot.over.addEventListener("click", () => { if (current !== null) options.open(current); });
  };

  const moveTo = (index) => {
    const bounded = Math.min(count - 1, Math.max(0, index));
    plot.setCursor({ left: plot.valToPos(places[bounded], "x"), top: 20 });
  };
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (step) options.moveAll(current === null ? (step > 0 ? 0 : count - 1) : current + step);
    else if (event.key === "Home") options.moveAll(0);
    else if (event.key === "End") options.moveAll(count - 1);
    else if (event.key === "Enter" && current !== null) options.open(current);
    else return;
    event.preventDefault();
  });

  build();
  return { rebuild: build, moveTo, resize: (size) => plot.setSize(size ?? { width: Math.max(200, canvas.clientWidth), height: CHART_HEIGHT }), canvas, plot: () => plot };
}

/** One of DEPTH_CHARTS for a report. */
function lineChart(holder, data, title, spec, shared) {
  // A line runs on over layers of which nothing is measured by design (undefined), and breaks where a value is missing (null).
  const byDesign = (line, index) => line.sparse || ["norm", "scale"].includes(data.kinds[index]);
  const absent = (line, index) => (line.column[index] === null && byDesign(line, index) ? undefined : null);
  const lines = spec.lines
    .map((line) => ({ ...line, column: data.series[line.key] }))
    .filter((line) => line.column.some((value) => value !== null))
    .map((line) => ({ ...line, plotted: line.column.map((value, index) => (isNumber(value) && (spec.y !== "log" || value > 0) ? value : absent(line, index))) }));
  for (const line of lines) {
    if (line.bars) line.draw = () => ({ paths: uPlot.paths.bars({ size: [0.7, 28] }), fill: colour(line.colour), width: 0, fillTo: 1, points: { show: data.titles.length <= MOST_POINTS, size: 6, fill: colour(line.colour) } });
    else if (line.resolved) line.draw = () => ({ points: { show: false } });
  }
  const overlays = [landmarks(data, spec.lost), ...lines.filter((line) => line.resolved).map((line) => measuredPoints(line, data))];
  if (spec.reference) overlays.push(referenceLine(...spec.reference));
  if (spec.y === "log") overlays.push(outOfScale(lines));
  return depthChart(holder, data, title, lines, { ...shared, y: spec.y, title: spec.title, scale: yScale(spec.y, spec.reference?.[0]), overlays, alongside: spec.alongside });
}
