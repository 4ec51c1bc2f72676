"""Tables of layers for the terminal: names that give way."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.table import Table

MIN_NAME = 12
"""Columns that a layer's name gets at least."""


def full_title(*, name: str, title: str, op_type: str, part: str | None) -> str:
    """The title, with the part where it does not say it yet; the unique name where the title is only the operator's."""
    shown = name if title == op_type else title
    return shown if part is None or part in shown else f"{shown}[{part}]"


def layer_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    right: Collection[str],
    styles: Sequence[str] | None = None,
) -> Table:
    """A table whose first column, the name, gives way: it keeps its end, where paths differ."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=True, overflow="ellipsis")
    others = [[heading, *(row[i] for row in rows)] for i, heading in enumerate(headings) if i]
    room = max(MIN_NAME, width - sum(2 + max(map(len, column)) for column in others))
    for index, (name, *rest) in enumerate(rows):
        shown = name if len(name) <= room else "…" + name[len(name) - room + 1 :]
        table.add_row(shown, *rest, style=styles[index] if styles else "")
    return table
