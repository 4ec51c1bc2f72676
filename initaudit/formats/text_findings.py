"""The findings of a report for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from initaudit.findings import fix_acts_on
from initaudit.formats.printing import visible
from initaudit.formats.telling import Part, active

if TYPE_CHECKING:
    from rich.console import Console

    from initaudit.format import FormatOptions

STYLES = {
    "pass": "bold green",
    "warn": "bold yellow",
    "fail": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "info": "cyan",
}
READERS = {"pytorch": "PyTorch", "keras": "Keras", "onnx": "The file"}
"""What a reader of advice has in hand."""
WIDE = 60
"""Columns from which findings are indented. A judgement: below, indented lines hold seven words or fewer."""
OTHERS_NAMED = 4
"""Further layers named under a finding that repeats."""

FIX = "`initaudit fix` draws the weights anew that these findings ask for, and audits the result."
"""What ends the findings where one of them is of that kind."""


def print_findings(console: Console, report: Part, options: FormatOptions, *, offer: bool = True) -> None:
    """Those that count, by rule; without `--verbose` no notes, and one of each rule; with `offer` that a fix would help, where it would."""
    counting = active(report)
    shown = [f for f in counting if options.verbose or f["severity"] != "info"]
    told: set[str] = set()
    for group in _grouped(shown):
        console.print()
        for finding in group if options.verbose else group[:1]:
            _finding(console, finding)
            _advice(console, finding, told, every=options.verbose)
        if options.verbose:
            continue
        if group[1:]:
            _others(console, group[1:])
    obstacle = report["verdict"].get("obstacle")
    helps = offer and (obstacle is None or obstacle["fix_helps"])
    if helps and any(fix_acts_on(f["remedy"], f["severity"]) for f in counting):
        console.print()
        console.print(Text(FIX, style="dim"))
    hidden = len(counting) - len(shown)
    notes = [f"{hidden} info (--verbose shows {'it' if hidden == 1 else 'them'})"] if hidden else []
    suppressed = len(report["findings"]) - len(counting)
    if suppressed:
        notes.append(f"{suppressed} suppressed")
    if not counting or notes:
        console.print()
        text = "No findings" if not shown else "Also"
        console.print(f"{text}{': ' if notes else '.'}{', '.join(notes)}{'.' if notes else ''}")


def _grouped(findings: Sequence[Part]) -> list[list[Part]]:
    """Findings of one rule and severity together, in the order of their first: a fault in 40 layers is read once."""
    groups: dict[tuple[str, str], list[Part]] = {}
    for finding in findings:
        groups.setdefault((finding["code"], finding["severity"]), []).append(finding)
    return list(groups.values())


def _indented(console: Console, text: str, *, style: str = "") -> None:
    """Below the line that names the finding; in a narrow terminal hardly to the right of it."""
    console.print(Padding(Text(text, style=style), (0, 0, 0, 8 if console.width >= WIDE else 2)))


def _others(console: Console, findings: Sequence[Part]) -> None:
    names = [visible(f["layer"] or f["initializer"] or "the model") for f in findings]
    more = f" and {len(names) - OTHERS_NAMED} more" if len(names) > OTHERS_NAMED else ""
    text = f"also at {', '.join(names[:OTHERS_NAMED])}{more} (--verbose shows them)"
    _indented(console, text, style="dim")


def _finding(console: Console, finding: Part) -> None:
    line = Text.assemble(
        (f"{finding['severity']:7}", STYLES[finding["severity"]]), f" {finding['code']} {finding['name']}"
    )
    if finding["layer"]:
        line.append(f"  {visible(finding['layer'])}", style="bold")
    console.print(line)
    _indented(console, visible(finding["message"]))
    if finding["suggestion"]:
        _indented(console, f"-> {visible(finding['suggestion'])}", style="dim")


def _advice(console: Console, finding: Part, told: set[str], *, every: bool) -> None:
    """For the reader whom the model's producer suggests, who comes first, and for whoever has the file alone; or for every one.

    Code that was `told` already is not repeated, and never broken: a terminal wraps it, and it is copied as it is.
    """
    for place, advice in enumerate(finding.get("advice", ())):
        if advice["code"] in told or not (every or place == 0 or advice["reader"] == "onnx"):
            continue
        told.add(advice["code"])
        text = f"{READERS[advice['reader']]}: {advice['text']}"
        _indented(console, visible(text), style="dim")
        for line in advice["code"].split("\n"):
            console.print(Text(f"{' ' * 12}{visible(line)}", style="dim"), soft_wrap=True)
