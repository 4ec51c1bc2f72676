"""INI105 outlier-weights: one weight, or a handful, dominates the layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.table_rows import garbage_rows, listed, row_sizes
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

DOMINANT = 0.2
"""Share of the layer's energy (sum of squares) in its largest weight. A judgement: a normal law of n values has 2 ln(n)/n, 0.4
% for 4,096; of 490 trained layers ten exceed this and FAR, eight of them copies of one fixed filter (`benchmarks/thresholds.py
trained`)."""
MIN_COUNT = 100
"""With fewer values one of them may well dominate."""
FAR = 30.0
"""Multiple of the robust std that the largest weight must exceed as well, so that pruned layers are not named."""


class OutlierWeights(Rule):
    """One weight, or a handful, dominates the layer.

    Why: an output that hangs on a single weight follows a single input; such values come from bit flips, overflow or a diverged step,
        and they ruin the scale of quantisation. Rows of a table of a size beyond reason are memory that was never initialised.
    Harmless when: the layer selects or scales one input on purpose.
    Fix: `initaudit fix --select INI105`; in a trained network restore the value from another checkpoint, or clip it.
    References: Dettmers et al. 2022 (LLM.int8) on outliers of trained transformers, which stay far below this bound.
    """

    code = "INI105"
    name = "outlier-weights"
    severity = Severity.WARNING
    remedy = Remedy.DRAW_LAYER

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """By the share of energy that the largest weight holds."""
        del audit
        yield from self._garbage(layer)
        stats, facts = layer.stats, layer.layer
        if not facts.kind.has_target or facts.untrainable or stats.count < MIN_COUNT or stats.nonfinite:
            return
        energy = stats.count * (stats.std**2 + stats.mean**2)
        largest = max(abs(stats.min), abs(stats.max))
        if not energy > 0 or stats.outliers is None or stats.outliers.largest < FAR:
            return
        share = largest**2 / energy
        if share < DOMINANT:
            return
        yield self.finding(
            layer,
            f"The largest weight, {largest:.4g}, holds {share:.0%} of the layer's energy ({stats.outliers.largest:.3g} robust "
            "standard deviations): its unit follows one input alone.",
            measured=share,
            expected=0.0,
            suggestion="Restore or clip the value." if layer.trained else "Re-initialise the layer, or clip the value.",
        )

    def _garbage(self, layer: LayerAudit) -> Iterator[Finding]:
        """Rows of a table that hold what was in memory before: their share of the energy tells nothing where there are many."""
        sizes = row_sizes(layer)
        rows = garbage_rows(sizes) if sizes is not None else None
        if sizes is None or rows is None or not rows.size:
            return
        yield self.finding(
            layer,
            f"Of {sizes.size} rows {listed(rows)} hold values of up to {max(abs(layer.stats.min), abs(layer.stats.max)):.2g}, as "
            "memory that was never initialised does: what looks them up is lost.",
            measured=rows.size / sizes.size,
            expected=0.0,
            suggestion="Restore the rows." if layer.trained else "Re-initialise the table.",
        )
