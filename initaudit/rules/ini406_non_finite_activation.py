"""INI406 non-finite-activation: a finite input leads to NaN or infinity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

UNDEFINED_ELSEWHERE = frozenset({"Log", "Sqrt", "Div", "Pow", "Reciprocal", "Acos", "Asin", "Atanh", "Acosh", "Mod"})
"""Operators that are undefined for part of their inputs: N(0,1) may simply be the wrong input for them."""


class NonFiniteActivation(Rule):
    """A finite input leads to NaN or infinity.

    Why: overflow (often in float16), a division by zero or the logarithm of a negative number; the loss becomes NaN in the first step.
    Harmless when: the synthetic input is outside what the operator is defined for (counts, probabilities); feed real data (`--input-data`).
    Fix: rescale the layers before the node that is named, or keep it in float32.
    References: Micikevicius et al. 2018, Mixed Precision Training.
    """

    code = "INI406"
    name = "non-finite-activation"
    severity = Severity.ERROR
    remedy = Remedy.CHECK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """Names the first node that makes a non-finite value."""
        origin = audit.probe.nonfinite_node
        if origin is None or any(
            layer.stats.nonfinite or (layer.bias and layer.bias.nonfinite) for layer in audit.layers
        ):
            return
        node = next((n for n in audit.model.graph.walk() if n.name == origin), None)
        layer = next((a for a in audit.layers if a.layer.node is node), None) if node is not None else None
        doubtful = audit.context.has_training or node is None or node.op_type in UNDEFINED_ELSEWHERE
        yield self.finding(
            layer,
            f"Node {origin!r} is the first to give NaN or infinity, from finite synthetic input.",
            measured=1.0,
            expected=0.0,
            severity=Severity.WARNING if doubtful else Severity.ERROR,
            confidence=Confidence.MEDIUM if doubtful else Confidence.HIGH,
            suggestion="Rescale what comes before it, or check with --input-data.",
        )
