/* How values are spread at each depth: one column per layer, dark where many values lie. */

/** The spread charts: `title` of the axis, and of a report's data the columns, [low, high, heights] per layer or null, in the unit of that axis. */
const SPREADS = {
  spread: { title: "pre-activation", columns: (data) => data.signalHistograms },
  weights: { title: "weight / target std", columns: (data) => data.weightHistograms.map((histogram, index) => {
    const target = data.series.target[index];
    return histogram && isNumber(target) && target > 0 ? [histogram[0] / target, histogram[1] / target, histogram[2]] : null;
  }) },
};

function spreadChart(holder, data, title, spec, shared) {
  const columns = spec.columns(data);
  const low = columns.map((column) => column && column[0]);
  const high = columns.map((column) => column && column[1]);
  // The two edges carry the scale and the readout; the columns themselves are painted beneath the axes.
  const edge = (label, column) => ({ label, colour: "measured", column, plotted: column, draw: () => ({ width: 0, points: { show: false } }) });
  const lines = [edge("smallest", low), edge("largest", high)];
  const paint = (u) => {
    const { ctx } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.fillStyle = colour("shade");
    const width = Math.abs(u.valToPos(2, "x", true) - u.valToPos(1, "x", true));
    const gap = width > 6 ? Math.min(width * 0.12, 6) : 0;
    columns.forEach((column, index) => {
      if (!column) return;
      const left = u.valToPos(index + 0.5, "x", true) + gap / 2;
      if (left > u.bbox.left + u.bbox.width || left + width < u.bbox.left) return;
      const [from, to, heights] = column;
      const step = (to - from) / heights.length;
      let above = u.valToPos(from, "y", true);
      heights.forEach((height, bin) => {
        const below = above;
        above = u.valToPos(from + step * (bin + 1), "y", true);
        if (height === 0) return;
        // The square root lets the tails be seen beside the peak.
        ctx.globalAlpha = Math.sqrt(height / 999);
        ctx.fillRect(left, above, width - gap, Math.max(1.5, below - above));
      });
    });
    ctx.restore();
  };
  const scale = {
    distr: 4, asinh: 1,
    range: (_, smallest, largest) => {
      const reach = Math.max(3, Math.abs(smallest ?? 0), Math.abs(largest ?? 0)) * 1.1;
      return [-reach, reach];
    },
  };
  return depthChart(holder, data, title, lines, { ...shared, y: "asinh", title: spec.title, scale, overlays: [{ under: paint, key: [["shade", "", "the darker, the more values"]] }, landmarks(data, true)] });
}
