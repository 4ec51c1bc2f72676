"""What closes the gate: findings at or above `--fail-on`, an audit that is not complete, a trainability that is too low."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.report.report import Report

EXIT_FINDINGS = 1
"""The gate is closed, as linters have it."""
EXIT_ERROR = 2
"""Usage, unreadable input or an internal error: click's own code for a wrong command line."""


def exit_code(reports: Sequence[Report], *, exit_zero: bool = False, failed: bool = False) -> int:
    """2 where a model could not be audited, a rule failed or a part of another package could not be used; else 1 where the gate is closed; else 0.

    Args:
        reports: of the run, each judged by the options that it was made under.
        exit_zero: the gate does not close.
        failed: something else went wrong.
    """
    from initaudit.registry import faults

    if failed or faults() or any(report.error is not None or report.failed_rules for report in reports):
        return EXIT_ERROR
    if exit_zero:
        return 0
    return EXIT_FINDINGS if any(demands(report) or _has_findings(report) for report in reports) else 0


def gate(report: Report, *, exit_zero: bool = False) -> dict[str, Any]:
    """What the document says of the gate, for formats that tell whether it is closed."""
    return {
        "fail_on": report.config.fail_on if report.config is not None else None,
        "missed": demands(report),
        "exit_code": exit_code([report], exit_zero=exit_zero),
    }


def _has_findings(report: Report) -> bool:
    """Whether a finding is at or above the bar."""
    from initaudit.findings import Severity

    if report.config is None or report.config.fail_on == "never":
        return False
    limit = Severity(report.config.fail_on).rank
    return any(finding.severity.rank >= limit for finding in report.active)


def demands(report: Report) -> list[str]:
    """What a model does not meet of what the options ask beyond findings, a sentence each; nothing of one that has no audit."""
    config = report.config
    if config is None or report.error is not None or report.audit is None:
        return []
    missed = []
    if config.fail_on_incomplete:
        missed += [f"{what} (--fail-on-incomplete)" for what in _incomplete(report)]
    least, score = config.min_trainability, report.verdict.trainability
    if least is not None and score is None:
        missed.append(f"trainability was not measured (--min-trainability {least:g})")
    elif least is not None and score is not None and score < least:
        missed.append(f"trainability {score:.3g} is below {least:g} (--min-trainability)")
    return missed


def _incomplete(report: Report) -> list[str]:
    assert report.audit is not None
    what = []
    if report.audited < report.parameters or not report.audit.layers:
        what.append(f"{report.audited:,} of {report.parameters:,} parameters were audited")
    if report.audit.probe.status != "complete":
        what.append(f"the signal was {'not' if report.audit.probe.status != 'partial' else 'only in part'} measured")
    return what
