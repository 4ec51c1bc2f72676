"""INI001 non-finite-weight: a weight or bias holds NaN or infinity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit


class NonFiniteWeight(Rule):
    """A weight or bias holds NaN or infinity, or a float64 number that float32 cannot hold.

    Why: one such value makes every output that it reaches NaN or infinite; training cannot recover.
    Harmless when: never in a learned weight; masks that hold -inf on purpose are not learned weights.
    Fix: find the step that diverged and go back to an earlier checkpoint; for a fresh network re-initialise the layer
        (`initaudit fix --select INI001`).
    References: IEEE 754-2019, section 6.
    """

    code = "INI001"
    name = "non-finite-weight"
    severity = Severity.ERROR
    remedy = Remedy.DRAW_LAYER

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Weight first, then bias."""
        del audit
        bias = layer.layer.bias
        for stats, what, stored in (
            (layer.stats, "weights", layer.layer.weight.tensors[0].name if layer.layer.weight.tensors else None),
            (layer.bias, "biases", bias.name if bias else None),
        ):
            if stats is not None and stats.nonfinite:
                yield self.finding(
                    layer,
                    f"{stats.nonfinite} of {stats.count} {what} are NaN, infinite or too large for float32; every output they reach is lost.",
                    measured=float(stats.nonfinite),
                    expected=0.0,
                    initializer=stored,
                    suggestion="Find the step that diverged, and restore the values from a checkpoint before it."
                    if layer.trained
                    else "Re-initialise the layer.",
                )
