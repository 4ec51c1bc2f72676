/* The layer table: sorting, filtering, opening. */

const SEVERITY_RANK = { error: 3, warning: 2, info: 1 };

function layerTable(section, data, count) {
  const body = section.querySelector("tbody");
  const rows = data.anchors.map((anchor) => document.getElementById(anchor));
  const heading = `h${Number(section.querySelector("h2, h3").tagName[1]) + 1}`;
  const form = section.querySelector(".filters");
  const opened = new Map();

  const key = {
    number: (index) => index,
    title: (index) => data.titles[index],
    kind: (index) => data.kinds[index],
    activation: (index) => data.activations[index],
    law: (index) => data.laws[index],
    severity: (index) => SEVERITY_RANK[data.severities[index]] ?? 0,
  };

  sortable(section.querySelector(".sheet"), count, {
    value: (head, index) => (key[head.dataset.sort] ?? ((place) => data.series[head.dataset.sort][place]))(index),
    place: (order) => body.append(...order.flatMap((index) => (opened.has(index) ? [rows[index], opened.get(index).row] : [rows[index]]))),
    worstFirst: (head) => head.dataset.sort === "severity",
  });

  const haystacks = data.titles.map((title, index) => [title, data.names[index], data.kinds[index], data.activations[index], data.laws[index], ...data.findings[index].map(([, code]) => code)].filter(Boolean).join(" ").toLowerCase());
  const filter = () => {
    const kind = form.elements.kind.value;
    const found = form.elements.found.checked;
    let visible = 0;
    rows.forEach((row, index) => {
      const hit = holdsWords(haystacks[index], form.elements.text.value) && (!kind || data.kinds[index] === kind) && (!found || data.findings[index].length > 0);
      row.hidden = !hit;
      if (opened.has(index)) opened.get(index).row.hidden = !hit;
      visible += hit;
    });
    form.querySelector(".count").textContent = visible === rows.length ? `${count} ${count === 1 ? "layer" : "layers"}` : `${visible} of ${count} layers`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();

  const open = (index) => {
    if (opened.has(index)) return;
    const { panel, draw } = layerPanel(data, index, heading);
    const row = element("tr", { className: "detail" }, element("td", { colSpan: rows[index].cells.length }, panel));
    rows[index].after(row);
    opened.set(index, { row, draw });
    rows[index].querySelector(".opener").setAttribute("aria-expanded", "true");
    draw();
  };
  const close = (index) => {
    opened.get(index)?.row.remove();
    opened.delete(index);
    rows[index].querySelector(".opener").setAttribute("aria-expanded", "false");
  };
  rows.forEach((row, index) => {
    const head = row.querySelector("th");
    const opener = element("button", { type: "button", className: "opener" });
    opener.setAttribute("aria-expanded", "false");
    opener.append(...head.childNodes);
    head.append(opener);
    opener.addEventListener("click", () => (opened.has(index) ? close(index) : open(index)));
  });

  const redraw = () => { for (const { draw } of opened.values()) draw(); };
  themeChanged.push(redraw);

  /** Opens a layer, brings it into view below the head of the table, which stays in sight, and puts the focus there. */
  const reveal = (index) => {
    if (rows[index].hidden) { form.reset(); filter(); }
    open(index);
    for (const row of body.querySelectorAll(".marked")) row.classList.remove("marked");
    rows[index].classList.add("marked");
    rows[index].scrollIntoView({ block: "start" });
    rows[index].querySelector(".opener").focus({ preventScroll: true });
  };
  return { reveal, redraw };
}
