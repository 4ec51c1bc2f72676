"use strict";
/* Light, dark or as the system says; and the colours of the style sheet for the canvases. */

const THEMES = ["auto", "light", "dark"];
const themeChanged = [];

/** The computed colour of a custom property such as "error": light-dark() resolved for the theme in force. */
const colour = (() => {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const known = new Map();
  themeChanged.push(() => known.clear());
  return (name) => {
    if (!known.has(name)) {
      probe.style.color = `var(--${name})`;
      known.set(name, getComputedStyle(probe).color);
    }
    return known.get(name);
  };
})();

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const redraw of themeChanged) redraw();
}

function startTheme() {
  const button = document.getElementById("theme");
  let theme = "auto";
  // A sandboxed artifact viewer refuses storage: the page then starts as the system says.
  try { theme = localStorage.getItem("initaudit-theme") ?? "auto"; } catch { /* no storage */ }
  if (!THEMES.includes(theme)) theme = "auto";
  const show = () => { button.textContent = `Theme: ${theme}`; };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try { localStorage.setItem("initaudit-theme", theme); } catch { /* no storage */ }
    show();
    setTheme(theme);
  });
  show();
  setTheme(theme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (theme === "auto") setTheme(theme); });
}
