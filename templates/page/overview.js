/* The table of several models: sorting and filtering. What is filtered out of it is hidden below as well. */

function overviewTable(section) {
  const table = section.querySelector("table");
  const rows = [...table.tBodies[0].rows];
  const form = section.querySelector(".filters");
  const haystacks = rows.map((row) => row.textContent.toLowerCase());
  const number = (text) => (text === "" ? null : Number(text.replaceAll(",", "")));

  sortable(table, rows.length, {
    value: (head, index) => {
      const cell = rows[index].cells[head.cellIndex];
      const text = cell.dataset.value ?? cell.textContent;
      return head.dataset.sort === "text" ? text : number(text);
    },
    place: (order) => table.tBodies[0].append(...order.map((index) => rows[index])),
    worstFirst: (head) => ["Errors", "Warnings", "Layers"].includes(head.textContent),
  });

  const filter = () => {
    const wanted = new Set([...form.querySelectorAll("[name=status]:checked")].map((box) => box.value));
    let visible = 0;
    rows.forEach((row, index) => {
      const hit = wanted.has(row.dataset.status) && holdsWords(haystacks[index], form.elements.text.value);
      row.hidden = document.getElementById(row.dataset.for).hidden = !hit;
      visible += hit;
    });
    form.querySelector(".count").textContent = visible === rows.length ? "" : `${visible} of ${rows.length} models`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
}
