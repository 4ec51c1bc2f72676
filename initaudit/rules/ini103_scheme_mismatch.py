"""INI103 scheme-mismatch: the weights were evidently drawn from a scheme that does not fit the activation that follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.score import UNHARMED
from initaudit.kind import Kind
from initaudit.rule import Rule, Threshold
from initaudit.rules.ini101_weight_too_small import TOO_SMALL
from initaudit.rules.ini102_weight_too_large import TOO_LARGE

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

MISFIT = 1.2
"""Factor in std between the recognised law and the target from which a scheme counts as another one; 1.44 in variance, x38 over ten layers."""


class SchemeMismatch(Rule):
    """The weights were evidently drawn from a scheme that does not fit the activation that follows.

    Why: Xavier before ReLU halves the signal variance in each layer, He before tanh saturates it; over ten layers that is a factor of a thousand.
    Harmless when: a normalisation follows, or the network is shallow; it is a warning only where the network's signal suffers.
    Fix: `initaudit fix --select INI103`.
    References: He et al. 2015, section 2.2 (Xavier stalls a 30-layer ReLU network); Kumar 2017.
    """

    code = "INI103"
    name = "scheme-mismatch"
    severity = Severity.INFO
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.DRAW_LAYER
    thresholds = (
        Threshold("factor", MISFIT, "std of the recognised law over that of the target, or the inverse, above"),
    )

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Only where a law with a fixed scale was recognised, with some confidence, in a network that shows no training."""
        origin, target = layer.provenance, layer.target
        if (
            audit.context.has_training
            or origin is None
            or target is None
            or origin.law is None
            or origin.confidence == "low"
            or not origin.std
            or not target.std
        ):
            return
        factor, misfit = origin.std / target.std, self.threshold("factor")
        if (
            1 / misfit <= factor <= misfit
            or layer.layer.normalized_before_use
            or layer.layer.folded_norm
            or layer.layer.ends_residual_branch
            or layer.layer.is_head
            or _differs_by_stride(layer)
        ):
            return
        if not TOO_SMALL <= factor <= TOO_LARGE:
            return  # INI101 and INI102 say it
        learning = audit.trainability
        suffers = learning is not None and learning.score < UNHARMED
        severity = Severity.WARNING if suffers else Severity.INFO
        activation = layer.layer.activation or "the linear output"
        yield self.finding(
            layer,
            f"Drawn from {origin.law} (std {origin.std:.3g}) before {activation}, which calls for {target.scheme} "
            f"(std {target.std:.3g}): the signal variance changes by a factor of {factor**2:.2g} here.",
            measured=origin.std,
            expected=target.std,
            severity=severity,
            suggestion=f"Use {target.scheme}.",
        )


def _differs_by_stride(layer: LayerAudit) -> bool:
    """Whether it is Xavier's scheme at a strided convolution, with fans that leave the stride out, as frameworks count them."""
    origin, target, kind = layer.provenance, layer.target, layer.layer.kind
    if origin is None or origin.law is None or target is None or not kind.is_convolution or kind is Kind.CONV_TRANSPOSE:
        return False
    return origin.law.startswith("xavier") and target.scheme.startswith("xavier") and target.gain == 1.0
