"""INI601 untrained-layer: in a trained network, a layer still has the values of its random initialisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.rule import Rule
from initaudit.stats.provenance import CERTAIN_BELL, SHARP_LAW

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.stats.provenance import Provenance

STRUCTURED: Final = frozenset({"orthogonal", "identity"})
"""Laws that training leaves at once, whatever their scale. A bell shape of unknown scale is only information; a uniform law of unknown
scale is more where it is not wider than a published one, as a short training leaves it. A uniform law per unit, as a folded BatchNorm
leaves it, comes with medium confidence: of 600 trained layers only those of 320 and fewer values have one (`benchmarks/thresholds.py
trained`)."""

WORTH_SAYING: Final = 0.1
"""Odds, to one, from which it is said that a layer may be untrained. A judgement: one in eleven is worth a look where a layer fits its
law, as it costs one."""


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
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.LOAD_VALUES

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """Each layer; or, of a network that training hardly moved, one word for all that cannot be told from their start."""
        if not audit.context.has_training:
            return
        if audit.context.hardly_moved:
            yield self.finding(
                None,
                f"Training hardly moved this network: the weights of {audit.context.hardly_moved} layers still fit the law of their "
                "initialisation, but their biases or bounds have left it. A layer that was never trained cannot be told from these.",
                severity=Severity.INFO,
                confidence=Confidence.MEDIUM,
                suggestion="Compare with the checkpoint before the training (`--against`) to see which layers changed.",
                remedy=Remedy.NONE,
            )
        yield from super().check(audit)

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """What the file records decides, then provenance; a constant or zero layer is named by INI002 and INI003."""
        if layer.drawn_by_fix is not None:
            yield self.finding(
                layer,
                f"Its {layer.stats.count} weights are still as `initaudit fix` drew them ({layer.drawn_by_fix}), by the record of that; "
                "the rest of the network was trained.",
                measured=layer.stats.std,
                suggestion="Train the layer, or load the values that it is to have; if it is meant to be random, ignore it with that reason.",
                remedy=Remedy.TRAIN_LAYER,
            )
            return
        origin = layer.provenance
        if origin is None or origin.distribution == "constant":
            return
        if origin.untrained is True and origin.confidence != "low":
            yield self._untrained(layer, origin)
        elif not audit.context.hardly_moved and _may_be(origin, layer):
            yield self.finding(
                layer,
                f"Its {layer.stats.count} weights may still be as {_law(origin)} draws them ({origin.why}); that does not decide it.",
                measured=layer.stats.std,
                expected=origin.std,
                severity=Severity.INFO,
                confidence=Confidence.MEDIUM,
                suggestion="Compare with the checkpoint it was loaded from (`--against`).",
                odds=origin.odds,
            )

    def _untrained(self, layer: LayerAudit, origin: Provenance) -> Finding:
        """A layer that still is as it was drawn."""
        weighed = origin.odds is not None and bool(origin.candidates)
        named = origin.law is not None or origin.distribution in STRUCTURED or weighed
        sure = named and origin.confidence == "high"
        uniform = origin.distribution == "uniform"
        enough = uniform or layer.stats.count >= CERTAIN_BELL
        told = enough and origin.confidence == "medium"
        narrower = uniform and origin.confidence == "high" and origin.odds is not None
        severity = Severity.ERROR if sure else Severity.WARNING if named or told or narrower else Severity.INFO
        return self.finding(
            layer,
            f"Its {layer.stats.count} weights are still distributed as {_law(origin)} "
            f"draws them ({origin.why}); the rest of the network was trained.",
            measured=layer.stats.std,
            expected=origin.std,
            severity=severity,
            confidence=Confidence.HIGH if sure else Confidence.MEDIUM,
            suggestion="Load the missing weights or train the layer; if it is frozen on purpose, ignore it with that reason.",
            odds=origin.odds,
        )


def _law(origin: Provenance) -> str:
    """The scheme that is named, or else the likeliest that fits, if one of the same shape does."""
    known = origin.candidates if origin.scale_nats is not None else ()
    return origin.law or next(iter(known), f"an independent {origin.distribution} law")


def _may_be(origin: Provenance, layer: LayerAudit) -> bool:
    """Whether values enough fit a law and the odds, from all evidence, are worth a word."""
    if not (origin.law or origin.candidates) or layer.stats.count < SHARP_LAW:
        return False
    return origin.untrained is True or (origin.odds is not None and origin.odds >= WORTH_SAYING)
