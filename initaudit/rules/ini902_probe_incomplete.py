"""INI902 probe-incomplete: the signal could not be measured, or not everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit


class ProbeIncomplete(Rule):
    """The signal could not be measured, or not everywhere.

    Why: what depends on the signal (vanishing, saturation, gradients, trainability) is then not judged.
    Harmless when: the static audit is all that was wanted.
    Fix: give what the reason names, e.g. `--input-shape`, `--input-data`, `--max-memory`, `--timeout`; or `--probe none`.
    References: none; coverage is a result.
    """

    code = "INI902"
    name = "probe-incomplete"
    severity = Severity.INFO
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.NONE

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """One finding with the reason."""
        probe = audit.probe
        if probe.status in ("complete", "skipped"):
            return
        unprobed = sum(layer.signal is None for layer in audit.layers)
        blind = audit.trainability is None and not audit.context.has_training and probe.mode == "full"
        yield self.finding(
            None,
            f"{unprobed} of {len(audit.layers)} layers were not probed: {probe.reason}"
            if unprobed
            else f"The signal was measured in part: {probe.reason}.",
            measured=float(unprobed),
            expected=0.0,
            severity=Severity.WARNING if blind or unprobed == len(audit.layers) else Severity.INFO,
            suggestion="Give --input-shape or --input-data." if probe.is_for_want_of_inputs else "",
        )
