/* One layer's histogram beside the density it should have. */

const FINE = 240;

/** Density of the target, 1 at its peak: uniform for schemes drawn from an interval, normal otherwise. */
function targetDensity(scheme, std) {
  const bound = Math.sqrt(3) * std;
  return (scheme ?? "").endsWith("uniform") ? (x) => (Math.abs(x) <= bound ? 1 : 0) : (x) => Math.exp(-0.5 * (x / std) ** 2);
}

/** A figure: grey steps for what is there, a line for what should be; both scaled to their own peak, so widths compare. */
function histogramFigure(heading, title, caption, histogram, density, reach) {
  const canvas = element("div", { className: "canvas", role: "img" });
  canvas.setAttribute("aria-label", `${title}. ${caption}`);
  const figure = element("figure", {}, element(heading, {}, title), canvas, element("figcaption", {}, caption));
  const [from, to, heights] = histogram;
  const step = (to - from) / heights.length;
  const low = Math.min(from, reach ? -reach : from);
  const high = Math.max(to, reach ?? to);
  const pad = (high - low) * 0.03 || Math.abs(high) * 0.1 || 1;
  const places = new Set([low - pad, high + pad]);
  for (let index = 0; index <= FINE; index += 1) places.add(low + ((high - low) * index) / FINE);
  for (let bin = 0; bin <= heights.length; bin += 1) places.add(from + step * bin);
  const x = [...places].sort((a, b) => a - b);
  const bars = x.map((place) => {
    if (place < from || place > to) return 0;
    return (heights[Math.min(heights.length - 1, step > 0 ? Math.floor((place - from) / step + 1e-9) : 0)] ?? 0) / 999;
  });
  let plot = null;
  const build = () => {
    plot?.destroy();
    const [bottom, side] = axes("share", "", "");
    plot = new uPlot({
      width: Math.max(180, canvas.clientWidth || 320), height: 190, legend: { show: false }, cursor: { show: false },
      scales: { x: { time: false, range: [x[0], x[x.length - 1]] }, y: { range: [0, 1.06] } },
      axes: [{ ...bottom, label: title.toLowerCase(), incrs: undefined, space: 60, values: (_, splits) => splits.map(showPower) }, { ...side, show: false }],
      series: [{},
        { label: "values", stroke: colour("measured"), fill: `color-mix(in srgb, ${colour("measured")} 30%, transparent)`, width: 1, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
        ...(density ? [{ label: "target", stroke: colour("predicted"), width: 2, dash: [6, 4], points: { show: false } }] : [])],
    }, [x, bars, ...(density ? [x.map(density)] : [])], canvas);
  };
  return { figure, build };
}
