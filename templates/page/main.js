/* Brings each report to life when it is first seen. */

/* Of a chart on paper: two stand side by side on A4 and on US letter, and six on a page. */
const PRINT_SIZE = { width: 320, height: 165 };

function startReport(model) {
  model.classList.add("started");
  const data = JSON.parse(model.querySelector(".island").textContent);
  const count = data.anchors.length;
  for (const code of model.querySelectorAll(".do .command code")) code.parentElement.replaceWith(copyable(code.textContent));
  const charts = [];
  const section = model.querySelector(".layers");
  const table = section ? layerTable(section, data, count) : null;
  const shared = {
    sync: model.id,
    open: (index) => table?.reveal(index),
    moveAll: (index) => charts.forEach((chart) => chart.moveTo(index)),
  };
  for (const figure of model.querySelectorAll("[data-chart]")) {
    const kind = figure.dataset.chart;
    const holder = figure.querySelector(".plot");
    const title = figure.querySelector("h2, h3, h4").textContent;
    charts.push(DEPTH_CHARTS[kind] ? lineChart(holder, data, title, DEPTH_CHARTS[kind], shared) : spreadChart(holder, data, title, SPREADS[kind], shared));
  }
  themeChanged.push(() => charts.forEach((chart) => chart.rebuild()));
  const fit = () => { charts.forEach((chart) => chart.resize()); table?.redraw(); };
  let width = model.clientWidth;
  new ResizeObserver(() => {
    if (model.clientWidth !== width && model.clientWidth > 0) { width = model.clientWidth; fit(); }
  }).observe(model);
  addEventListener("beforeprint", () => { charts.forEach((chart) => { chart.rebuild(); chart.resize(PRINT_SIZE); }); });
  addEventListener("afterprint", () => { charts.forEach((chart) => chart.rebuild()); fit(); });
  return { anchors: data.anchors, reveal: table?.reveal };
}

document.documentElement.classList.add("scripted");
// What is far down the page is laid out once the top of it stands.
requestIdleCallback(() => { for (const long of document.querySelectorAll(".long")) long.classList.remove("long"); });
startTheme();
const started = new Map();
const start = (model) => { if (!started.has(model)) started.set(model, startReport(model)); };
const overview = document.querySelector(".overview");
if (overview) overviewTable(overview);
for (const model of document.querySelectorAll(".model")) {
  if (model.tagName === "DETAILS") model.addEventListener("toggle", () => { if (model.open) start(model); });
  else start(model);
}

/** Links to a layer, a report or a rule open what they point into. */
function follow() {
  const place = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  if (!place) return;
  for (let around = place; around; around = around.parentElement) if (around.tagName === "DETAILS") around.open = true;
  const model = place.closest(".model");
  if (!model) return;
  start(model);
  const { anchors, reveal } = started.get(model);
  if (anchors.includes(place.id)) reveal(anchors.indexOf(place.id));
  else place.scrollIntoView();
}
addEventListener("hashchange", follow);
// A second click on the same link changes no hash, and must still lead there.
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link && link.hash === location.hash) follow();
});
follow();
