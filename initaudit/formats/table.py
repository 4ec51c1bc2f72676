"""Tables of layers for the terminal: where there is little room, columns go before numbers are cut, and names lose what they share."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table

from initaudit.formats.printing import NOTHING

MIN_NAME = 20
"""Columns that a layer's name gets, where it is as long, before any column is given up. A judgement: the last two or three parts of
a path, by which people tell layers apart."""
BETWEEN = 2
"""Blanks between two columns."""


def full_title(*, name: str, title: str, op_type: str, part: str | None) -> str:
    """The title, with the part where it does not say it yet; the unique name where the title is only the operator's."""
    shown = name if title == op_type else title
    return shown if part is None or part in shown else f"{shown}[{part}]"


def fed(activation: str | None, feeds: Sequence[str]) -> str:
    """What a layer's output goes into: its activation, a norm, an addition."""
    return (activation or (feeds[0] if feeds else NOTHING)).removeprefix("norm:")


@dataclass(frozen=True, slots=True)
class LayerTable:
    """A table, and what it leaves out."""

    table: Table
    dropped: tuple[str, ...]
    """Headings of the columns that there was no room for."""

    @property
    def note(self) -> str:
        """A line on what is left out; nothing where nothing is."""
        several = "s" if len(self.dropped) > 1 else ""
        return f"No room for the column{several} {', '.join(self.dropped)}." if self.dropped else ""


def layer_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    right: Collection[str],
    give_up: Sequence[str] = (),
    styles: Sequence[str] | None = None,
    min_name: int = MIN_NAME,
    paths: bool = True,
) -> LayerTable:
    """A table whose first column, the name, gives way: of paths first the part that all names share, then their beginnings; of other names the middle.

    Args:
        headings: of the columns.
        rows: of texts.
        width: columns of the terminal.
        right: headings of numbers.
        give_up: headings of columns that may go, the first one first; those without any value go before them.
        styles: of the rows.
        min_name: columns that a name gets, where it is as long, before any column is given up.
        paths: whether the names are paths.
    """
    names = [row[0] for row in rows]
    wanted = min(min_name, max(map(len, [headings[0], *(_without_prefix(names) if paths else names)])))
    needed = {h: BETWEEN + max(map(len, [h, *(row[i] for row in rows)])) for i, h in enumerate(headings) if i}
    empty = [h for i, h in enumerate(headings) if all(row[i] == NOTHING for row in rows)]
    going, dropped = sorted(give_up, key=lambda heading: heading not in empty), []
    while going and width - sum(needed.values()) < wanted:
        dropped.append(going.pop(0))
        del needed[dropped[-1]]
    room = max(width - sum(needed.values()), len(headings[0]))
    shown = [i for i, heading in enumerate(headings) if i == 0 or heading in needed]
    fitted = _fitting(names, room) if paths else [_ends(name, room) for name in names]
    table = Table(box=None, pad_edge=False, padding=(0, BETWEEN // 2), header_style="dim")
    for i in shown:
        justify: Literal["left", "right"] = "right" if headings[i] in right else "left"
        table.add_column(headings[i], justify=justify, no_wrap=True, overflow="ellipsis")
    for number, (name, row) in enumerate(zip(fitted, rows, strict=True)):
        table.add_row(name, *(row[i] for i in shown[1:]), style=styles[number] if styles else "")
    return LayerTable(table, tuple(heading for heading in headings if heading in dropped))


def _fitting(names: Sequence[str], room: int) -> list[str]:
    """Names of at most `room` characters: whole, without what they share, or their ends."""
    if all(len(name) <= room for name in names):
        return list(names)
    return [name if len(name) <= room else _end(name, room) for name in _without_prefix(names)]


def _ends(name: str, room: int) -> str:
    """Beginning and end, where all of it does not fit."""
    if len(name) <= room:
        return name
    behind = (room - 1) // 2
    return f"{name[: room - 1 - behind]}…{name[len(name) - behind :]}"


def _end(name: str, room: int) -> str:
    """As many of its last parts as there is room for behind an ellipsis; where much room would be left, the end of one more."""
    end = name[len(name) - room + 1 :]
    whole = re.sub(r"^[^./:]*[./:]", "", end)
    return "…" + (whole if 3 * len(whole) > 2 * len(end) else end)


def _without_prefix(names: Sequence[str]) -> list[str]:
    """Without the parts of the path that all names begin with, an ellipsis in their place."""
    first, last = min(names, default=""), max(names, default="")
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    end = max(first.rfind(separator, 0, shared) for separator in "./:") + 1
    return [f"…{name[end:]}" for name in names] if end > 1 else list(names)
