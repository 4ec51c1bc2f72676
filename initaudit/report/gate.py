"""The gate of one model: what of it closes it, by the options that it was audited under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from initaudit.config import Config
    from initaudit.findings import Finding

EXIT_FINDINGS = 1
"""The gate is closed, as linters have it."""
EXIT_ERROR = 2
"""Usage, unreadable input or an internal error: click's own code for a wrong command line."""


def missed(
    config: Config, trainability: float | None, *, probed: str, layers: int, audited: int, parameters: int
) -> list[str]:
    """What the model does not meet of what the options ask beyond findings, a sentence each.

    Args:
        config: the options.
        trainability: None where it was not measured.
        probed: the status of the probe.
        layers: how many there are.
        audited: parameters that were looked at.
        parameters: all of them.
    """
    lines = []
    if config.fail_on_incomplete:
        lines += [f"{what} (--fail-on-incomplete)" for what in _incomplete(probed, layers, audited, parameters)]
    least = config.min_trainability
    if least is not None and trainability is None:
        lines.append(f"trainability was not measured (--min-trainability {least:g})")
    elif least is not None and trainability is not None and trainability < least:
        lines.append(f"trainability {trainability:.3g} is below {least:g} (--min-trainability)")
    return lines


def exit_code(
    config: Config, missed: Sequence[str], active: Iterable[Finding], *, is_judged: bool, exit_zero: bool = False
) -> int:
    """Of a model alone: 2 where something of it was not judged; 1 where what it `missed` or a finding closes the gate, unless `exit_zero`; else 0."""
    if not is_judged:
        return EXIT_ERROR
    return EXIT_FINDINGS if not exit_zero and (missed or _is_over(config, active)) else 0


def gate(config: Config | None, missed: Sequence[str], *, code: int) -> dict[str, Any]:
    """What the JSON document says of the gate, for formats that tell whether it is closed; `code` is the exit code of the model alone."""
    return {"fail_on": config.fail_on if config is not None else None, "missed": list(missed), "exit_code": code}


def _incomplete(probed: str, layers: int, audited: int, parameters: int) -> list[str]:
    what = []
    if audited < parameters or not layers:
        what.append(f"{audited:,} of {parameters:,} parameters were audited")
    if probed != "complete":
        what.append(f"the signal was {'not' if probed != 'partial' else 'only in part'} measured")
    return what


def _is_over(config: Config, active: Iterable[Finding]) -> bool:
    """Whether a finding is at or above `fail_on`."""
    if config.fail_on == "never":
        return False
    limit = Severity(config.fail_on).rank
    return any(finding.severity.rank >= limit for finding in active)
