"""Trends: what became of models and findings from the runs before to this one; findings are known by model and fingerprint."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from initaudit.findings import Severity
from initaudit.fleet.noting import STATUSES

if TYPE_CHECKING:
    from initaudit.fleet.noting import Noted, ReadFinding


class Fate(enum.StrEnum):
    """What became of a model, or of a finding."""

    REGRESSED = "regressed"
    """A worse verdict, or a warning or error that was not there; of a finding: more severe."""
    RETURNED = "returned"
    """Not in the run before, but in an earlier one."""
    NEW = "new"
    """In no earlier run."""
    FIXED = "fixed"
    """A better verdict, or fewer warnings or errors and no new one; of a finding: not found any more."""
    GONE = "gone"
    """Not planned any more; of a finding: with its model."""
    SAME = "same"
    """None of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A finding that is new, returned, more severe, fixed or gone."""

    finding: ReadFinding
    fate: Fate

    @property
    def is_bad(self) -> bool:
        """Whether there is more to do than before."""
        return self.fate in (Fate.NEW, Fate.RETURNED, Fate.REGRESSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One model in this run and before."""

    path: str
    fate: Fate
    before: Noted | None
    """As the run before had it; None where it was not in it."""
    after: Noted | None
    """None where it is gone."""
    turns: tuple[Turn, ...] = ()
    """Findings that did not stay as they were, the worst first."""

    def appeared(self, severity: Severity) -> list[ReadFinding]:
        """Findings at or above a severity that the last look at the model did not find, or found less severe."""
        return [turn.finding for turn in self.turns if turn.is_bad and turn.finding.severity.rank >= severity.rank]


@dataclass(slots=True)
class _Known:
    """What earlier runs know of a model. Memory is bounded by models and findings, not by runs."""

    last: Noted | None = None
    """Of the run before."""
    audited: dict[str, ReadFinding] | None = None
    """Findings that counted when it was last audited, by fingerprint; None where it never was."""
    ever: set[str] = field(default_factory=set)
    """Fingerprints that counted once."""


class History:
    """What earlier runs found, each taken in by `add`, the earliest first."""

    def __init__(self, runs: Iterable[Iterable[Noted]] = ()) -> None:
        self._known: dict[str, _Known] = {}
        for run in runs:
            self.add(run)

    def add(self, run: Iterable[Noted]) -> None:
        """A run that is later than those before it."""
        for known in self._known.values():
            known.last = None
        for model in run:
            known = self._known.setdefault(model.path, _Known())
            known.last = model
            if model.row.has_report:
                known.audited = {finding.fingerprint: finding for finding in model.active}
                known.ever.update(known.audited)

    def changes(self, run: Iterable[Noted], planned: Iterable[str] = ()) -> Iterator[Change]:
        """What became of each model up to this run, then those that are gone.

        Args:
            run: the latest.
            planned: paths of its plan: what is planned and not finished is not gone.
        """
        seen = set(planned)
        for model in run:
            seen.add(model.path)
            yield _change(model, self._known.get(model.path))
        for path, known in self._known.items():
            if path not in seen and known.last is not None:
                turns = [Turn(finding=finding, fate=Fate.GONE) for finding in known.last.active]
                yield Change(path=path, fate=Fate.GONE, before=known.last, after=None, turns=_sorted(turns))


def _change(model: Noted, known: _Known | None) -> Change:
    before = None if known is None else known.last
    turns = _turns(model, known) if model.row.has_report else ()
    if known is None:
        fate = Fate.NEW
    elif before is None:
        fate = Fate.RETURNED
    else:
        fate = _fate(before, model, turns)
    return Change(path=model.path, fate=fate, before=before, after=model, turns=turns)


def _turns(model: Noted, known: _Known | None) -> tuple[Turn, ...]:
    """Findings against those of the last audit: a run in which the model could not be audited says nothing of them."""
    before = (known.audited if known is not None else None) or {}
    ever = known.ever if known is not None else set()
    turns = []
    for finding in model.active:
        earlier = before.get(finding.fingerprint)
        if earlier is None:
            turns.append(Turn(finding=finding, fate=Fate.RETURNED if finding.fingerprint in ever else Fate.NEW))
        elif finding.severity.rank > earlier.severity.rank:
            turns.append(Turn(finding=finding, fate=Fate.REGRESSED))
    there = {finding.fingerprint for finding in model.active}
    turns += [Turn(finding=f, fate=Fate.FIXED) for f in before.values() if f.fingerprint not in there]
    return _sorted(turns)


def _fate(before: Noted, after: Noted, turns: Sequence[Turn]) -> Fate:
    worse = STATUSES.index(before.status) - STATUSES.index(after.status)
    loud = [turn for turn in turns if turn.finding.severity is not Severity.INFO]
    if worse > 0 or (worse == 0 and any(turn.is_bad for turn in loud)):
        return Fate.REGRESSED
    return Fate.FIXED if worse < 0 or loud else Fate.SAME


def _sorted(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    order = list(Fate)
    return tuple(
        sorted(turns, key=lambda t: (-t.finding.severity.rank, order.index(t.fate), t.finding.code, t.finding.subject))
    )
