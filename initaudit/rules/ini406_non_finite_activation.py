"""INI406 non-finite-activation: a finite input leads to NaN or infinity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.rule import Rule
from initaudit.rules.half_precision import LARGEST, keep_in_float32

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

UNDEFINED_ELSEWHERE = frozenset({"Log", "Sqrt", "Div", "Pow", "Reciprocal", "Acos", "Asin", "Atanh", "Acosh", "Mod"})
"""Operators that are undefined for part of their inputs: N(0,1) may simply be the wrong input for them."""
DOUBT = 4.0
"""Excess over LARGEST up to which other inputs than N(0, 1) may keep a trained network within the range: values spread evenly over [0, 1], as
images scaled to it, have a standard deviation of 0.29."""


class NonFiniteActivation(Rule):
    """A finite input leads to NaN or infinity.

    In a float16 file, what the network computes is compared with the range of the type, whatever the kernels at hand make of it: those of a
    CPU compute in float32 and hide the overflow.

    Why: overflow (often in float16), a division by zero or the logarithm of a negative number; the loss becomes NaN in the first step.
    Harmless when: the synthetic input is outside what the operator is defined for (counts, probabilities); feed real data (`--input-data`).
    Fix: rescale the layers before the node that is named, or keep it in float32.
    References: Micikevicius et al. 2018, Mixed Precision Training.
    """

    code = "INI406"
    name = "non-finite-activation"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.CHECK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """Names the first node that makes a non-finite value."""
        if any(layer.stats.nonfinite or (layer.bias and layer.bias.nonfinite) for layer in audit.layers):
            return
        overflow = [o for o in (audit.probe.float16 or {}).get("overflow", ()) if o["stored"]]
        if overflow:
            yield self._overflow(audit, overflow)
        elif audit.probe.nonfinite_node is not None:
            yield self._nonfinite(audit, audit.probe.nonfinite_node)
        else:
            layer = next((a for a in audit.layers if a.signal is not None and _is_nonfinite(a)), None)
            if layer is not None:
                yield self._unexplained(layer)

    def _overflow(self, audit: ModelAudit, overflow: Sequence[Mapping[str, Any]]) -> Finding:
        node, largest = overflow[0]["node"], overflow[0]["largest"]
        doubtful = audit.context.has_training and largest < DOUBT * LARGEST
        return self.finding(
            _layer_of(audit, node),
            f"Node {node!r} gives values of {largest:.3g} for finite synthetic input; float16, which the file computes it in, ends at"
            f" {LARGEST:,.0f}: infinity on a GPU, though CPU kernels may hide it.",
            measured=largest,
            expected=LARGEST,
            severity=Severity.WARNING if doubtful else Severity.ERROR,
            confidence=Confidence.MEDIUM if doubtful else Confidence.HIGH,
            suggestion=f"{keep_in_float32([o['node'] for o in overflow])} Or rescale what comes before.",
        )

    def _nonfinite(self, audit: ModelAudit, origin: str) -> Finding:
        node = next((n for n in audit.model.graph.walk() if n.name == origin), None)
        doubtful = audit.context.has_training or node is None or node.op_type in UNDEFINED_ELSEWHERE
        return self.finding(
            _layer_of(audit, origin),
            f"Node {origin!r} is the first to give NaN or infinity, from finite synthetic input.",
            measured=1.0,
            expected=0.0,
            severity=Severity.WARNING if doubtful else Severity.ERROR,
            confidence=Confidence.MEDIUM if doubtful else Confidence.HIGH,
            suggestion="Rescale what comes before it, or check with --input-data.",
        )

    def _unexplained(self, layer: LayerAudit) -> Finding:
        return self.finding(
            layer,
            "NaN or infinity reaches this layer for finite synthetic input; no single node could be blamed.",
            measured=1.0,
            expected=0.0,
            severity=Severity.WARNING,
            confidence=Confidence.MEDIUM,
            suggestion="Look at what comes before it, or check with --input-data.",
        )


def _is_nonfinite(layer: LayerAudit) -> bool:
    signal = layer.signal
    return signal is not None and (signal.nonfinite > 0 or not math.isfinite(signal.mean_square))


def _layer_of(audit: ModelAudit, node: str) -> LayerAudit | None:
    """The layer that the node called `node` is."""
    return next((a for a in audit.layers if node and a.layer.node.name == node), None)
