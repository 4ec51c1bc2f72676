"""A run as text for the terminal."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from initaudit.fleet.telling import SHOWN, found, headline, named, trend, turns, verdicts
from initaudit.formats.printing import NOTHING, printed, visible
from initaudit.formats.table import layer_table

if TYPE_CHECKING:
    from initaudit.fleet.noting import Noted
    from initaudit.fleet.overview import Overview
    from initaudit.fleet.trends import Change

MODELS = ("model", "verdict", "trainability", "errors", "warnings", "rules")
CHANGES = ("model", "change", "verdict", "findings")
NUMBERS = ("trainability", "errors", "warnings")
GIVE_UP = ("rules", "findings", "warnings", "errors")
"""Columns that go where there is little room, the first one first."""
MIN_PATH = 40
"""Columns that a path gets before a column of the table is given up. A judgement: a folder and a file's name."""


def text(view: Overview, *, width: int, verbose: bool = False) -> str:
    """The whole run, for a terminal of `width` columns; with `verbose` every model and every change."""
    blocks = [_head(view, width)]
    if view.since is not None:
        blocks.append(_changes(view, width, verbose=verbose))
    rules = [visible(f"{code} {name}: {found(models, findings)}") for code, name, models, findings in view.rules]
    if rules:
        blocks.append(_listed(rules, len(rules) if verbose else SHOWN))
    shown = [model for model in view.models if verbose or model.status != "pass"]
    if shown:
        listed = shown if verbose else shown[:SHOWN]
        blocks.append("\n".join([_table(MODELS, map(_row, listed), width), *_more(len(view.models) - len(listed))]))
    broken = [_filled(model.reason, width) for model in shown if not model.row.has_report]
    if broken:
        blocks.append(_listed(broken, len(broken) if verbose else SHOWN))
    return printed("\n\n".join(blocks))


def changes_text(view: Overview, *, width: int, verbose: bool = False) -> str:
    """What became of the models since the earlier run, and no more."""
    return printed(f"{_head(view, width)}\n\n{_changes(view, width, verbose=verbose)}")


def _head(view: Overview, width: int) -> str:
    lines = [f"Run {named(view.record)}: {headline(view)}", *(f"note: {note}" for note in view.notes)]
    return "\n".join(_filled(line, width) for line in lines)


def _changes(view: Overview, width: int, *, verbose: bool) -> str:
    changed = [*view.turned, *view.gone]
    listed = changed if verbose else changed[:SHOWN]
    lines = [_filled(f"Since run {named(view.since)}: {trend(view)}", width)] if view.since is not None else []
    if listed:
        lines.append(_table(CHANGES, map(_change_row, listed), width))
    return "\n".join([*lines, *_more(len(changed) - len(listed))])


def _listed(lines: Sequence[str], most: int) -> str:
    return "\n".join([*lines[:most], *_more(len(lines) - most)])


def _filled(line: str, width: int) -> str:
    return textwrap.fill(visible(line), width, subsequent_indent="  ", break_on_hyphens=False)


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"and {count:,} more (-v lists all)"


def _row(model: Noted) -> list[str]:
    score = NOTHING if model.trainability is None else f"{model.trainability:.2f}"
    codes = ", ".join(dict.fromkeys(finding.code for finding in model.active))
    ended = model.status if model.row.has_report else f"{model.status} ({model.row.status})"
    return [visible(model.path), ended, score, *(str(model.counts[s]) for s in ("error", "warning")), codes or NOTHING]


def _change_row(change: Change) -> list[str]:
    return [visible(change.path), change.fate.value, verdicts(change), turns(change) or NOTHING]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> str:
    give_up = [heading for heading in GIVE_UP if heading in headings]
    made = layer_table(headings, list(rows), width, right=NUMBERS, give_up=give_up, min_name=MIN_PATH)
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True, highlight=False, markup=False, emoji=False).print(made.table)
    return "\n".join([stream.getvalue().rstrip("\n"), *([made.note] if made.note else [])])
