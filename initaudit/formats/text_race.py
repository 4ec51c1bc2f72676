"""A race as text for the terminal: a table, the fastest first, then who won and who had been expected to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.formats.printing import visible
from initaudit.formats.race import (
    HEADINGS,
    NUMBERS,
    cells,
    course,
    fewest_steps,
    told_agreement,
    told_ends,
    told_interruption,
)
from initaudit.formats.table import layer_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from initaudit.format import FormatOptions

GIVE_UP = ("from-to", "diverged", "held out", "times", "end", "with")
"""Columns that go where there is little room, the first one first."""


def show(document: Mapping[str, Any], options: FormatOptions, console: Console) -> None:
    """The model, how it was trained, the table, and the sentences."""
    fewest = fewest_steps(document)
    rows = [[visible(cell) for cell in cells(start, fewest)] for start in document["starts"]]
    styles = ["" if start["steps"] is not None else "yellow" for start in document["starts"]]
    table = layer_table(HEADINGS, rows, options.width, right=NUMBERS, give_up=GIVE_UP, styles=styles, paths=False)
    console.print(visible(document["model"]["path"]))
    console.print(visible(course(document)))
    console.print()
    console.print(table.table)
    if table.note:
        console.print(f"{table.note} -o FILE.html shows them.")
    console.print()
    for ended in filter(None, (told_interruption(document), *told_ends(document))):
        console.print(ended)
    console.print(visible(document["sentence"]))
    if told := told_agreement(document):
        console.print(visible(told))
