"""Starts as text for the terminal: a table, best first, then who wins and why."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any

from rich.console import Console

from initaudit.formats.printing import printed, visible
from initaudit.formats.table import layer_table
from initaudit.starts.telling import HEADINGS, cells

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTH = 120
"""Columns of a text that goes to no terminal. A judgement: all columns fit."""
RIGHT = ("learns", "slowness", "saturated", "dead", "similarity")
GIVE_UP = ("dead", "saturated", "similarity", "findings", "gradient", "signal")
"""Columns that go where there is little room, the first one first."""
STYLES = {"fail": "red", "error": "red", "warn": "yellow"}


def starts_text(document: Mapping[str, Any], *, width: int, color: bool = False) -> str:
    """The document for a terminal of `width` columns."""
    starts = document["starts"]
    rows = [[visible(cell) for cell in cells(start)] for start in starts]
    styles = [STYLES.get(row[1], "") if color else "" for row in rows]
    table = layer_table(HEADINGS, rows, width, right=RIGHT, give_up=GIVE_UP, styles=styles)
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=color, color_system="standard" if color else None, highlight=False
    )
    console.print(table.table)
    kept = dict.fromkeys(f"{start['scheme']}: {len(start['kept'])} layers are as in the file: {start['kept'][0]['layer']}: {start['kept'][0]['reason']}" for start in starts if start["kept"])  # fmt: skip
    more = f"{table.note} -o FILE.html shows them." if table.note else ""
    lines = [more, *kept, "", document["sentence"]]
    told = [wrapped for line in lines if line or line == "" for wrapped in textwrap.wrap(visible(line), width) or [""]]
    return printed("\n".join([visible(document["model"]["path"]), "", stream.getvalue().rstrip(), *told]))
