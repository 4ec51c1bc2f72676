/* The rows of the table of models, and what opens under one: made from the data island when they are shown. */

const MARKS = { error: "⊘", fail: "✗", warn: "!", pass: "✓" };
const showCount = (value) => value.toLocaleString("en-US");
const word = (column, index) => column.words[column.at[index]];

function showShare(value) {
  if (value === null) return "–";
  if (value > 0 && value < 0.005) return "<1 %";
  if (value >= 0.995 && value < 1) return ">99 %";
  return `${Math.round(value * 100)} %`;
}

function showBytes(value) {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${show(unit ? Math.round(value * 10) / 10 : value)} ${units[unit]}`;
}

/** A path that may be broken after its separators. */
function breakable(path) {
  return path.split(/(?<=[./:_])(?=[^./:_])/).flatMap((piece) => [piece, document.createElement("wbr")]).slice(0, -1);
}

function verdictWord(status) {
  return element("span", { className: `verdict ${status}` }, element("span", { "aria-hidden": "true" }, MARKS[status]), ` ${status.toUpperCase()}`);
}

const pageOf = (data, index) => `models/${String(data.numbers[index]).padStart(5, "0")}.html`;
const hasReport = (data, index) => word(data.statuses, index) !== "error";

/** A word that a POSIX shell takes as it is. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

/** What is known of one model beside its row, and the way to its own report. */
function modelPanel(data, index, unnamed) {
  const facts = [
    ["Ended", word(data.ends, index)],
    ["Context", word(data.contexts, index)],
    ["Layers", showCount(data.layers[index])],
    ["Parameters", showCount(data.parameters[index])],
    ["Information", showCount(data.infos[index])],
    ["Seconds", show(data.seconds[index])],
    ["Attempts", showCount(data.attempts[index])],
  ];
  const panel = element("div", { className: "panel" }, element("p", {}, ...prose(word(data.reasons, index))));
  panel.append(element("dl", { className: "facts" }, ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))));
  if (!hasReport(data, index)) return panel;
  if (data.pages) panel.append(element("p", {}, element("a", { href: pageOf(data, index) }, "Its report")));
  else if (unnamed.has(index)) panel.append(element("p", { className: "hint" }, "No command can be shown for a path with hidden characters, or one as long as this."));
  else panel.append(element("p", {}, "Its report:"), copyable(`${data.command} ${quoted(data.folder + data.names[index])} -o model.html`));
  return panel;
}

/** The row of a model; `open(row)` is called where its details are asked for. */
function modelRow(data, index, withFate, open) {
  const name = breakable(data.names[index]);
  const head = data.pages && hasReport(data, index)
    ? element("a", { href: pageOf(data, index) }, ...name)
    : element("button", { type: "button", className: "opener", "aria-expanded": "false" }, ...name);
  const fate = word(data.fates, index);
  const row = element("tr", {},
    element("td", {}, verdictWord(word(data.statuses, index))),
    element("th", { scope: "row" }, head, element("p", { className: "why" }, ...prose(word(data.reasons, index)))),
    element("td", {}, showShare(data.trainability[index])),
    element("td", {}, showCount(data.errors[index])),
    element("td", {}, showCount(data.warnings[index])),
    element("td", {}, data.found[index].map((code) => data.codes[code]).join(" ")),
    element("td", {}, showBytes(data.bytes[index])));
  if (withFate) row.append(element("td", {}, ...(fate === "same" ? [] : [element("span", { className: `fate ${fate}` }, fate)])));
  if (head.tagName === "BUTTON") head.addEventListener("click", () => open(row, head));
  return row;
}
