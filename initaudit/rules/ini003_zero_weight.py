"""INI003 zero-weight: every weight of the layer is zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.severity import fatal_to_learning
from initaudit.kind import Kind
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit


class ZeroWeight(Rule):
    """Every weight of the layer is zero.

    Why: nothing passes a zero layer, neither signal nor gradient; where it stands on the only path, no layer before it learns.
    Harmless when: the network is fresh and the layer ends a residual branch (Fixup, ReZero, zero gamma), is the head, or is the
        second factor of a low-rank adapter: there zero is a deliberate start, and the first gradient step leaves it.
    Fix: `initaudit fix --select INI003`; in a trained network load the missing weights.
    References: Zhang, Dauphin & Ma 2019 (Fixup); Bachlechner et al. 2021 (ReZero); Hu et al. 2022 (LoRA).
    """

    code = "INI003"
    name = "zero-weight"
    severity = Severity.ERROR
    remedy = Remedy.DRAW_LAYER

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """A zero layer is an error unless zero is a sound start there; what is only added (a bias, a position) may be zero."""
        stats, facts = layer.stats, layer.layer
        if not facts.kind.has_target or facts.untrainable or stats.count < 2:
            return
        if stats.min != 0 or stats.max != 0 or stats.nonfinite:
            return
        deliberate = facts.ends_residual_branch or facts.is_head or facts.kind is Kind.EMBEDDING
        if not audit.context.has_training and deliberate:
            severity = Severity.INFO
            effect = (
                "a deliberate start for a head" if facts.is_head else "the skip connection carries the signal past it"
            )
        elif facts.ends_residual_branch or facts.kind is Kind.EMBEDDING:
            severity = Severity.WARNING
            effect = "in a trained network this branch contributes nothing"
        else:
            severity = fatal_to_learning(audit)
            effect = "no signal and no gradient passes it" + (
                ", until the gradient that reaches it has filled it" if severity is Severity.WARNING else ""
            )
        yield self.finding(
            layer,
            f"All {stats.count} weights are zero; {effect}.",
            measured=0.0,
            expected=layer.target.std if layer.target else None,
            severity=severity,
            suggestion="" if severity is Severity.INFO else _advice(layer),
        )


def _advice(layer: LayerAudit) -> str:
    if layer.trained:
        return "Load the missing weights, or check that a gradient reaches the layer."
    return (
        f"Draw the weights from {layer.target.scheme if layer.target else 'a random scheme'}, or load the missing ones."
    )
