/* The layer table: sorting, filtering, opening. */

const SEVERITY_RANK = { error: 3, warning: 2, info: 1 };

function layerTable(section, data, count) {
  const body = section.querySelector("tbody");
  const rows = data.anchors.map((anchor) => document.getElementById(anchor));
  const scroller = section.querySelector(".scroller");
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

  /** Order of two values; null and what is not finite come last whichever way the column is sorted. */
  const compare = (one, other, direction) => {
    const missing = (value) => value === null || value === undefined || value === "";
    if (missing(one) || missing(other)) return missing(one) - missing(other);
    if (typeof one === "number" && typeof other === "number") return direction * (one - other);
    if (typeof one === "number") return -1;
    if (typeof other === "number") return 1;
    return direction * one.localeCompare(other, "en", { numeric: true });
  };

  for (const head of section.querySelectorAll("thead th")) {
    const column = head.dataset.sort;
    const button = element("button", { type: "button", className: "sort" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      // Findings are most wanted with the worst on top.
      const first = column === "severity" ? "descending" : "ascending";
      const next = head.getAttribute("aria-sort") === first ? (first === "ascending" ? "descending" : "ascending") : first;
      for (const other of section.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", next);
      const value = key[column] ?? ((index) => data.series[column][index]);
      const order = rows.map((_, index) => index).sort((a, b) => compare(value(a), value(b), next === "ascending" ? 1 : -1) || a - b);
      body.append(...order.flatMap((index) => (opened.has(index) ? [rows[index], opened.get(index).row] : [rows[index]])));
    });
  }

  const haystacks = data.titles.map((title, index) => [title, data.names[index], data.kinds[index], data.activations[index], data.laws[index], ...data.findings[index].map(([, code]) => code)].filter(Boolean).join(" ").toLowerCase());
  const filter = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = form.elements.kind.value;
    const found = form.elements.found.checked;
    let visible = 0;
    rows.forEach((row, index) => {
      const hit = words.every((word) => haystacks[index].includes(word)) && (!kind || data.kinds[index] === kind) && (!found || data.findings[index].length > 0);
      row.hidden = !hit;
      if (opened.has(index)) opened.get(index).row.hidden = !hit;
      visible += hit;
    });
    form.querySelector(".count").textContent = visible === rows.length ? `${count} ${count === 1 ? "layer" : "layers"}` : `${visible} of ${count} layers`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();

  const fit = (panel) => { panel.style.width = `${scroller.clientWidth}px`; };
  const open = (index) => {
    if (opened.has(index)) return;
    const { panel, draw } = layerPanel(data, index, heading);
    const cell = element("td", { colSpan: 13 }, panel);
    const row = element("tr", { className: "detail", id: `${data.anchors[index]}-detail` }, cell);
    rows[index].after(row);
    fit(panel);
    opened.set(index, { row, panel, draw });
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

  const redraw = () => { for (const { panel, draw } of opened.values()) { fit(panel); draw(); } };
  themeChanged.push(redraw);

  /** Opens a layer, brings it into view and puts the focus there. */
  const reveal = (index) => {
    if (rows[index].hidden) { form.reset(); filter(); }
    open(index);
    for (const row of body.querySelectorAll(".marked")) row.classList.remove("marked");
    rows[index].classList.add("marked");
    rows[index].scrollIntoView({ block: "center" });
    rows[index].querySelector(".opener").focus({ preventScroll: true });
  };
  return { reveal, redraw };
}
