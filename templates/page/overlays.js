/* What is painted over or under the lines of a chart: each function gives `over` or `under`, a hook for the chart library, and the
   `key` that explains what it paints: [sign, tone, meaning] each. */

/* Signs of a key that the style sheet draws; others are characters. */
const SWATCHES = new Set(["reference", "lost", "whisker", "shade"]);

/** A vertical line at the layer where the signal is lost, and small marks under the layers that have findings. */
function landmarks(data, withLost) {
  const key = [["error", "layer with an error"], ["warning", "layer with a warning"]]
    .filter(([severity]) => data.severities.includes(severity))
    .map(([severity, meaning]) => ["▲", severity, meaning]);
  if (withLost && data.lost !== null) key.push(["lost", "", "where the signal is lost"]);
  const over = (u) => {
    const { ctx } = u;
    const ratio = devicePixelRatio || 1;
    const bottom = u.bbox.top + u.bbox.height;
    const within = (x) => x >= u.bbox.left && x <= u.bbox.left + u.bbox.width;
    ctx.save();
    data.severities.forEach((severity, index) => {
      const x = u.valToPos(index + 1, "x", true);
      if (severity === null || severity === "info" || !within(x)) return;
      ctx.fillStyle = colour(severity);
      if (data.severities.length > MOST_POINTS) {
        ctx.fillRect(x - ratio / 2, bottom - 5 * ratio, Math.max(1, ratio), 5 * ratio);
        return;
      }
      ctx.beginPath();
      ctx.moveTo(x, bottom - 7 * ratio);
      ctx.lineTo(x - 4 * ratio, bottom);
      ctx.lineTo(x + 4 * ratio, bottom);
      ctx.fill();
    });
    if (withLost && data.lost !== null) {
      const x = u.valToPos(data.lost + 1, "x", true);
      if (within(x)) {
        ctx.strokeStyle = ctx.fillStyle = colour("error");
        ctx.lineWidth = 1.5 * ratio;
        ctx.setLineDash([4 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(x, u.bbox.top);
        ctx.lineTo(x, bottom);
        ctx.stroke();
        ctx.font = `600 ${12 * ratio}px system-ui, sans-serif`;
        const right = x > u.bbox.left + u.bbox.width * 0.75;
        ctx.textAlign = right ? "right" : "left";
        ctx.textBaseline = "top";
        ctx.fillText("lost here", x + (right ? -5 : 5) * ratio, u.bbox.top + 3 * ratio);
      }
    }
    ctx.restore();
  };
  return { over, key };
}

/** The line that healthy networks keep to. */
function referenceLine(value, meaning) {
  const under = (u) => {
    const y = u.valToPos(value, "y", true);
    if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) return;
    const { ctx } = u;
    ctx.save();
    ctx.strokeStyle = colour("reference");
    ctx.globalAlpha = 0.7;
    ctx.lineWidth = 1.5 * (devicePixelRatio || 1);
    ctx.beginPath();
    ctx.moveTo(u.bbox.left, y);
    ctx.lineTo(u.bbox.left + u.bbox.width, y);
    ctx.stroke();
    ctx.restore();
  };
  return { under, key: [["reference", "", meaning]] };
}

/** Where a logarithmic axis has no place: ▼ at the foot for an exact zero, ✕ at the top for NaN or infinity. */
function outOfScale(lines) {
  const any = (test) => lines.some((line) => line.column.some(test));
  const key = [];
  if (any((value) => value === 0)) key.push(["▼", "", "exactly zero"]);
  if (any((value) => typeof value === "string")) key.push(["✕", "", "NaN or infinite"]);
  const over = (u) => {
    const ratio = devicePixelRatio || 1;
    const { ctx } = u;
    ctx.save();
    ctx.textAlign = "center";
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    lines.forEach((line, number) => {
      if (!u.series[number + 1].show) return;
      ctx.fillStyle = colour(line.colour);
      line.column.forEach((value, index) => {
        const zero = value === 0;
        if (!zero && typeof value !== "string") return;
        const x = u.valToPos(index + 1, "x", true);
        if (x >= u.bbox.left && x <= u.bbox.left + u.bbox.width) ctx.fillText(zero ? "▼" : "✕", x, zero ? u.bbox.top + u.bbox.height - 10 * ratio : u.bbox.top + 12 * ratio);
      });
    });
    ctx.restore();
  };
  return { over, key };
}

/** Points of a line whose values may lie below the float resolution: those are hollow. Whiskers show the standard error. */
function measuredPoints(line, data) {
  const hollow = (index) => data.series[line.resolved][index] === 0 || data.series[line.resolved][index] === false;
  const error = data.series[line.error];
  const uncertain = (index) => isNumber(error[index]) && error[index] > 0 && error[index] < 1;
  const key = [];
  if (line.plotted.some((value, index) => isNumber(value) && uncertain(index))) key.push(["whisker", "", "standard error"]);
  if (line.plotted.some((value, index) => isNumber(value) && hollow(index))) key.push(["○", "", "at most this: below what floats resolve"]);
  const over = (u) => {
    const number = u.series.findIndex((series) => series.label === line.label);
    if (!u.series[number].show) return;
    const ratio = devicePixelRatio || 1;
    const { ctx } = u;
    const size = (line.plotted.length <= MOST_POINTS ? 3.5 : 2) * ratio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.strokeStyle = colour(line.colour);
    ctx.lineWidth = 1.5 * ratio;
    line.plotted.forEach((value, index) => {
      if (!isNumber(value)) return;
      const x = u.valToPos(index + 1, "x", true);
      const y = u.valToPos(value, "y", true);
      if (uncertain(index)) {
        ctx.beginPath();
        ctx.moveTo(x, u.valToPos(value * (1 - error[index]), "y", true));
        ctx.lineTo(x, u.valToPos(value * (1 + error[index]), "y", true));
        ctx.stroke();
      }
      ctx.beginPath();
      ctx.arc(x, y, size, 0, 2 * Math.PI);
      ctx.fillStyle = hollow(index) ? colour("card") : colour(line.colour);
      ctx.fill();
      ctx.stroke();
    });
    ctx.restore();
  };
  return { over, key };
}
