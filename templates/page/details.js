/* What opens under a layer's row: made from the data island when it is asked for, never before. */

function targetWords(data, index) {
  const scheme = data.schemes[index];
  const std = data.series.target[index];
  if (scheme === null && std === null) return null;
  const gain = data.gains[index] === null ? "" : `, gain ${data.gains[index]}`;
  return `${scheme ?? "target"} with std ${show(std)}${gain}`;
}

/** The panel of one layer with headings of the given tag, and the functions that draw its pictures once it stands in the page. */
function layerPanel(data, index, heading) {
  const drawings = [];
  const panel = element("div", { className: "panel" });
  const findings = data.findings[index];
  if (findings.length) {
    panel.append(element("ul", {}, ...findings.map(([severity, code, message]) => {
      const mark = element("span", { className: `mark ${severity}` }, { error: "✗", warning: "!", info: "i" }[severity]);
      return element("li", {}, mark, " ", element("code", { className: "code" }, code), " ", ...prose(message));
    })));
  }
  const target = targetWords(data, index);
  if (target !== null) {
    panel.append(element("p", {}, element("b", {}, data.trained ? "A fresh layer would start from: " : "Recommended initialisation: "), target, ". ", ...prose(data.why[index] ?? "")));
  }
  if (data.fixes[index] !== null) {
    panel.append(element("p", {}, element("b", {}, "To re-initialise this layer alone: "), copyable(data.fixes[index])));
  }
  const pictures = element("div", { className: "pictures" });
  const weights = data.weightHistograms[index];
  const std = data.series.target[index];
  if (weights) {
    const known = isNumber(std) && std > 0;
    const caption = known ? "Blue: the weights. Dashed: the target density. Each is scaled to its own peak, so compare widths and shapes." : "The weights, scaled to their peak.";
    const picture = histogramFigure(heading, "Weights", caption, weights, known ? targetDensity(data.schemes[index], std) : null, known ? 3 * std : null);
    pictures.append(picture.figure);
    drawings.push(picture.build);
  }
  const signal = data.signalHistograms[index];
  if (signal) {
    const picture = histogramFigure(heading, "Pre-activations", "Blue: what the units computed before the activation. Dashed: the unit variance that an ideal signal keeps.", signal, targetDensity("normal", 1), 3);
    pictures.append(picture.figure);
    drawings.push(picture.build);
  }
  panel.append(pictures);
  const lists = element("div", { className: "groups" });
  const groups = [...new Set(data.facts.map(([heading]) => heading))];
  for (const group of groups) {
    const rows = data.facts.filter(([name, , values]) => name === group && values[index] !== null);
    if (!rows.length) continue;
    const list = element("dl");
    for (const [, label, values] of rows) list.append(element("dt", {}, label), element("dd", {}, values[index]));
    lists.append(element("div", {}, element(heading, {}, group), list));
  }
  panel.append(lists);
  return { panel, draw: () => drawings.forEach((draw) => draw()) };
}
