"""Starts as text for the terminal: a table, best first, then who wins and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.formats.printing import NOTHING, visible
from initaudit.formats.starts import HEADINGS, cells, told_why
from initaudit.formats.table import layer_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from initaudit.format import FormatOptions

RIGHT = ("learns", "slowness", "saturated", "dead", "similarity")
GIVE_UP = ("dead", "saturated", "similarity", "findings", "gradient", "signal")
"""Columns that go where there is little room, the first one first."""
STYLES = {"fail": "red", "error": "red", "warn": "yellow"}


def show(document: Mapping[str, Any], options: FormatOptions, console: Console) -> None:
    """The model, the table, what could not be drawn, and the sentence."""
    starts = document["starts"]
    rows = [[visible(cell) for cell in cells(start)] for start in starts]
    for row, start in zip(rows, starts, strict=True):
        if start["why"] is not None:  # stands below, whatever columns there is room for
            row[-1] = NOTHING
    styles = [STYLES.get(row[1], "") for row in rows]
    table = layer_table(HEADINGS, rows, options.width, right=RIGHT, give_up=GIVE_UP, styles=styles, paths=False)
    console.print(visible(document["model"]["path"]))
    console.print()
    console.print(table.table)
    if table.note:
        console.print(f"{table.note} -o FILE.html shows them.")
    for told in told_why(document):
        console.print(visible(told))
    for start in starts:
        if start["kept"]:
            first = start["kept"][0]
            told = f"{start['scheme']}: {len(start['kept'])} layers are as in the file: {first['layer']}: {first['reason']}"
            console.print(visible(told))
    console.print()
    console.print(visible(document["sentence"]))
