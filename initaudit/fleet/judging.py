"""What counts of a stored result, under the options of today: selection, ignores, the baseline and the gates cost no audit.

Results are kept as an audit without them has found them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from initaudit.config import Config
from initaudit.findings import Confidence, Finding, Severity, counted
from initaudit.judgement.filtering import check_reasons, in_order, is_selected, weighed
from initaudit.judgement.verdict import Verdict, told_by
from initaudit.report.gate import EXIT_ERROR, EXIT_FINDINGS, is_over, missed
from initaudit.report.run import circumstances

if TYPE_CHECKING:
    from initaudit.judgement.baseline import Baseline

Part: TypeAlias = Mapping[str, Any]
"""What the JSON document says of a model, or a part of it."""

AFTERWARDS = ("select", "ignore", "baseline", "fail_on", "fail_on_incomplete", "min_trainability")
"""Options that change nothing of what an audit finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFinding(Finding):
    """A finding that was read back: it knows its fingerprint, and not what that was made from."""

    read_fingerprint: str

    @property
    def fingerprint(self) -> str:
        """As it was read."""
        return self.read_fingerprint


def unfiltered(config: Config) -> Config:
    """The options that a result is made under: those that decide what is found."""
    values: dict[str, Any] = {name: getattr(Config(), name) for name in AFTERWARDS}
    return replace(config, **values)


def findings_of(entry: Part) -> tuple[ReadFinding, ...]:
    """The findings that the document says of a model."""
    titles = {layer["name"]: layer["title"] for layer in entry["layers"]}
    return tuple(
        ReadFinding(
            code=found["code"],
            name=found["name"],
            severity=Severity(found["severity"]),
            confidence=Confidence(found["confidence"]),
            layer=found["layer"],
            initializer=found["initializer"],
            message=found["message"],
            suggestion=found["suggestion"],
            subject=titles.get(found["layer"], found["initializer"] or ""),
            read_fingerprint=found["fingerprint"],
        )
        for found in entry["findings"]
    )


def judged(
    entry: Part, config: Config, baseline: Baseline | None, path: str, *, exit_zero: bool = False
) -> dict[str, Any]:
    """The entry as `initaudit check` gives it under these options.

    Args:
        entry: of a model that was audited under `unfiltered(config)`.
        config: options.
        baseline: accepted findings, read from the file that `config` names.
        path: what reports call the model.
        exit_zero: findings do not close the gate.

    Raises:
        UsageError: an ignore gives a layer as its reason.
    """
    check_reasons(config, {name for layer in entry["layers"] for name in (layer["name"], layer["title"])})
    depth = {layer["name"]: layer["depth"] for layer in entry["layers"]}
    said = {finding["fingerprint"]: finding for finding in entry["findings"]}
    found = in_order((weighed(f, config, baseline, path) for f in findings_of(entry) if is_selected(f, config)), depth)
    findings = [
        {**said[f.fingerprint], "severity": f.severity.value, "suppressed": f.suppressed, "known": f.known}
        for f in found
    ]
    told = {
        **entry,
        "model": {**entry["model"], "path": path},
        "verdict": _verdict(entry["verdict"], found),
        "findings": findings,
        "counts": counted(found),
        **circumstances(config, entry["timing"]["seconds"]),
    }
    return {**told, "gate": _gate(told, found, config, exit_zero=exit_zero)}


def _verdict(said: Part, found: Sequence[Finding]) -> dict[str, Any]:
    """What was measured, and what the findings that count make of it."""
    from initaudit.judgement.obstacle import Obstacle
    from initaudit.judgement.slowness import Slowness

    lost, obstacle = said["first_lost"], said["obstacle"]
    measured = Verdict(
        status="",
        context=said["context"],
        trainability=said["trainability"],
        slowness=Slowness(factor=said["slowness"], why=said["slowness_why"]),
        reason="",
        first_lost=None if lost is None else (lost["layer"], lost["cause"]),
        obstacle=None if obstacle is None else Obstacle(**obstacle),
        unjudged=said["unjudged"],
    )
    told = told_by(found, measured)
    return {
        **said,
        "status": told.status,
        "reason": told.reason,
        "headline": None if told.headline is None else asdict(told.headline),
        "obstacle": None if told.obstacle is None else obstacle,
        "first_lost": lost if told.first_lost is not None else None,
    }


def _gate(entry: Part, found: Sequence[Finding], config: Config, *, exit_zero: bool) -> dict[str, Any]:
    """As `Report.gate` says it."""
    coverage = entry["coverage"]
    lines = missed(
        config,
        entry["verdict"]["trainability"],
        audited=coverage["audited"],
        parameters=coverage["parameters"],
        layers=len(entry["layers"]),
        probe=entry["probe"]["status"],
    )
    closed = bool(lines) or is_over(config, [f for f in found if f.suppressed is None])
    code = EXIT_ERROR if entry["failed_rules"] else EXIT_FINDINGS if closed and not exit_zero else 0
    return {"fail_on": config.fail_on, "missed": lines, "exit_code": code}
