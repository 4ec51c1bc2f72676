"""INI003 zero-weight: every weight of the layer is zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.model_audit import once_per_audit
from initaudit.judgement.severity import fatal_to_learning
from initaudit.judgement.zeros import is_passed_by, is_zero, silences, why_never_learned
from initaudit.kind import Kind
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit


class ZeroWeight(Rule):
    """Every weight of the layer is zero.

    Why: nothing passes a zero layer, neither signal nor gradient; where it stands on the only path, no layer before it learns. In front of
        a ReLU, or beside another zero that waits for it (both factors of an adapter), no gradient ever moves it.
    Harmless when: the network is fresh and signal and gradient have a way past the layer: the end of a residual branch (Fixup, ReZero,
        zero gamma), the head, a gate, the offsets of a deformable convolution, the second factor of a low-rank adapter, a table beside others.
        The first gradient step leaves zero there.
    Fix: `initaudit fix --select INI003`; in a trained network load the missing weights.
    References: Zhang, Dauphin & Ma 2019 (Fixup); Bachlechner et al. 2021 (ReZero); Hu et al. 2022 (LoRA).
    """

    code = "INI003"
    name = "zero-weight"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.DRAW_LAYER

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """A zero layer is an error unless zero is a sound start there; what is only added (a bias, a position) may be zero."""
        stats, facts = layer.stats, layer.layer
        if not facts.kind.has_target or facts.untrainable or stats.count < 2:
            return
        if not is_zero(layer):
            return
        severity, effect = _consequence(layer, audit)
        yield self.finding(
            layer,
            f"All {stats.count} weights are zero; {effect}.",
            measured=0.0,
            expected=layer.target.std if layer.target else None,
            severity=severity,
            suggestion="" if severity is Severity.INFO else _advice(layer),
        )


def _consequence(layer: LayerAudit, audit: ModelAudit) -> tuple[Severity, str]:
    """By what the zeros do: for ever, until the first step, or not at all."""
    facts, trained = layer.layer, audit.context.has_training
    never = why_never_learned(layer, audit)
    table = facts.kind is Kind.EMBEDDING
    if never and not trained:
        spared = facts.in_residual_branch and _has_another_branch(audit)
        severity = fatal_to_learning(audit) if spared else Severity.ERROR
        return severity, f"they stay zero for ever: {never}"
    if table and silences(layer, audit):
        return fatal_to_learning(audit), "nothing else feeds the path: the outputs do not depend on what is looked up"
    waits = f", and {never}" if never else ""
    bypassed = facts.ends_residual_branch or table or is_passed_by(layer, audit)
    if trained and bypassed:
        return Severity.WARNING, f"in a trained network this branch contributes nothing{waits}"
    if not trained and (bypassed or facts.in_residual_branch or facts.is_head):
        return (
            Severity.INFO,
            "a deliberate start for a head" if facts.is_head else "signal and gradient have a way past it",
        )
    severity = fatal_to_learning(audit)
    late = ", until the gradient that reaches it has filled it" if severity is Severity.WARNING else ""
    return severity, f"no signal and no gradient passes it{late}{waits}"


@once_per_audit
def _has_another_branch(audit: ModelAudit) -> bool:
    """Whether a residual branch adds something, beside the layer that starts the stream, so that the network can do without one that does not."""
    ends = [a for a in audit.layers if a.layer.ends_residual_branch and a.stats.std > 0]
    adding = [a for a in ends if a.signal is not None and a.signal.input is not None and a.signal.input.variance > 0]
    return len(adding) > 1


def _advice(layer: LayerAudit) -> str:
    if layer.trained:
        return "Load the missing weights, or check that a gradient reaches the layer."
    return (
        f"Draw the weights from {layer.target.scheme if layer.target else 'a random scheme'}, or load the missing ones."
    )
