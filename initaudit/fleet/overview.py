"""Overview: all that every report on a run tells, gathered once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from initaudit.config import FILTERS
from initaudit.findings import Severity
from initaudit.fleet.noting import STATUSES, rule_names
from initaudit.fleet.reading import Reading, in_urgency, runs_before
from initaudit.fleet.trends import Change, Fate, History
from initaudit.formats.telling import plural
from initaudit.report.gate import EXIT_ERROR, EXIT_FINDINGS

if TYPE_CHECKING:
    from initaudit.fleet.noting import Noted, ReadFinding
    from initaudit.fleet.record import RunRecord

RuleCount: TypeAlias = tuple[str, str, int, int]
"""Code and name of a rule, the models that it found something in, and its findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A run, the worst model first, and what changed since an earlier one."""

    address: str
    """Of the store."""
    record: RunRecord
    models: Sequence[Noted]
    """Every finished one, the worst first."""
    since: RunRecord | None
    """The run that it is compared with; None where it is the first, or is compared with none."""
    changes: Mapping[str, Change]
    """By path: what became of each model since; the gone ones too."""

    @property
    def unfinished(self) -> int:
        """Planned models without a row."""
        return self.record.planned - len(self.models)

    @property
    def statuses(self) -> dict[str, int]:
        """Models by verdict, the worst first; those that there are."""
        count = Counter(model.status for model in self.models)
        return {status: count[status] for status in STATUSES if count[status]}

    @property
    def ends(self) -> dict[str, int]:
        """Models by how their audit ended (audited, cached, timeout ...)."""
        return dict(Counter(model.row.status for model in self.models).most_common())

    @property
    def fates(self) -> dict[Fate, int]:
        """Models by what became of them."""
        count = Counter(change.fate for change in self.changes.values())
        return {fate: count[fate] for fate in Fate if fate is not Fate.SAME and count[fate]}

    @property
    def gone(self) -> list[Change]:
        """Models of the run before that are not planned any more."""
        return sorted((c for c in self.changes.values() if c.fate is Fate.GONE), key=lambda change: change.path)

    @property
    def turned(self) -> list[Change]:
        """Models that regressed, returned, are new with findings or are fixed: the worst first."""
        order = list(Fate)
        found = [c for c in self.changes.values() if c.after is not None and (c.turns or c.fate is not Fate.SAME)]
        return sorted(found, key=lambda c: (order.index(c.fate), c.after.urgency if c.after else ()))

    @property
    def rules(self) -> list[RuleCount]:
        """Rules that found what counts, those in the most models first."""
        models: Counter[str] = Counter()
        findings: Counter[str] = Counter()
        for model in self.models:
            found = Counter(finding.code for finding in model.active)
            models.update(found.keys())
            findings.update(found)
        order = sorted(models, key=lambda code: (-models[code], code))
        return [(code, rule_names().get(code, ""), models[code], findings[code]) for code in order]

    def appeared(self, severity: Severity) -> list[tuple[str, ReadFinding]]:
        """Path and finding of all that is new, returned or more severe, at or above a severity."""
        return [(c.path, finding) for c in self.changes.values() for finding in c.appeared(severity)]

    @property
    def notes(self) -> list[str]:
        """What makes a run hard to compare, or incomplete, a sentence each."""
        told = []
        if self.unfinished:
            told.append(
                f"{plural(self.unfinished, 'planned model')} of {self.record.planned:,} without a result: run again to resume"
            )
        if self.since is not None:
            versions = self.since.version, self.record.version
            if versions[0] != versions[1]:
                told.append(
                    f"made by two versions of initaudit, {versions[0]} and {versions[1]}, which may judge differently"
                )
            if _audits(self.since) != _audits(self.record):
                told.append(f"run {self.since.id} was made under other options")
        return told

    def exit_code(self, fail_on_new: str | None = None) -> int:
        """2 where a model has no report, a rule failed or a row is missing; else 1 where a gate is closed; else 0.

        Args:
            fail_on_new: lowest severity of a finding that closes the gate if it is new; what was so in the run before, findings and models
                without a report, is no matter then.
        """
        broken = [model for model in self.models if model.exit_code == EXIT_ERROR]
        if fail_on_new is not None:
            broken = [model for model in broken if not self._was_broken(model)]
        if self.unfinished or broken:
            return EXIT_ERROR
        if fail_on_new is not None:
            return EXIT_FINDINGS if fail_on_new != "never" and self.appeared(Severity(fail_on_new)) else 0
        closed = any(model.exit_code == EXIT_FINDINGS for model in self.models)
        return EXIT_FINDINGS if closed and not self.record.exit_zero else 0

    def _was_broken(self, model: Noted) -> bool:
        change = self.changes.get(model.path)
        return change is not None and change.before is not None and change.before.exit_code == EXIT_ERROR


def overview(reading: Reading, since: RunRecord | None) -> Overview:
    """Of a run, compared with an earlier one, whose own past tells what is new and what returned."""
    store, run = reading.store, reading.record
    models = in_urgency(reading.noted())
    changes: dict[str, Change] = {}
    if since is not None:
        filters = reading.filters()
        earlier = (Reading(store, run, reading.given, filters) for run in [*runs_before(store, since), since])
        changes = {c.path: c for c in History(run.noted() for run in earlier).changes(models, planned=filters)}
    return Overview(address=store.address, record=run, models=models, since=since, changes=changes)


def _audits(run: RunRecord) -> list[dict[str, Any]]:
    """The options of a run that decide what is found."""
    return [{name: value for name, value in said.items() if name not in FILTERS} for said in run.options]
