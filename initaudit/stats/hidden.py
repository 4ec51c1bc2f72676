"""Why a weight that fits no law may be as drawn all the same: what was done to it since hides the law."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.rowscaled import row_scaled_evidence

if TYPE_CHECKING:
    from initaudit.stats.facts import LayerFacts
    from initaudit.stats.weigh import WeightStats

COARSE_LEVELS: Final = 0.5
"""A weight is quantised when its units hold fewer different values than this share of their inputs: fresh floats never repeat so."""

QUANTUM_SHARE: Final = 0.5
"""Units whose rounding step exceeds this share of their standard deviation say nothing of their law. A judgement: within three
standard deviations to either side they hold a dozen values or fewer."""

LIGHT_TAILS: Final = 3.5
"""Kurtosis up to which centred units may be as drawn: a normal law has 3, a uniform one 1.8. A judgement; trained convolutions
mostly have more."""


def hidden_by(stats: WeightStats, facts: LayerFacts, kernel: int, *, narrow: bool, plausible: float) -> str | None:
    """The operation that may hide a law, in words; None where a fresh draw would have been seen.

    Args:
        stats: of the weight.
        facts: of the layer.
        kernel: values of one kernel, neighbours along the inputs.
        narrow: the values were rounded to so few digits, as bfloat16 is, that fresh ones repeat.
        plausible: p-value from which independent values, each unit at a scale of its own, are not ruled out.
    """
    block = stats.block
    if not narrow and _few_levels(block):
        return "too coarsely quantised to tell whether the values are as drawn"
    if facts.dtype.lstrip("u").startswith("int") and _may_be_rounded(block, kernel, plausible):
        return "quantised, and each unit at a scale of its own: the values may be as drawn"
    if stats.centred_units and _light_tailed(block):
        return "each unit was centred, as weight standardisation does: the values may be as drawn"
    return None


def _few_levels(block: np.ndarray) -> bool:
    """Whether the units of the sample hold few different values, as dequantised integers do."""
    rows = [row for row in block[:: max(1, block.shape[0] // 8)] if row.size >= 32]
    if not rows:
        rows = [block.reshape(-1)]
    few = [bool(np.unique(row).size < COARSE_LEVELS * np.count_nonzero(row)) for row in rows]
    return sum(few) > len(few) / 2


def _may_be_rounded(block: np.ndarray, kernel: int, plausible: float) -> bool:
    """Whether the units, spread over the steps they were rounded to, pass for independent draws."""
    rows = block[block.any(axis=1)].astype(np.float64)
    size = np.abs(rows)
    step = np.where(size > 0, size, np.inf).min(axis=1, keepdims=True)
    fine = (step < QUANTUM_SHARE * rows.std(axis=1, keepdims=True)).reshape(-1)
    if fine.sum() < 2:
        return True
    rows, step = rows[fine], step[fine]
    spread = rows + step * np.random.default_rng(0).uniform(-0.5, 0.5, rows.shape)
    return any(e.evidence.p_value >= plausible for e in row_scaled_evidence(spread, kernel))


def _light_tailed(block: np.ndarray) -> bool:
    """Whether the values, each unit brought to unit variance, have no heavier tails than draws."""
    square = np.square(block[block.any(axis=1)].astype(np.float64))
    return float(np.square(square / square.mean(axis=1, keepdims=True)).mean()) < LIGHT_TAILS
