/* The map of the network: dagre lays out each column, what follows draws it. */

/* CSS pixels: width of a layer, margin, gutter between columns, line of captions, dot where a column goes on, printed line; then how much
   wider than its box the map is when an overview helps, boxes in a column that are ranked quickly instead of best, decades from 1 to the
   strongest colour, and its share in per cent: text on it keeps its contrast. */
const MAP = { width: 178, edge: 12, between: 44, caption: 20, again: 8, paper: 1500, legible: 1.5, many: 100, decades: 6, strongest: 48 };

const drawn = (tag, attributes = {}, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

/** Width of a text in CSS pixels, and the text cut from the front until it fits: the end of a name tells layers apart. */
const mapText = (() => {
  const context = document.createElement("canvas").getContext("2d");
  const width = (text, font) => { context.font = `${font} system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif`; return context.measureText(text).width; };
  const fit = (text, font, room) => {
    if (width(text, font) <= room) return text;
    const letters = [...text];
    let [fits, long] = [0, letters.length];
    while (long - fits > 1) {
      const middle = (fits + long) >> 1;
      if (width(`…${letters.slice(-middle).join("")}`, font) <= room) fits = middle; else long = middle;
    }
    return `…${letters.slice(letters.length - fits).join("").replace(/^[./:_]+/, "")}`;
  };
  return { width, fit };
})();

const LABEL = "600 12px", DETAIL = "11px";

/** The number under which a column's layout knows the last box of the column before. */
const AGAIN = "-1";

function boxWidth(box) {
  if (box.shape === "layer") return MAP.width;
  const text = mapText.width(box.label, LABEL) + (box.shape === "factor" ? 34 : 16);
  return Math.max(box.height, Math.min(MAP.width, text));
}

/** One column as dagre places it: boxes and wires by number from its first box, and where the column before goes on. */
function layColumn(boxes, edges, { gap, rankdir }) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir, nodesep: 14, ranksep: gap, edgesep: 10, ranker: boxes.length > MAP.many ? "tight-tree" : "network-simplex" });
  boxes.forEach(({ width, height }, index) => graph.setNode(String(index), { width, height }));
  // A layer stands close behind what it reads, so that the branches of a fork begin side by side.
  for (const [from, to] of edges) {
    if (from < 0) graph.setNode(AGAIN, { width: MAP.again, height: MAP.again });
    graph.setEdge(String(from), String(to), { weight: boxes[to].shape === "join" ? 1 : 2 });
  }
  dagre.layout(graph);
  const places = new Map(graph.nodes().map((id) => [id, graph.node(id)]));
  const wires = graph.edges().map(({ v, w }) => ({ from: Number(v), to: Number(w), points: graph.edge({ v, w }).points }));
  // dagre's own width leaves out wires that go around the boxes.
  const across = [...[...places.values()].flatMap(({ x, width }) => [x - width / 2, x + width / 2]), ...wires.flatMap(({ points }) => points.map(({ x }) => x))];
  const left = Math.min(...across);
  return { places, wires, left, width: Math.max(...across) - left, height: graph.graph().height };
}

