"""INI002 constant-weight: every weight of the layer has the same value, and it is not zero; or every row of a table is the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.judgement.severity import fatal_to_learning
from initaudit.judgement.table_rows import rows_are_equal
from initaudit.kind import Kind
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

FILTER_KINDS = frozenset({Kind.DEPTHWISE_CONV, Kind.CONV_TRANSPOSE})
"""Kinds in which a constant kernel of ones or of 1/fan_in is a known fixed filter (box blur, nearest-neighbour upsampling)."""
MIN_UNITS = 2
"""With one output unit there is no symmetry to break."""


class ConstantWeight(Rule):
    """Every weight of the layer has the same value, and it is not zero; or every row of a table is the same.

    Why: all units compute the same output and receive the same gradient, so they stay equal for ever: the layer is one unit wide.
        Equal rows tell nothing of what is looked up; in a fresh network each gets a gradient of its own, and they part.
    Harmless when: the layer is a fixed filter (averaging, upsampling), or its single output is meant to be a sum.
    Fix: draw the weights at random: `initaudit fix --select INI002`; in a trained network load them.
    References: Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.4 (symmetry breaking).
    """

    code = "INI002"
    name = "constant-weight"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING, Severity.INFO)
    remedy = Remedy.DRAW_LAYER

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Norm scales, slopes and what is only added (a bias, a position) start constant by design and are left out."""
        stats, facts = layer.stats, layer.layer
        if facts.kind is Kind.EMBEDDING and rows_are_equal(layer):
            yield self._table(layer, audit)
        if not facts.kind.is_mixing or facts.untrainable or stats.count < 2:
            return
        if (
            stats.flat_units
            and stats.min != stats.max
            and facts.kind is Kind.DEPTHWISE_CONV
            and audit.context.has_training
        ):
            yield self.finding(
                layer,
                f"The {facts.fan_in} weights of each kernel are equal, as a"
                " constant start behind a folded BatchNormalization leaves them; training moves them apart.",
                measured=0.0,
                expected=layer.target.std if layer.target else None,
                severity=Severity.WARNING,
                confidence=Confidence.MEDIUM,
                suggestion="Ignore the layer if it averages on purpose; else train it or load its weights.",
            )
        if stats.min != stats.max or stats.min == 0 or stats.nonfinite:
            return
        units = facts.parameters // max(1, facts.fan_in)
        keeps_sum = any(math.isclose(stats.min, v, rel_tol=1e-3) for v in (1.0, 1.0 / max(1, facts.fan_in)))
        alone = (
            units < MIN_UNITS and not audit.context.has_training
        )  # training moves the weights of a single unit apart
        fixed_filter = (keeps_sum and (facts.kind in FILTER_KINDS or units < MIN_UNITS)) or alone
        yield self.finding(
            layer,
            f"All {stats.count} weights equal {stats.min:.4g}; the layer's units compute the same output and can never differ.",
            measured=0.0,
            expected=layer.target.std if layer.target else None,
            severity=Severity.INFO if fixed_filter else fatal_to_learning(audit),
            suggestion="" if fixed_filter else _advice(layer),
        )

    def _table(self, layer: LayerAudit, audit: ModelAudit) -> Finding:
        trained = audit.context.has_training
        later = "" if trained else " before training has moved them apart"
        return self.finding(
            layer,
            f"All {layer.layer.fan_in} rows of the table are equal: what is looked up makes no difference{later}.",
            measured=0.0,
            expected=layer.target.std if layer.target else None,
            severity=fatal_to_learning(audit),
            suggestion="Load the missing rows: no training leaves them equal."
            if trained
            else "Draw the rows from N(0, 0.02) or N(0, 1).",
        )


def _advice(layer: LayerAudit) -> str:
    if layer.trained:
        return "Load the missing weights: no training leaves them equal."
    return f"Draw the weights from {layer.target.scheme if layer.target else 'a random scheme'}."
