"""INI601 untrained-layer: in a trained network, a layer still has the values of its random initialisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.rule import Rule
from initaudit.stats.provenance import CERTAIN_BELL

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

STRUCTURED = frozenset({"orthogonal", "identity"})
"""Laws that training leaves at once, whatever their scale. An independent draw of unknown scale is only information: a short
training widens a uniform law without bending it much. A uniform law per unit, as a folded BatchNorm leaves it, comes with
medium confidence: of 600 trained layers only those of 320 and fewer values have one (`benchmarks/thresholds.py trained`)."""


class UntrainedLayer(Rule):
    """In a trained network, a layer still has the values of its random initialisation.

    Why: the checkpoint did not hold it (a head that was never loaded, a renamed module), or its branch never received a gradient: its output is random.
    Harmless when: the layer was frozen at random on purpose (random features, reservoir); ignore it with a reason.
    Fix: load the missing weights, or train the layer; compare with the checkpoint: `initaudit diff`.
    References: Glorot & Bengio 2010 and He et al. 2015 for the laws that are recognised.
    """

    code = "INI601"
    name = "untrained-layer"
    severity = Severity.ERROR
    remedy = Remedy.CHECK

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Provenance decides; a constant or zero layer is named by INI002 and INI003."""
        origin = layer.provenance
        if (
            not audit.context.has_training
            or origin is None
            or origin.untrained is not True
            or origin.distribution == "constant"
        ):
            return
        if origin.confidence == "low":
            return
        named = origin.law is not None or origin.distribution in STRUCTURED
        sure = named and origin.confidence == "high"
        enough = origin.distribution == "uniform" or layer.stats.count >= CERTAIN_BELL
        named = named or (enough and origin.confidence == "medium")
        law = origin.law or f"an independent {origin.distribution} law"
        severity = Severity.ERROR if sure else Severity.WARNING if named else Severity.INFO
        yield self.finding(
            layer,
            f"Its {layer.stats.count} weights are still distributed as {law} draws them ({origin.why}); the rest of the network was trained.",
            measured=layer.stats.std,
            expected=origin.std,
            severity=severity,
            confidence=Confidence.HIGH if sure else Confidence.MEDIUM,
            suggestion="Load the missing weights or train the layer; if it is frozen on purpose, ignore it with that reason.",
        )
