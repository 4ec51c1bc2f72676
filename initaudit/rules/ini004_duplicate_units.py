"""INI004 duplicate-units: two or more output units have the same incoming weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.severity import fatal_to_learning
from initaudit.kind import Kind
from initaudit.rule import Rule, Threshold

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

MANY = 0.5
"""Share of repeating units above which the layer has lost most of its width: an error."""
SOME = 0.01
"""Share above which copies are worth a warning; two equal float rows do not happen by chance."""
FILTER_BANK = 0.95
"""Share of repeating depthwise kernels from which they are one fixed filter: blurring, upsampling, a moving average."""
MIN_FAN_IN = 4
"""With fewer incoming weights equal units are ordinary in quantised or integer-valued layers."""
MIN_FAN_IN_QUANTIZED = 64
"""4-bit weights have 16 values: rows of fewer weights repeat by chance in narrow layers."""


class DuplicateUnits(Rule):
    """Two or more output units have the same incoming weights.

    Why: equal units compute equal outputs and receive equal gradients, so they stay equal: the layer is narrower than it looks.
    Harmless when: the copies are meant (tiled or interpolated weights, a widened network); ignore the layer with a reason.
    Fix: re-initialise the layer (`initaudit fix --select INI004`); in a trained network load it again.
    References: Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.4.
    """

    code = "INI004"
    name = "duplicate-units"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.DRAW_LAYER
    thresholds = (Threshold("share", SOME, "share of units that repeat another one, above"),)

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Table rows are no units. Depthwise filters see different inputs: their repeats are no loss of width, but no accident either."""
        stats, facts = layer.stats, layer.layer
        if not facts.kind.is_mixing or facts.untrainable:
            return
        quantized = not facts.weight.tensors[0].is_floating if facts.weight.tensors else False
        if facts.fan_in < (MIN_FAN_IN_QUANTIZED if quantized else MIN_FAN_IN) or stats.min == stats.max:
            return
        share = stats.duplicate_units_scaled
        depthwise = facts.kind is Kind.DEPTHWISE_CONV
        if not share > self.threshold("share") or (depthwise and share > FILTER_BANK):
            return
        exactly = (
            "" if stats.duplicate_units >= share else ", up to a factor such as a folded BatchNormalization leaves"
        )
        effect = "no training makes kernels equal" if depthwise else "the layer is narrower than it looks"
        yield self.finding(
            layer,
            f"{share:.0%} of the units repeat the incoming weights of another unit{exactly}; {effect}.",
            measured=share,
            expected=0.0,
            severity=fatal_to_learning(audit) if share > MANY and not depthwise else Severity.WARNING,
            suggestion="Check how the layer was loaded and converted, or ignore it if the copies are meant."
            if layer.trained
            else "Re-initialise the layer so that its units differ, or ignore it if the copies are meant.",
        )
