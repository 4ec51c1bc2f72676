/* The table of a fleet: sorted, filtered and shown a page at a time, for a browser lays out ten thousand rows in seconds. */

const ROWS_PER_PAGE = 100;

function startFleet() {
  const data = JSON.parse(document.getElementById("fleet").textContent);
  const count = data.names.length;
  const section = document.querySelector(".fleet");
  const table = section.querySelector("table");
  const form = section.querySelector(".filters");
  const withFate = table.tHead.rows[0].cells.length > 7;
  const unnamed = new Set(data.unnamed);
  const ranks = ranked(data.names);
  let order = data.names.map((_, index) => index);
  let shown = order;
  let page = 0;

  const sortValues = {
    status: (index) => index,
    name: (index) => ranks[index],
    trainability: (index) => data.trainability[index],
    errors: (index) => data.errors[index],
    warnings: (index) => data.warnings[index],
    rules: (index) => data.found[index].length,
    bytes: (index) => data.bytes[index],
    fate: (index) => data.fates.at[index],
  };

  const open = (row, opener) => {
    const isOpen = opener.getAttribute("aria-expanded") === "true";
    opener.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) { row.nextSibling.remove(); return; }
    const cell = element("td", { colSpan: row.cells.length }, modelPanel(data, Number(row.dataset.index), unnamed));
    row.after(element("tr", { className: "detail" }, cell));
  };

  const draw = () => {
    const last = Math.max(0, Math.ceil(shown.length / ROWS_PER_PAGE) - 1);
    page = Math.min(page, last);
    const begin = page * ROWS_PER_PAGE;
    const rows = shown.slice(begin, begin + ROWS_PER_PAGE).map((index) => {
      const row = modelRow(data, index, withFate, open);
      row.dataset.index = index;
      return row;
    });
    const nothing = element("tr", {}, element("td", { className: "nothing", colSpan: withFate ? 8 : 7 }, "No model is like this."));
    table.tBodies[0].replaceChildren(...(rows.length ? rows : [nothing]));
    form.querySelector(".count").textContent = shown.length === count ? "" : `${showCount(shown.length)} of ${showCount(count)} models`;
    drawPager(section.querySelector(".pager"), { page, last, begin, rows: rows.length, of: shown.length }, (to) => {
      page = to;
      draw();
      section.querySelector("h2").scrollIntoView();
    });
  };

  sortable(table, count, {
    value: (head, index) => sortValues[head.dataset.sort](index),
    place: (next) => { order = next; filter(); },
    worstFirst: (head) => ["errors", "warnings", "rules", "bytes"].includes(head.dataset.sort),
  });

  const haystacks = data.names.map((name, index) => [
    name, word(data.reasons, index), word(data.contexts, index), word(data.ends, index), ...data.found[index].map((code) => data.codes[code]),
  ].join(" ").toLowerCase());

  const filter = () => {
    const chosen = (name) => form.elements[name]?.value ?? "";
    const statuses = new Set([...form.querySelectorAll("[name=status]:checked")].map((box) => box.value));
    const code = data.codes.indexOf(chosen("rule"));
    const [least, most] = chosen("size") ? chosen("size").split(",").map(Number) : [0, Infinity];
    const [end, fate, text] = [chosen("end"), chosen("fate"), chosen("text")];
    shown = order.filter((index) =>
      statuses.has(word(data.statuses, index))
      && (code < 0 || data.found[index].includes(code))
      && data.bytes[index] >= least && data.bytes[index] < most
      && (!end || word(data.ends, index) === end)
      && (!fate || (fate === "turned" ? word(data.fates, index) !== "same" : word(data.fates, index) === fate))
      && holdsWords(haystacks[index], text));
    page = 0;
    draw();
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());

  for (const item of document.querySelectorAll(".rules [data-code]")) {
    const button = element("button", { type: "button" }, item.dataset.code);
    button.addEventListener("click", () => {
      form.elements.rule.value = item.dataset.code;
      filter();
      section.scrollIntoView();
    });
    item.querySelector("code").replaceWith(button);
  }
  filter();
}

/** Of each text its place in the order in which people read numbers: 2 before 10. One collator: a call each takes seconds. */
function ranked(texts) {
  const { compare } = new Intl.Collator("en", { numeric: true });
  const ranks = new Array(texts.length);
  texts.map((_, index) => index).sort((a, b) => compare(texts[a], texts[b]) || a - b).forEach((index, rank) => { ranks[index] = rank; });
  return ranks;
}

function drawPager(holder, { page, last, begin, rows, of }, go) {
  holder.hidden = last === 0;
  const button = (label, to, off) => {
    const made = element("button", { type: "button", className: "ghost", disabled: off }, label);
    made.addEventListener("click", () => go(to));
    return made;
  };
  holder.replaceChildren(
    button("First", 0, page === 0), button("Previous", page - 1, page === 0),
    element("span", {}, `${showCount(begin + 1)} to ${showCount(begin + rows)} of ${showCount(of)}`),
    button("Next", page + 1, page === last), button("Last", last, page === last));
}

document.documentElement.classList.add("scripted");
startTheme();
startFleet();
