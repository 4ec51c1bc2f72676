/* What is painted over or under the lines of a chart; each function gives a hook for the chart library. */

/** A vertical line at the layer where the signal is lost, and small marks under the layers that have findings. */
function landmarks(data, withLost) {
  return (u) => {
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
}

/** The line that healthy networks keep to. */
function referenceLine(value) {
  return (u) => {
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
}

/** Where a logarithmic axis has no place: ▼ at the foot for an exact zero, ▲ at the top for NaN or infinity. */
function outOfScale(lines) {
  return (u) => {
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
        if (x >= u.bbox.left && x <= u.bbox.left + u.bbox.width) ctx.fillText(zero ? "▼" : "▲", x, zero ? u.bbox.top + u.bbox.height - 10 * ratio : u.bbox.top + 12 * ratio);
      });
    });
    ctx.restore();
  };
}

/** Points of a line whose values may lie below the float resolution: those are hollow. Whiskers show the standard error. */
function measuredPoints(line, data) {
  return (u) => {
    const number = u.series.findIndex((series) => series.label === line.label);
    if (!u.series[number].show) return;
    const resolved = data.series[line.resolved];
    const error = data.series[line.error];
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
      if (isNumber(error[index]) && error[index] > 0 && error[index] < 1) {
        ctx.beginPath();
        ctx.moveTo(x, u.valToPos(value * (1 - error[index]), "y", true));
        ctx.lineTo(x, u.valToPos(value * (1 + error[index]), "y", true));
        ctx.stroke();
      }
      ctx.beginPath();
      ctx.arc(x, y, size, 0, 2 * Math.PI);
      ctx.fillStyle = resolved[index] === 0 || resolved[index] === false ? colour("card") : colour(line.colour);
      ctx.fill();
      ctx.stroke();
    });
    ctx.restore();
  };
}
