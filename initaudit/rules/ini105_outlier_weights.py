"""INI105 outlier-weights: one weight, or a handful, dominates the layer, or is no number that training gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.table_rows import garbage_rows, listed, row_sizes, stray_rows
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

DOMINANT = 0.2
"""Share of the layer's energy (sum of squares) in its largest weight. A judgement: a normal law of n values has 2 ln(n)/n, 0.4
% for 4,096."""
MIN_COUNT = 100
"""With fewer values one of them may well dominate."""
FAR = 30.0
"""Multiple of the robust std that the largest weight must exceed as well, so that pruned layers are not named."""
HANDFUL = 3
"""Values that may stand alone together. A judgement: bit flips are single."""
GAP = 10.0
"""Factor between them and the next smaller value. A judgement: in the tails of trained layers each of the largest values is at most 4.1 times the next
(silero's voice detector, whose largest weight holds 83 % of the energy), and so in those of filters; a flipped bit of the exponent gives 2 to a power."""
AMPLIFIED = 2.0
"""Factor between the size of the layer's output and what the bulk of the weights gives it, from which the outlier is felt. A judgement: four times
the energy."""
GARBAGE = 1e6
"""Size of a weight, and multiple of the robust std, that is neither learned nor drawn: memory that nobody wrote (`torch.empty`) holds
any number up to 3e38."""


class OutlierWeights(Rule):
    """One weight, or a handful, dominates the layer, or is no number that training gives.

    Why: an output that hangs on a single weight follows a single input; such values come from bit flips, overflow, a diverged step or memory
        that was never filled, and they ruin the scale of quantisation. Rows of a table of a size beyond reason are named one by one.
    Harmless when: the layer selects or scales one input on purpose. The long tails of trained layers and the taps of filters are no outliers.
    Fix: `initaudit fix --select INI105`; in a trained network compare with another checkpoint, or with the file before the conversion.
    References: Dettmers et al. 2022 (LLM.int8) on outliers of trained transformers, which stay far below this bound.
    """

    code = "INI105"
    name = "outlier-weights"
    severity = Severity.WARNING
    remedy = Remedy.DRAW_LAYER

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """By the share of energy that the largest weight holds, and by what it does to the output."""
        del audit
        rows = tuple(self._garbage_rows(layer)) or tuple(self._stray_rows(layer))
        if rows:
            yield from rows
            return
        stats, facts = layer.stats, layer.layer
        if not facts.kind.is_drawn or facts.untrainable or stats.nonfinite or stats.outliers is None:
            return
        largest, multiple = max(abs(stats.min), abs(stats.max)), stats.outliers.largest
        if largest > GARBAGE and multiple > GARBAGE:
            yield self._garbage(layer, largest)
            return
        energy = stats.count * (stats.std**2 + stats.mean**2)
        if not facts.kind.has_target or stats.count < MIN_COUNT or not energy > 0 or multiple < FAR:
            return
        share = largest**2 / energy
        felt = _amplification(layer)
        if share < DOMINANT or not _stands_alone(layer, largest) or (felt is not None and felt < AMPLIFIED):
            return
        effect = "its unit follows one input alone"
        if felt is not None and math.isfinite(felt):
            effect = f"the layer's output is {felt:.2g} times as large as with the other weights alone"
        yield self.finding(
            layer,
            f"The largest weight, {largest:.4g}, holds {share:.0%} of the layer's energy ({multiple:.3g} robust "
            f"standard deviations): {effect}.",
            measured=share,
            expected=0.0,
            suggestion=_suggestion(layer),
        )

    def _garbage_rows(self, layer: LayerAudit) -> Iterator[Finding]:
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
            suggestion=_suggestion(layer),
        )

    def _stray_rows(self, layer: LayerAudit) -> Iterator[Finding]:
        """Rows of a trained table of another scale than the others."""
        sizes = row_sizes(layer) if layer.trained else None
        rows = stray_rows(sizes) if sizes is not None else None
        if sizes is None or rows is None or not rows.size:
            return
        multiple = float(np.median(sizes[rows]) / np.median(sizes))
        yield self.finding(
            layer,
            f"Of {sizes.size} rows {listed(rows)} are {multiple:.2g} times as large as the middle one, and nothing lies between: they "
            "were not trained with the others.",
            measured=multiple,
            expected=1.0,
            suggestion=_suggestion(layer),
        )

    def _garbage(self, layer: LayerAudit, largest: float) -> Finding:
        values = np.abs(layer.stats.sample)
        shown = np.count_nonzero(values > GARBAGE) / values.size
        much = f"{shown:.2g} of its values are" if shown else "a few of its values are"
        return self.finding(
            layer,
            f"The largest value is {largest:.3g}, and {much} beyond {GARBAGE:g} where the others are of size "
            f"{layer.stats.outliers.scale if layer.stats.outliers else 0.0:.2g}: memory that was never filled. What reads them "
            "is ruined, or hidden by the normalisation behind.",
            measured=largest,
            expected=layer.stats.outliers.scale if layer.stats.outliers else None,
            suggestion=_suggestion(layer),
        )


def _suggestion(layer: LayerAudit) -> str:
    if layer.trained:
        return "Compare it with another checkpoint, or with the file before the conversion, and restore it where they differ."
    return "Re-initialise the layer."


def _stands_alone(layer: LayerAudit, largest: float) -> bool:
    """Whether a gap parts a handful of the largest values from the others."""
    values = np.abs(layer.stats.sample).reshape(-1)
    if not (values >= largest).any():  # the sample of a large weight may have missed it
        values = np.append(values, largest)
    top = np.sort(values)[::-1]
    first = top[: HANDFUL + 1].astype(np.float64)
    return bool((first[:-1] >= GAP * first[1:]).any())


def _amplification(layer: LayerAudit) -> float | None:
    """Root mean square of the layer's output over that which the bulk of its weights and its bias give; None where not probed."""
    signal, outliers = layer.signal, layer.stats.outliers
    if signal is None or signal.input is None or outliers is None or layer.layer.kind.is_recurrent:
        return None
    behind = signal.own.mean_square if signal.own is not None else signal.mean_square
    bulk = outliers.scale**2 * layer.layer.fan_in * signal.input.mean_square
    bias = layer.bias.mean**2 + layer.bias.std**2 if layer.bias is not None else 0.0
    return math.sqrt(behind / (bulk + bias)) if bulk + bias > 0 and math.isfinite(behind) else None
