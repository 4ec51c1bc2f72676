"""Rows in a file, one JSON object a line, which long runs add to one by one and go on from where they stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def rows_in(file: Path) -> dict[str, Row]:
    """By their `id`, in order; none where there is no file yet."""
    lines = file.read_text().splitlines() if file.exists() else ()
    return {row["id"]: row for row in map(json.loads, lines)}


def write_down(file: Path, row: Row) -> None:
    """One more row."""
    with file.open("a") as lines:
        lines.write(json.dumps(row) + "\n")
