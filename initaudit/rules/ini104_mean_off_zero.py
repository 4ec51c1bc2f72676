"""INI104 mean-off-zero: the mean of the weights is large against their spread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule, Threshold

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

LARGE_OFFSET = 1.0
"""|mean| over std from which the layer is named: below it both signs are common; a half-normal law has 1.32, and the largest of
400 trained layers 0.55 (`benchmarks/thresholds.py trained`)."""
MIN_COUNT = 128
"""Fewer values tell too little about a mean: of 128 independent ones it is known within 9 % of the std."""
MIN_FAN_IN = 8
"""Small filters (blur, edge) have a mean by nature."""


class MeanOffZero(Rule):
    """The mean of the weights is large against their spread.

    Why: every scheme draws around zero; a common offset adds the same multiple of the input sum to all units, which makes them alike,
        and with one sign everywhere it pushes ReLU units to be always on or always dead.
    Harmless when: the layer averages on purpose (pooling, smoothing, monotonic or non-negative networks).
    Fix: re-initialise the layer: `initaudit fix --select INI104`; in a trained network check how it was loaded.
    References: Glorot & Bengio 2010, section 4.2; LeCun et al. 1998, Efficient BackProp, section 4.6.
    """

    code = "INI104"
    name = "mean-off-zero"
    severity = Severity.WARNING
    remedy = Remedy.DRAW_LAYER
    thresholds = (Threshold("offset", LARGE_OFFSET, "mean over std, without its sign, from"),)

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Filters over single channels, tables and vectors have a mean by nature."""
        del audit
        stats, facts = layer.stats, layer.layer
        if not facts.kind.mixes_channels or facts.untrainable:
            return
        if stats.count < MIN_COUNT or facts.fan_in < MIN_FAN_IN or not stats.std > 0:
            return
        offset = abs(stats.mean) / stats.std
        if offset < self.threshold("offset") or stats.zeros > 0.5:
            return
        sign = "negative" if stats.max <= 0 else "positive" if stats.min >= 0 else "of one sign mostly"
        yield self.finding(
            layer,
            f"Mean {stats.mean:.3g} is {offset:.2g} times the std {stats.std:.3g} (weights are {sign}); "
            "the units all follow the sum of their inputs and are alike.",
            measured=offset,
            expected=0.0,
            suggestion="Check how the layer was loaded and converted, or ignore it if its weights are meant to have one sign."
            if layer.trained
            else "Draw the weights around zero.",
        )
