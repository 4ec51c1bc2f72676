"""What text and Markdown say of a run in the same words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from initaudit.formats.markdown import STATUSES
from initaudit.formats.page.words import moment
from initaudit.formats.telling import plural

if TYPE_CHECKING:
    from initaudit.fleet.overview import Overview
    from initaudit.fleet.record import RunRecord
    from initaudit.fleet.trends import Change

SHOWN = 20
"""Models, changes and rules that are listed unless all are asked for: a screen. A judgement."""


def headline(view: Overview) -> str:
    """How many models, and how they fare."""
    counts = ", ".join(f"{count:,} {STATUSES[status]}" for status, count in view.statuses.items())
    return f"{plural(len(view.models), 'model')}{f', {counts}' if counts else ''}"


def named(run: RunRecord) -> str:
    """A run by its id and the time at which it began."""
    return f"{run.id} of {moment(run.started)}"


def trend(view: Overview) -> str:
    """What became of the models since the run that it is compared with."""
    return ", ".join(f"{count:,} {fate.value}" for fate, count in view.fates.items()) or "nothing changed"


def turns(change: Change) -> str:
    """What became of its findings: `INI404 new, INI101 fixed (3)`."""
    count = Counter(f"{turn.finding.code} {turn.fate.value}" for turn in change.turns)
    return ", ".join(kind if number == 1 else f"{kind} ({number})" for kind, number in count.items())


def verdicts(change: Change) -> str:
    """`pass to fail`, or one word where it stayed."""
    sides = [side.status for side in (change.before, change.after) if side is not None]
    return " to ".join(dict.fromkeys(sides))


def found(models: int, findings: int) -> str:
    """What a rule found, and in how many models."""
    return f"{plural(findings, 'finding')} in {plural(models, 'model')}"
