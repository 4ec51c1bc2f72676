"""INI102 weight-too-large: the weights are much larger than their fan-in and activation call for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.drowned import drowns
from initaudit.judgement.severity import fatal_to_learning
from initaudit.rule import Rule, Threshold
from initaudit.rules.off_scale import scale_findings

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

TOO_LARGE = 3.0
"""Ratio to the target's std above which a fresh layer is named: nine times the variance; the inverse of INI101's bound."""


class WeightTooLarge(Rule):
    """The weights are much larger than their fan-in and activation call for.

    Why: each such layer multiplies the signal by more than one: it explodes, or drives sigmoid-like units into their flat ends.
        The offsets of a deformable convolution are too large from half a pixel on: its taps then read at random places.
        A table drowns what it is added to: beside positions a hundred times as large as the tokens, all tokens look alike.
    Harmless when: a normalisation follows (the scale is then immaterial to the forward signal), or the network is trained and the
        layer reads inputs of small values; then the finding is information. Of trained layers those are named that leave the
        range of all trained ones and drown their own bias.
    Fix: `initaudit fix --select INI102`; start offsets at zero; in a trained network check the scale of its inputs, and how the
        weights were loaded.
    References: Glorot & Bengio 2010, eq. 12; He et al. 2015, eq. 10; Dai et al. 2017, section 2.1 (offsets).
    """

    code = "INI102"
    name = "weight-too-large"
    severity = Severity.WARNING
    by_consequence = (Severity.ERROR, Severity.INFO)
    remedy = Remedy.DRAW_LAYER
    thresholds = (Threshold("ratio", TOO_LARGE, "std of a fresh layer over that of its target, above"),)

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Judged together with what the probe saw."""
        yield from scale_findings(self, layer, audit, self.threshold("ratio"), smaller=False)
        drowned = drowns(layer, audit)
        if drowned is not None:
            size = layer.stats.root_mean_square
            yield self.finding(
                layer,
                f"The rows have a root mean square of {size:.3g}, {size / drowned.size:.3g} times that of {drowned.layer.layer.title}, which is added to them "
                "and drowns.",
                measured=size,
                expected=drowned.size,
                severity=fatal_to_learning(audit),
                suggestion="Check how the table was loaded and scaled."
                if layer.trained
                else f"Draw the rows as large as those of {drowned.layer.layer.title}.",
                ratio=size / drowned.size,
            )
