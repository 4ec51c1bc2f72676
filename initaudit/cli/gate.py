"""What closes the gate: findings at or above `--fail-on`, an audit that is not complete, a trainability that is too low."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.config import Config
    from initaudit.report.report import Report

EXIT_FINDINGS = 1
"""The gate is closed, as linters have it."""
EXIT_ERROR = 2
"""Usage, unreadable input or an internal error: click's own code for a wrong command line."""


def exit_code(reports: Sequence[Report], config: Config, *, exit_zero: bool = False) -> int:
    """2 where a model could not be audited, a rule failed or a part of another package could not be used; else 1 where the gate is closed; else 0."""
    from initaudit.findings import Severity
    from initaudit.registry import faults

    if faults() or any(report.error is not None or report.failed_rules for report in reports):
        return EXIT_ERROR
    if exit_zero:
        return 0
    if any(demands(report, config) for report in reports):
        return EXIT_FINDINGS
    if config.fail_on == "never":
        return 0
    limit = Severity(config.fail_on).rank
    return EXIT_FINDINGS if any(f.severity.rank >= limit for r in reports for f in r.active) else 0


def gate(report: Report, config: Config, *, exit_zero: bool = False) -> dict[str, Any]:
    """What the document says of the gate, for formats that tell whether it is closed."""
    return {
        "fail_on": config.fail_on,
        "missed": demands(report, config),
        "exit_code": exit_code([report], config, exit_zero=exit_zero),
    }


def demands(report: Report, config: Config) -> list[str]:
    """What a model does not meet of what the options ask beyond findings, a sentence each; nothing of one that has no audit."""
    if report.error is not None or report.audit is None:
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
