"""Noted: a row and what counts of its findings, under the options of today: that costs neither an audit nor a look into a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from initaudit.findings import Finding, Severity
from initaudit.judgement.filtering import is_selected, weighed
from initaudit.judgement.verdict import nothing_left, status_of
from initaudit.report.gate import EXIT_ERROR, exit_code, missed

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.fleet.row import Row
    from initaudit.judgement.baseline import Baseline

STATUSES = ("error", "fail", "warn", "pass")
"""Verdicts, the worst first."""
BY_WORD = {severity.value: severity for severity in Severity}
LOUD = ("error", "warning")
"""Severities that a verdict is made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFinding(Finding):
    """A finding that was read back: it knows its fingerprint, and not what that was made from."""

    read_fingerprint: str

    @property
    def fingerprint(self) -> str:
        """As it was read."""
        return self.read_fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What a reader of the run is told of one model."""

    row: Row
    status: str
    """pass, warn, fail, or error where there is no report."""
    reason: str
    """One sentence."""
    findings: tuple[ReadFinding, ...]
    """Of the selected rules, suppressed ones included."""
    active: tuple[ReadFinding, ...]
    """Those that count."""
    counts: Mapping[str, int]
    """How many of them there are by severity, the worst first."""
    missed: tuple[str, ...]
    """What the gates ask beyond findings and the model does not meet, a sentence each."""
    exit_code: int
    """Of this model alone."""

    @property
    def path(self) -> str:
        """The model's."""
        return self.row.path

    @property
    def trainability(self) -> float | None:
        """Where it is a question: not of a trained network."""
        return self.row.trainability if self.row.context in ("fresh", "unknown") else None

    @property
    def urgency(self) -> tuple[int, float, int, int, str]:
        """Sorts the worst first: verdict, trainability, findings, path."""
        counts = self.counts
        score = 1.0 if self.trainability is None else self.trainability
        return STATUSES.index(self.status), score, -counts["error"], -counts["warning"], self.path


def row_findings(entry: Mapping[str, Any]) -> list[list[str]]:
    """What a row holds of the findings of a report's entry, made without filters."""
    titles = {layer["name"]: layer["title"] for layer in entry["layers"]}
    found = []
    for finding in entry["findings"]:
        layer = finding["layer"] or ""
        title = titles.get(layer, layer)
        name = finding["initializer"] or ""
        shown = "" if title == layer else title
        found.append([finding["fingerprint"], finding["code"], finding["severity"], layer, shown, name])
    return found


def findings_of(row: Row) -> tuple[ReadFinding, ...]:
    """The findings in a row, without their sentences."""
    return tuple(
        ReadFinding(
            code=code,
            name=rule_names().get(code, ""),
            severity=BY_WORD[severity],
            layer=layer or None,
            initializer=initializer or None,
            message="",
            subject=title or layer or initializer,
            read_fingerprint=fingerprint,
        )
        for fingerprint, code, severity, layer, title, initializer in row.findings
    )


def note(row: Row, config: Config, baseline: Baseline | None) -> Noted:
    """What counts of a row under these options; `baseline` is read from the file that they name."""
    if not row.has_report:
        nothing: tuple[ReadFinding, ...] = ()
        return Noted(
            row=row,
            status="error",
            reason=row.reason,
            findings=nothing,
            active=nothing,
            counts=_counted(nothing),
            missed=(),
            exit_code=EXIT_ERROR,
        )
    found = tuple(weighed(f, config, baseline, row.path) for f in findings_of(row) if is_selected(f, config))
    active = tuple(finding for finding in found if finding.suppressed is None)
    counts = _counted(active)
    lacking = missed(
        config,
        row.trainability,
        probed=row.probe or "skipped",
        layers=row.layers,
        audited=row.audited,
        parameters=row.parameters,
    )
    return Noted(
        row=row,
        status=status_of(active),
        reason=_reason(row, found, active, counts),
        findings=found,
        active=active,
        counts=counts,
        missed=tuple(lacking),
        exit_code=exit_code(config, lacking, active, is_judged=not row.failed_rules),
    )


def _reason(row: Row, found: Sequence[ReadFinding], active: Sequence[ReadFinding], counts: Mapping[str, int]) -> str:
    """The sentence of the run, where as much counts; else the first of what counts, or that nothing does."""
    if all(counts[severity] == row.counts.get(severity, 0) for severity in LOUD):
        return row.reason
    if not any(counts[severity] for severity in LOUD):
        return nothing_left(found, row.context)
    first = max(active, key=lambda finding: finding.severity.rank)
    others = counts[first.severity.value] - 1
    where = f" at {first.layer}" if first.layer else ""
    return f"{first.code} {first.name}{where}{f' (and {others} more)' if others else ''}"


def _counted(findings: Sequence[ReadFinding]) -> dict[str, int]:
    found = [finding.severity for finding in findings]
    return {word: found.count(severity) for word, severity in BY_WORD.items()}


@cache
def rule_names() -> dict[str, str]:
    """Name by code, of the rules that are installed."""
    from initaudit.rule import all_rules

    return {rule.code: rule.name for rule in all_rules()}
