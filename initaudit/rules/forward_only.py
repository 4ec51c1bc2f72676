"""What INI401 and INI402 share where no gradient was measured: how far the signal of an untrained network falls or grows on its way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Severity

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.rule import Rule

FAR = 1e6
"""Ratio of signal variances, either way, that is named although the gradient was not measured. A judgement: a factor of 1,000 in std."""


def change_of_variance(rule: Rule, audit: ModelAudit, *, grows: bool, suggestion: str) -> Iterator[Finding]:
    """A warning at the last layer, where the variance there is FAR times that at the first, or the FARth part of it."""
    if not _is_forward_only(audit) or audit.context.has_training:
        return
    on_the_way = [a for a in audit.layers if _carries(a) and a.layer.name not in audit.probe.elsewhere]
    if len(on_the_way) < 2:
        return
    first, last = (a.signal.variance for a in (on_the_way[0], on_the_way[-1]) if a.signal is not None)
    if not (first > 0 and math.isfinite(first)):
        return
    change = last / first if math.isfinite(last) else math.inf
    if change > FAR if grows else change < 1 / FAR:
        yield rule.finding(
            on_the_way[-1],
            f"The signal's variance here is {change:.2g} times that at the first layer: whether the network learns all the same, the gradient "
            f"tells ({'--probe full' if audit.probe.mode == 'forward' else 'which was not measured'}).",
            measured=change,
            expected=1.0,
            severity=Severity.WARNING,
            suggestion=suggestion,
        )


def _is_forward_only(audit: ModelAudit) -> bool:
    """Whether the way forward is all that was measured: asked for, or the way back took too long."""
    if audit.trainability is not None:
        return False
    return audit.probe.mode == "forward" or (audit.probe.mode == "full" and audit.probe.status == "partial")


def _carries(audit: LayerAudit) -> bool:
    """Whether the layer passes the signal on: one of zeros does not, and may start so on purpose (a head, the end of a branch)."""
    return audit.layer.kind.is_product and audit.signal is not None and audit.stats.std > 0
