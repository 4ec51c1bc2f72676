/* Numbers as the report prints them, and small helpers to build elements. */

/** Three significant digits; 1.2e-17 without a plus sign or leading zeros. */
function show(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 6 });
  return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
}

/** A power of ten as an axis prints it. */
function showPower(value) {
  if (value === null || value === undefined) return "";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(6))) : value.toExponential(0).replace("e+", "e");
}

/** Text of the report with what stands between backticks as code. */
function prose(text) {
  const pieces = text.split("`");
  if (pieces.length % 2 === 0) pieces.push(pieces.splice(-2).join("`"));
  return pieces.map((piece, index) => (index % 2 ? element("code", {}, piece) : piece));
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** An element with properties and children; text only ever goes in as text. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && name !== "role") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
