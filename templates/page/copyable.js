/* A command line that a click copies. */

function copyable(command) {
  const code = element("code", {}, command);
  const button = element("button", { type: "button", className: "ghost" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return element("span", { className: "command" }, code, button);
}
