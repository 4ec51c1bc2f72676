"""INI101 weight-too-small: the weights are much smaller than their fan-in and activation call for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule, Threshold
from initaudit.rules.off_scale import scale_findings

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

TOO_SMALL = 0.3
"""Ratio to the target's std below which a fresh layer is named; torch's default Linear is at 0.41 of He's (pytorch#15314)."""


class WeightTooSmall(Rule):
    """The weights are much smaller than their fan-in and activation call for.

    Why: each such layer multiplies the signal, and the gradient on its way back, by less than one; through depth that is geometric.
    Harmless when: a normalisation follows (the scale is then immaterial to the forward signal), the layer ends a residual branch
        or is the head, or the network is trained and the layer reads pixels of 0 to 255; then the finding is information.
        Of trained layers those are named that leave the range of all trained ones and are drowned by their own bias.
    Fix: `initaudit fix --select INI101`; in a trained network check the scale of its inputs, and how the weights were loaded.
    References: Glorot & Bengio 2010, eq. 12; He et al. 2015, eq. 10.
    """

    code = "INI101"
    name = "weight-too-small"
    severity = Severity.WARNING
    by_consequence = (Severity.ERROR, Severity.INFO)
    remedy = Remedy.DRAW_LAYER
    thresholds = (Threshold("ratio", TOO_SMALL, "std of a fresh layer over that of its target, below"),)

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Judged together with what the probe saw."""
        yield from scale_findings(self, layer, audit, self.threshold("ratio"), smaller=True)