/** The points of a wire as a path without corners. */
function smooth(points) {
  const spot = ({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`;
  const middle = (one, other) => ({ x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 });
  const inner = points.slice(1, -1);
  const bends = inner.map((point, index) => `Q${spot(point)} ${spot(index < inner.length - 1 ? middle(point, inner[index + 1]) : points.at(-1))}`);
  return `M${spot(points[0])}${bends.length ? bends.join("") : `L${spot(points.at(-1))}`}`;
}

/** The same for all columns; of columns that are built alike, as the blocks of deep networks are, only the first is laid out. */
function layColumns(data, rankdir) {
  const edges = data.columns.map(() => []);
  const column = new Array(data.boxes.length);
  data.columns.forEach(({ start, stop }, index) => column.fill(index, start, stop));
  for (const [from, to] of data.edges) {
    const { start } = data.columns[column[to]];
    edges[column[to]].push([from < start ? -1 : from - start, to - start]);
  }
  const known = new Map();
  return data.columns.map(({ start, stop }, index) => {
    const boxes = data.boxes.slice(start, stop);
    const build = JSON.stringify([boxes.map(({ width, height, shape }) => [width, height, shape]), edges[index]]);
    if (!known.has(build)) known.set(build, layColumn(boxes, edges[index], { gap: data.gap, rankdir }));
    return known.get(build);
  });
}

/** Where all boxes and wires of the map lie; one column alone lies down where that needs less room. */
function layMap(data, room) {
  for (const box of data.boxes) box.width = boxWidth(box);
  let laid = layColumns(data, "TB");
  if (laid.length === 1) {
    const lying = layColumns(data, "LR");
    if (lying[0].width + 2 * MAP.edge <= room && lying[0].height < laid[0].height) laid = lying;
  }
  const head = data.columns.some(({ caption }) => caption) ? MAP.caption : 0;
  const wires = [], captions = [], spots = new Array(data.boxes.length), again = [], gutters = [];
  const loose = laid.length > 1 ? MAP.edge : 0; // room for the lines from column to column
  let left = MAP.edge, bottom = 0;
  laid.forEach(({ places, wires: own, left: inner, width, height }, index) => {
    const { start, caption, continues } = data.columns[index];
    const top = MAP.edge + head + loose;
    const move = ({ x, y }) => ({ x: x + left - inner, y: y + top });
    const shown = Math.max(width, MAP.width);
    if (caption) captions.push({ x: left, y: MAP.edge + 12, text: mapText.fit(caption, LABEL, shown + MAP.between - 6) });
    for (const [id, place] of places) if (id !== AGAIN) spots[start + Number(id)] = move(place);
    for (const { from, to, points } of own) wires.push({ from: from < 0 ? continues : start + from, to: start + to, path: smooth(points.map(move)) });
    if (continues !== null) {
      const to = move(places.get(AGAIN)), from = spots[continues], turn = left - MAP.between / 2, down = bottom + MAP.edge / 2, up = top - MAP.edge / 2;
      again.push({ from: continues, ...to, path: `M${from.x},${from.y + data.boxes[continues].height / 2}V${down}H${turn}V${up}H${to.x}V${to.y}` });
    }
    gutters.push(left - MAP.between / 2);
    left += shown + MAP.between;
    bottom = top + height;
  });
  const depth = Math.max(...laid.map(({ height }) => height));
  return { spots, wires, captions, again, gutters, width: left - MAP.between + MAP.edge, height: depth + head + 2 * (MAP.edge + loose) };
}

const MAP_SIGN = { error: "✗", warning: "!", info: "i", fine: "✓" };

function drawBox(box, { x, y }) {
  const [left, top] = [x - box.width / 2, y - box.height / 2];
  const round = box.shape === "layer" || box.shape === "factor" ? 6 : box.height / 2;
  const frame = drawn("rect", { class: "frame", x: left, y: top, width: box.width, height: box.height, rx: round });
  if (!box.anchor) {
    const label = drawn("text", { class: "label", x, y: y + 4, "text-anchor": "middle" }, mapText.fit(box.label, LABEL, MAP.width - 12));
    return drawn("g", { class: box.shape === "join" || box.shape === "jump" ? box.shape : "end" }, frame, label);
  }
  const health = box.severity ?? "fine";
  const lines = box.shape === "layer" ? [y - 4, y + 12] : [y + 4];
  const link = drawn("a", { class: health, href: `#${box.anchor}`, tabindex: -1, "aria-label": `${health === "fine" ? "no finding" : health}: ${box.facts.join("; ")}` }, frame);
  link.append(drawn("text", { class: "label", x: left + 8, y: lines[0] }, mapText.fit(box.label, LABEL, box.width - 32)));
  if (lines[1]) link.append(drawn("text", { class: "detail", x: left + 8, y: lines[1] }, mapText.fit(box.detail, DETAIL, box.width - 16)));
  link.append(drawn("text", { class: "sign", x: left + box.width - 8, y: lines[0], "text-anchor": "end" }, MAP_SIGN[health]));
  return link;
}

/** The fill for a value that should be near 1: blue below, orange above, stronger for each decade. */
function scaleFill(value) {
  if (value === null) return "var(--sunk)";
  const decades = value > 0 ? Math.log10(value) : -MAP.decades;
  const share = Math.min(1, Math.abs(decades) / MAP.decades) * MAP.strongest;
  return `color-mix(in oklab, var(--${decades < 0 ? "measured" : "predicted"}) ${share.toFixed(0)}%, var(--card))`;
}

function startMap(section) {
  const data = JSON.parse(section.querySelector(".map-island").textContent);
  const view = section.querySelector(".map-view"), tip = section.querySelector(".map-tip"), stage = section.querySelector(".map-stage");
  const laid = layMap(data, view.clientWidth || innerWidth);
  const arrow = `arrow-${section.dataset.map}`;
  const wires = [...laid.wires, ...laid.again].map(({ from, to, path }) => ({ from, to, line: drawn("path", { class: "wire", d: path, ...(to === undefined ? {} : { "marker-end": `url(#${arrow})` }) }) }));
  const boxes = data.boxes.map((box, index) => drawBox(box, laid.spots[index]));
  const picture = drawn("svg", { viewBox: `0 0 ${laid.width} ${laid.height}` },
    drawn("defs", {}, drawn("marker", { id: arrow, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto", markerUnits: "userSpaceOnUse" }, drawn("path", { d: "M0,0.5L8,4L0,7.5z" }))),
    ...wires.map(({ line }) => line), ...laid.again.map(({ x, y }) => drawn("circle", { class: "again", cx: x, cy: y, r: MAP.again / 2 })), ...boxes,
    ...laid.captions.map(({ x, y, text }) => drawn("text", { class: "caption", x, y }, text)));
  view.replaceChildren(picture);
  const links = data.boxes.map((box, index) => index).filter((index) => data.boxes[index].anchor);
  boxes[links[0]].setAttribute("tabindex", "0");

  const overview = startOverview(section.querySelector(".map-overview"), view, data, laid);
  let scale = 1;
  const zoom = (next) => {
    scale = Math.min(2, Math.max(0.05, next));
    picture.setAttribute("width", laid.width * scale);
    picture.setAttribute("height", laid.height * scale);
    overview.follow();
  };
  const whole = () => Math.min(1, (view.clientWidth - 2) / laid.width, 600 / laid.height);
  zoom(1);
  for (const button of section.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => zoom(button.dataset.zoom === "fit" ? whole() : scale * Number(button.dataset.zoom)));

  const paint = (by) => {
    for (const legend of section.querySelectorAll("[data-colours]")) legend.hidden = (legend.dataset.colours === "findings") !== (by === "findings");
    const known = by === "findings" ? [] : data.boxes.map((box) => box[by]).filter((value) => value > 0).sort((one, other) => one - other);
    const unit = by === "gradient" ? known[known.length >> 1] : 1;
    section.classList.toggle("by-findings", by === "findings");
    for (const index of links) {
      const box = data.boxes[index], value = by === "findings" ? null : box[by];
      const fill = by === "findings" ? "" : scaleFill(value === null ? null : value / unit);
      boxes[index].querySelector(".frame").style.fill = fill;
      overview.frames[index].querySelector("rect").style.fill = fill;
      boxes[index].classList.toggle("unknown", by !== "findings" && value === null);
      const detail = boxes[index].querySelector(".detail");
      if (detail) detail.textContent = mapText.fit(by === "findings" ? box.detail : value === null ? "not measured" : show(value), DETAIL, box.width - 16);
    }
  };
  const colours = section.querySelector("select[name=colours]");
  colours?.addEventListener("change", () => paint(colours.value));
  paint("findings");

  let pointed = null;
  const point = (index) => {
    if (index === pointed) return;
    pointed = index;
    for (const { from, to, line } of wires) line.classList.toggle("lit", index !== null && (from === index || to === index));
    tip.hidden = index === null;
    if (index === null) return;
    tip.replaceChildren(...data.boxes[index].facts.map((fact) => element("p", {}, fact)));
    const [around, box] = [stage.getBoundingClientRect(), boxes[index].getBoundingClientRect()];
    tip.style.left = `${Math.max(4, Math.min(box.left - around.left, around.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${box.bottom - around.top + 8}px`;
  };
  const indexOf = (target) => { const index = boxes.indexOf(target.closest?.("a, g")); return index < 0 ? null : index; };
  picture.addEventListener("pointerover", (event) => point(indexOf(event.target)));
  picture.addEventListener("pointerleave", () => point(null));
  picture.addEventListener("focusin", (event) => point(indexOf(event.target)));
  picture.addEventListener("focusout", () => point(null));
  picture.addEventListener("click", (event) => {
    const source = data.boxes[indexOf(event.target)]?.jump;
    if (source === undefined || source === null) return;
    boxes[source].scrollIntoView({ block: "nearest", inline: "center", behavior: "instant" });
    requestAnimationFrame(() => requestAnimationFrame(() => point(source)));
  });
  view.addEventListener("scroll", () => { point(null); overview.follow(); });
  new ResizeObserver(() => overview.follow()).observe(view);

  /** Arrow keys go to the nearest layer on that side; one layer of the map at a time is on the way of the Tab key. */
  const steps = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  picture.addEventListener("keydown", (event) => {
    const here = indexOf(event.target), step = steps[event.key];
    if (here === null || !step) return;
    event.preventDefault();
    const distance = (index) => {
      const [x, y] = [laid.spots[index].x - laid.spots[here].x, laid.spots[index].y - laid.spots[here].y];
      const [along, aside] = [x * step[0] + y * step[1], Math.abs(x * step[1]) + Math.abs(y * step[0])];
      return along > 1 ? along + 2 * aside : Infinity;
    };
    const next = links.reduce((best, index) => (distance(index) < distance(best) ? index : best), here);
    if (next === here) return;
    boxes[here].setAttribute("tabindex", "-1");
    boxes[next].setAttribute("tabindex", "0");
    boxes[next].scrollIntoView({ block: "nearest", inline: "nearest" });
    boxes[next].focus({ preventScroll: true });
  });
  return { print: () => view.replaceChildren(...printedMap(picture, laid)), show: () => view.replaceChildren(picture) };
}

/** The map as it is printed: lines of as many columns as paper has room for. */
function printedMap(picture, { gutters, width, height }) {
  const starts = gutters.reduce((kept, gutter, index) => (index && (gutters[index + 1] ?? width) - kept.at(-1) > MAP.paper ? [...kept, gutter] : kept), [0]);
  return starts.map((start, index) => {
    const line = picture.cloneNode(true);
    const [left, right] = [Math.max(0, start - 2), starts[index + 1] === undefined ? width : starts[index + 1] + 2];
    line.setAttribute("viewBox", `${left} 0 ${right - left} ${height}`);
    line.setAttribute("width", right - left);
    line.setAttribute("height", height);
    return line;
  });
}

/** The whole map in small below one that does not fit: it shows where the colours are and scrolls there. */
function startOverview(holder, view, data, laid) {
  const frames = data.boxes.map((box, index) => {
    const { x, y } = laid.spots[index];
    return drawn("g", { class: box.anchor ? box.severity ?? "fine" : "end" }, drawn("rect", { class: "frame", x: x - box.width / 2, y: y - box.height / 2, width: box.width, height: box.height }));
  });
  const shown = drawn("rect", { class: "window" });
  const small = drawn("svg", { viewBox: `0 0 ${laid.width} ${laid.height}`, preserveAspectRatio: "xMidYMid meet" }, ...frames, shown);
  const follow = () => {
    const wide = view.scrollWidth > view.clientWidth * MAP.legible;
    if (wide !== small.isConnected) holder.replaceChildren(...(wide ? [small] : []));
    if (!wide) return;
    const unit = laid.width / view.scrollWidth;
    for (const [name, value] of Object.entries({ x: view.scrollLeft * unit, y: view.scrollTop * unit, width: view.clientWidth * unit, height: Math.min(laid.height, view.clientHeight * unit) })) shown.setAttribute(name, value);
  };
  const go = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(small.getScreenCTM().inverse());
    const unit = view.scrollWidth / laid.width;
    view.scrollTo({ left: at.x * unit - view.clientWidth / 2, top: at.y * unit - view.clientHeight / 2, behavior: "instant" });
  };
  small.addEventListener("pointerdown", (event) => { small.setPointerCapture(event.pointerId); go(event); });
  small.addEventListener("pointermove", (event) => { if (event.buttons) go(event); });
  return { frames, follow };
}

// A map is laid out when it comes near the screen: a page of many models opens at once.
const maps = new Map();
const openMap = (section) => { if (!maps.has(section)) { seen.unobserve(section); maps.set(section, startMap(section)); } };
const seen = new IntersectionObserver((entries) => { for (const { target, isIntersecting } of entries) if (isIntersecting) openMap(target); }, { rootMargin: "400px" });
for (const section of document.querySelectorAll("[data-map]")) seen.observe(section);
addEventListener("beforeprint", () => {
  for (const section of document.querySelectorAll("[data-map]")) openMap(section);
  for (const map of maps.values()) map.print();
});
addEventListener("afterprint", () => { for (const map of maps.values()) map.show(); });
