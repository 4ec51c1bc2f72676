"""Outcome: what a run over many models keeps of each, small and picklable: the audit itself stays where it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from initaudit.registry import faults
from initaudit.report.gate import EXIT_ERROR

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.findings import Finding
    from initaudit.report.report import Report


@dataclass(slots=True, kw_only=True)
class ShapesTold:
    """What became of the input shapes of the command line: each holds where it fits."""

    used: set[str] = field(default_factory=set)
    """Inputs whose shape fitted."""
    misfits: list[str] = field(default_factory=list)
    """Why a model that has the input cannot have the shape, a sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The report of one model as documents have it, and what a command asks about it."""

    path: str
    entry: Mapping[str, Any]
    """What the JSON document says of the model."""
    findings: tuple[Finding, ...]
    """All, suppressed ones included."""
    config: Config | None
    error: str | None
    """Why there is no audit."""
    failed_rules: tuple[str, ...]
    faults: tuple[str, ...]
    """Parts of other packages that could not be used."""
    names: frozenset[str] | None
    """What tables of layers may mean in the model; None where it could not be audited."""
    shapes: ShapesTold = field(default_factory=ShapesTold)

    def with_faults(self, faults: Sequence[str]) -> Outcome:
        """With parts of other packages that could not be used here: the process that made the report may not have looked for them."""
        new = [fault for fault in faults if fault not in self.failed_rules]
        if not new:
            return self
        failed = (*new, *self.failed_rules)
        gate = {**self.entry["gate"], "exit_code": EXIT_ERROR}
        entry = {**self.entry, "failed_rules": list(failed), "gate": gate}
        return replace(self, entry=entry, failed_rules=failed, faults=(*new, *self.faults))

    @property
    def active(self) -> tuple[Finding, ...]:
        """Findings that are not suppressed."""
        return tuple(finding for finding in self.findings if finding.suppressed is None)

    @property
    def missed(self) -> list[str]:
        """What the model does not meet of what the options ask beyond findings, a sentence each."""
        missed: list[str] = self.entry["gate"]["missed"]
        return missed

    @property
    def exit_code(self) -> int:
        """Of this model alone."""
        code: int = self.entry["gate"]["exit_code"]
        return code


def outcome(report: Report, shapes: ShapesTold | None = None, *, exit_zero: bool = False) -> Outcome:
    """What is kept of a report; with `exit_zero` findings do not close its gate."""
    return Outcome(
        path=report.path,
        entry={**report.entry(), "gate": report.gate(exit_zero=exit_zero)},
        findings=report.findings,
        config=report.config,
        error=report.error,
        failed_rules=report.failed_rules,
        faults=faults(),
        names=_names(report),
        shapes=shapes or ShapesTold(),
    )


def _names(report: Report) -> frozenset[str] | None:
    if report.audit is None:
        return None
    layers = [audit.layer for audit in report.audit.layers]
    tensors = {tensor.name for layer in layers for tensor in layer.weight.tensors}
    found = {
        name for finding in report.findings for name in (finding.layer, finding.subject, finding.initializer) if name
    }
    return frozenset(found | tensors | {name for layer in layers for name in (layer.name, layer.title)})
