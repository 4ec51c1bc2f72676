/* Sorting of a table by a click on the head of a column. */

/** Order of two values; null and what is not finite come last whichever way the column is sorted. */
function compareValues(one, other, direction) {
  const missing = (value) => value === null || value === undefined || value === "";
  if (missing(one) || missing(other)) return missing(one) - missing(other);
  if (typeof one === "number" && typeof other === "number") return direction * (one - other);
  if (typeof one === "number") return -1;
  if (typeof other === "number") return 1;
  return direction * one.localeCompare(other, "en", { numeric: true });
}

/**
 * Makes every head of a table a button that sorts its rows.
 * `value(head, index)` is what row `index` of `count` is sorted by, `place(order)` puts the rows into an order,
 * `worstFirst(head)` says of which columns the largest value is wanted on top.
 */
function sortable(table, count, { value, place, worstFirst }) {
  const heads = [...table.tHead.rows[0].cells];
  for (const head of heads) {
    const button = element("button", { type: "button", className: "sort" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const first = worstFirst(head) ? "descending" : "ascending";
      const next = head.getAttribute("aria-sort") === first ? (first === "ascending" ? "descending" : "ascending") : first;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", next);
      const values = Array.from({ length: count }, (_, index) => value(head, index));
      const direction = next === "ascending" ? 1 : -1;
      place(values.map((_, index) => index).sort((a, b) => compareValues(values[a], values[b], direction) || a - b));
    });
  }
}

/** Whether every word of a search stands in a text that is in lower case. */
const holdsWords = (text, search) => search.toLowerCase().split(/\s+/).filter(Boolean).every((word) => text.includes(word));
