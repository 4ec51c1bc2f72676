"""Reach: how far the weighted inputs of a unit go, beyond which a bias decides alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit

DECISIVE = 6.0
"""Bias over the std of the weighted inputs from which the bias decides alone: a normal variable exceeds 6 std once in 10^9."""
FAR_BEYOND = 3.0
"""Multiple of what the weighted inputs reach from which even a single unit is worth a note, and of what they can reach from which it is the answer. A
judgement: twenty standard deviations, and real inputs that are three times as large as the probe's."""


def reach_of(layer: LayerAudit) -> float:
    """What the weighted inputs hardly ever exceed: DECISIVE times their root mean square, for inputs as measured, of unit second moment at least."""
    return DECISIVE * math.sqrt(layer.layer.fan_in * (layer.stats.std**2 + layer.stats.mean**2)) * _input_rms(layer)


def most_of_inputs(layer: LayerAudit) -> float | None:
    """The most that a unit makes of inputs FAR_BEYOND times as large as measured: the norms of both multiplied (Cauchy and Schwarz); None where unknown."""
    norms = layer.stats.unit_norms
    return None if norms is None else FAR_BEYOND * norms.maximum * math.sqrt(layer.layer.fan_in) * _input_rms(layer)


def _input_rms(layer: LayerAudit) -> float:
    """Root mean square of what comes in as measured, or 1 where that is unknown or less."""
    entered = layer.signal.input if layer.signal is not None else None
    if entered is None or not math.isfinite(entered.mean_square):
        return 1.0
    return max(1.0, math.sqrt(entered.mean_square))
