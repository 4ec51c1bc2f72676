"""INI005 dtype-range: many weights lie at the edge of what their stored type can hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule, Threshold

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

MAX_SUBNORMAL = 0.05
"""Share of values below the smallest normal number from which a layer's std is visibly rounded; N(0, 0.02) in float16 has 0.2 %."""
LARGEST = {"float16": 65504.0, "float8_e4m3fn": 448.0, "float8_e5m2": 57344.0}
"""Largest finite value of the narrow types (ONNX float formats); bfloat16 has the range of float32."""


class DtypeRange(Rule):
    """Many weights lie at the edge of what their stored type can hold.

    Why: subnormal values keep only a few bits, are flushed to zero by many accelerators and slow CPUs down; values at the
        largest finite number were clipped when the model was converted.
    Harmless when: the layer is pruned or decayed on purpose and its outputs do not matter.
    Fix: store the layer in float32 or bfloat16, or rescale it.
    References: Micikevicius et al. 2018, Mixed Precision Training, section 3; IEEE 754-2019.
    """

    code = "INI005"
    name = "dtype-range"
    severity = Severity.WARNING
    remedy = Remedy.CHECK
    thresholds = (Threshold("subnormal-share", MAX_SUBNORMAL, "share of weights that are subnormal, above"),)

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Underflow, then overflow."""
        del audit
        stats, dtype = layer.stats, layer.layer.weight.dtype
        if not layer.layer.kind.is_drawn or stats.count < 2:
            return
        share = stats.subnormal / stats.count
        if share > self.threshold("subnormal-share"):
            yield self.finding(
                layer,
                f"{share:.0%} of the weights are subnormal in {dtype}: they keep only a few bits and vanish where subnormals are flushed.",
                measured=share,
                expected=0.0,
                suggestion="Store the layer in a wider type or rescale it.",
            )
        limit = LARGEST.get(dtype)
        largest = max(abs(stats.min), abs(stats.max))
        if limit is not None and largest >= limit:
            yield self.finding(
                layer,
                f"The largest weight, {largest:.5g}, is the largest number {dtype} can hold: values were clipped.",
                measured=largest,
                expected=limit,
                suggestion="Convert the layer again with a scale, or keep it in float32.",
            )
