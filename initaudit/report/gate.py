"""The gate of one model: what of it closes it, by the options that it was audited under."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from initaudit.config import Config
    from initaudit.findings import Finding
    from initaudit.judgement.model_audit import ModelAudit

EXIT_FINDINGS = 1
"""The gate is closed, as linters have it."""
EXIT_ERROR = 2
"""Usage, unreadable input or an internal error: click's own code for a wrong command line."""


def is_over(config: Config, active: Iterable[Finding]) -> bool:
    """Whether a finding is at or above `fail_on`."""
    if config.fail_on == "never":
        return False
    limit = Severity(config.fail_on).rank
    return any(finding.severity.rank >= limit for finding in active)


def missed(
    config: Config, audit: ModelAudit, trainability: float | None, *, audited: int, parameters: int
) -> list[str]:
    """What the model does not meet of what the options ask beyond findings, a sentence each."""
    lines = []
    if config.fail_on_incomplete:
        lines += [f"{what} (--fail-on-incomplete)" for what in _incomplete(audit, audited, parameters)]
    least = config.min_trainability
    if least is not None and trainability is None:
        lines.append(f"trainability was not measured (--min-trainability {least:g})")
    elif least is not None and trainability is not None and trainability < least:
        lines.append(f"trainability {trainability:.3g} is below {least:g} (--min-trainability)")
    return lines


def _incomplete(audit: ModelAudit, audited: int, parameters: int) -> list[str]:
    what = []
    if audited < parameters or not audit.layers:
        what.append(f"{audited:,} of {parameters:,} parameters were audited")
    if audit.probe.status != "complete":
        what.append(f"the signal was {'not' if audit.probe.status != 'partial' else 'only in part'} measured")
    return what
