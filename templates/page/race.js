/* The curves of a race: one line a start, a band over its draws. */

const RACE_COLOURS = 8;
/* Lines that share a colour differ in their strokes. */
const RACE_STROKES = [undefined, [7, 5], [2, 3]];

/** Bands beneath the lines that are shown. */
function bands(lines) {
  return {
    key: [],
    under: (u) => {
      const { ctx } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
      ctx.clip();
      ctx.globalAlpha = 0.13;
      lines.forEach((line, number) => {
        if (!u.series[number + 1].show) return;
        const columns = line.low.map((low, index) => [u.data[0][index], low, line.high[index]]).filter(([, low, high]) => isNumber(low) && isNumber(high) && (!line.log || low > 0));
        if (columns.length < 2) return;
        ctx.fillStyle = colour(line.colour);
        ctx.beginPath();
        columns.forEach(([x, , high]) => ctx.lineTo(u.valToPos(x, "x", true), u.valToPos(high, "y", true)));
        columns.reverse().forEach(([x, low]) => ctx.lineTo(u.valToPos(x, "x", true), u.valToPos(low, "y", true)));
        ctx.fill();
      });
      ctx.restore();
    },
  };
}

document.documentElement.classList.add("scripted");
startTheme();
{
  const data = JSON.parse(document.getElementById("race-data").textContent);
  const charts = [];
  const along = { places: data.titles, unit: "step", label: "step", describe: (index) => `step ${data.titles[index]}` };
  const shared = { sync: "race", along, open: () => {}, moveAll: (index) => charts.forEach((chart) => chart.moveTo(index)) };
  for (const figure of document.querySelectorAll("[data-chart]")) {
    const kind = figure.dataset.chart;
    const y = kind === "loss" ? "log" : "share";
    const reference = kind === "loss" || data.target === null ? [] : [[data.target, "the target"]];
    const lines = data.starts
      .map((start, number) => ({
        ...start[kind], label: start.name, column: start[kind].middle, colour: `start-${number % RACE_COLOURS}`, log: y === "log",
        dash: RACE_STROKES[Math.floor(number / RACE_COLOURS) % RACE_STROKES.length], hidden: number >= data.shown, width: start.name === data.itself ? 3 : 1.75,
      }))
      .filter((line) => line.column.some(isNumber))
      .map((line) => ({ ...line, plotted: line.column.map((value) => (isNumber(value) && (!line.log || value > 0) ? value : null)) }));
    const overlays = [bands(lines), ...reference.map((mark) => referenceLine(...mark))];
    charts.push(depthChart(figure.querySelector(".plot"), data, figure.querySelector("h3").textContent, lines,
      { ...shared, y, title: figure.dataset.title, scale: yScale(y), overlays }));
  }
  themeChanged.push(() => charts.forEach((chart) => chart.rebuild()));
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; charts.forEach((chart) => chart.resize()); } });
}
