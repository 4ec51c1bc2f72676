"""The layers of a report in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from initaudit.formats.printing import number, visible
from initaudit.formats.table import fed, full_title, layer_table
from initaudit.formats.telling import Part, active

if TYPE_CHECKING:
    from rich.console import Console

    from initaudit.format import FormatOptions

TABLE_ROWS = 24
"""Layers shown without --verbose: one screen; the rest are counted, with the flagged ones kept."""

HEADINGS = ("layer", "fan_in", "std", "target", "ratio", "feeds", "signal", "gradient")
GIVE_UP = ("target", "fan_in", "feeds", "std", "gradient", "signal")
"""Columns that a narrow terminal does without, the first one first: the ratio says the most of a layer."""
NOT_FINITE = "inf/nan"
"""What stands for a measured value that JSON cannot hold."""


def show_layers(console: Console, report: Part, options: FormatOptions) -> None:
    """Those that have a target or a finding; all of them where options ask for it."""
    layers = report["layers"]
    flagged = {f["layer"] for f in active(report) if f["severity"] != "info"}
    weighty = [layer for layer in layers if layer["target"] is not None or layer["name"] in flagged]
    chosen = list(layers if options.verbose else weighty)
    if not options.verbose and len(chosen) > TABLE_ROWS:
        keep = {id(a) for a in [a for a in chosen if a["name"] in flagged][:TABLE_ROWS]}
        keep |= {id(a) for a in chosen[: max(0, TABLE_ROWS - len(keep))]}
        chosen = [a for a in chosen if id(a) in keep]
    styles = ["bold" if layer["name"] in flagged else "" for layer in chosen]
    numbers = set(HEADINGS) - {"layer", "feeds"}
    _table(console, HEADINGS, [_row(a) for a in chosen], options.width, right=numbers, give_up=GIVE_UP, styles=styles)
    if len(chosen) < len(layers):
        console.print(Text(f"... {len(layers) - len(chosen)} more layers (--verbose shows them)", style="dim"))


def _table(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, **how: Any) -> None:
    laid_out = layer_table(headings, rows, width, **how)
    console.print(laid_out.table)
    if laid_out.note:
        console.print(Text(laid_out.note, style="dim"))


def _row(layer: Part) -> tuple[str, ...]:
    std, target, signal = layer["stats"]["std"], layer["target"] or {}, layer["signal"] or {}
    return (
        visible(_title(layer)),
        str(layer["fan_in"]),
        _measured(std, known=True),
        number(target.get("std")),
        _measured(target.get("ratio"), known=bool(target) and std is None),
        fed(layer["activation"], layer["feeds"]),
        _measured(signal.get("variance"), known=bool(signal)),
        number(signal.get("gradient_rms")),
    )


def _title(layer: Part) -> str:
    return full_title(name=layer["name"], title=layer["title"], op_type=layer["op_type"], part=layer["weight"]["part"])


def _measured(value: float | None, *, known: bool) -> str:
    """A number; where there is none although it was measured, it was infinite or NaN."""
    return NOT_FINITE if value is None and known else number(value)


def show_chi(console: Console, report: Part) -> None:
    """chi of the layers where theory or measurement has it."""
    rows = []
    for layer in report["layers"]:
        signal = layer["signal"] or {}
        theory, measured = signal.get("chi"), signal.get("chi_measured")
        if theory is not None or measured is not None:
            rows.append((visible(_title(layer)), number(theory), number(measured)))
    if rows:
        console.print()
        console.print(Text(visible(report["model"]["path"]), style="bold"))
        headings = ("layer", "chi by theory", "measured")
        _table(console, headings, rows, console.width, right=headings[1:])
