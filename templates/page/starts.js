/* The charts of a comparison of starts: one line a start. */

const START_COLOURS = 8;
/* Lines that share a colour differ in their strokes. */
const STROKES = [undefined, [7, 5], [2, 3]];

const START_CHARTS = {
  variance: { y: "log", title: "variance (logarithmic)", reference: [1, "1: the signal keeps its size"] },
  gradient: { y: "log", title: "gradient (logarithmic)" },
  saturated: { y: "share", title: "share" },
  similarity: { y: "share", title: "share" },
  theory: { y: "log", title: "predicted / measured", reference: [1, "1: as predicted"] },
};

document.documentElement.classList.add("scripted");
startTheme();
{
  const data = JSON.parse(document.getElementById("starts-data").textContent);
  const charts = [];
  const shared = { sync: "starts", open: () => {}, moveAll: (index) => charts.forEach((chart) => chart.moveTo(index)) };
  for (const figure of document.querySelectorAll("[data-chart]")) {
    const kind = figure.dataset.chart;
    const spec = START_CHARTS[kind];
    const lines = data.starts
      .map((start, number) => ({
        label: start.name, column: start[kind], colour: `start-${number % START_COLOURS}`, dash: STROKES[Math.floor(number / START_COLOURS) % STROKES.length],
        hidden: number >= data.shown, width: start.name === data.itself ? 3 : 1.5,
      }))
      .filter((line) => line.column.some(isNumber))
      .map((line) => ({ ...line, plotted: line.column.map((value) => (isNumber(value) && (spec.y !== "log" || value > 0) ? value : value === null ? undefined : null)) }));
    const overlays = [...(spec.reference ? [referenceLine(...spec.reference)] : []), ...(spec.y === "log" ? [outOfScale(lines)] : [])];
    charts.push(depthChart(figure.querySelector(".plot"), data, figure.querySelector("h3").textContent, lines,
      { ...shared, y: spec.y, title: spec.title, scale: yScale(spec.y, spec.reference?.[0]), overlays }));
  }
  themeChanged.push(() => charts.forEach((chart) => chart.rebuild()));
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; charts.forEach((chart) => chart.resize()); } });
}
