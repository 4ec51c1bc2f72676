"""The comparison of two reports for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from initaudit.formats import differences
from initaudit.formats.printing import visible
from initaudit.formats.table import layer_table
from initaudit.formats.telling import Part, plural, subject

if TYPE_CHECKING:
    from rich.console import Console

    from initaudit.format import FormatOptions

STYLES = {"worse": "bold red", "new": "bold red", "mixed": "bold yellow", "better": "bold green", "gone": "bold green"}
TABLE_ROWS = 24
"""Layers shown without --verbose: one screen, as in a report."""
HEADINGS = {"std": "std", "ratio": "ratio", "variance": "signal", "gradient_rms": "gradient"}
"""The statistics in the table, the most important first."""
MEASURE = 13
"""Columns of a measure's name: `trainability` and a blank."""


def show(document: Part, options: FormatOptions, console: Console) -> None:
    """A section a model, then what holds for all of them."""
    for i, model in enumerate(document["comparisons"]):
        if i:
            console.print()
        _model(console, model, options)
    if not document["comparisons"]:
        console.print("No models.")
    for line in [*document["notes"], *document["gate"]["missed"]]:
        console.print(Text(visible(f"Note: {line}."), style="yellow"))


def _model(console: Console, model: Part, options: FormatOptions) -> None:
    console.print(Text(visible(differences.title(model)), style="bold"))
    head = Text.assemble((differences.outcome(model).upper(), STYLES.get(model["outcome"], "bold")))
    console.print(head.append(f"  {differences.statuses(model)}"))
    for name, was, now, turn in differences.measures(model):
        line = Text(f"  {name:{MEASURE}}{was if was == now else f'{was} → {now}'}")
        console.print(line.append(f"  {turn}", style=STYLES.get(turn, "dim")))
    for note in model["notes"]:
        console.print(Text(visible(f"Note: {note}."), style="yellow"))
    _findings(console, model, options)
    if model["layers"]:
        console.print()
        _layers(console, model, options)


def _findings(console: Console, model: Part, options: FormatOptions) -> None:
    found = model["findings"]
    shown = [f for f in found if options.verbose or differences.is_news(f)]
    for first, *others in differences.grouped(shown):
        console.print()
        line = Text.assemble(
            (differences.STATES[first["state"]], STYLES.get(first["state"], "bold")),
            visible(f"  {differences.severity(first)} {first['code']} {first['name']}"),
        )
        console.print(line.append(f"  {visible(subject(first))}", style="bold"))
        console.print(Padding(Text(visible(first["message"])), (0, 0, 0, 8)))
        if others:
            text = f"also at {', '.join(visible(subject(finding)) for finding in others)}"
            console.print(Padding(Text(text, style="dim"), (0, 0, 0, 8)))
    hidden = len(found) - len(shown)
    console.print()
    if hidden:
        console.print(f"{plural(hidden, 'finding')} as before or of information (--verbose shows them).")
    elif not found:
        console.print(differences.no_findings(model))


def _layers(console: Console, model: Part, options: FormatOptions) -> None:
    layers = model["layers"] if options.verbose else model["layers"][:TABLE_ROWS]
    rows = [
        (
            visible(layer["title"]),
            layer["state"],
            differences.change(layer),
            *(differences.arrow(layer["statistics"][key]) for key in HEADINGS),
        )
        for layer in layers
    ]
    headings = ["layer", "state", "change", *HEADINGS.values()]
    give_up = tuple(reversed(HEADINGS.values()))
    laid_out = layer_table(headings, rows, options.width, right={"change"}, give_up=give_up)
    console.print(laid_out.table)
    if laid_out.note:
        console.print(Text(laid_out.note, style="dim"))
    if len(layers) < len(model["layers"]):
        more = len(model["layers"]) - len(layers)
        console.print(Text(f"... {plural(more, 'more layer')} (--verbose shows them)", style="dim"))
    console.print(f"{differences.layer_counts(model)}.")
    if any(layer["state"] == "alike" for layer in model["layers"]):
        console.print(Text(f"{differences.ALIKE}.", style="dim"))
