"""Pace: how long a network would take to learn, as a multiple of what it would take if its start cost nothing.

    steps = 1 + GROWTH / relative gradient + ANSWERS * answer scale + SIZE * weight scale

Learning itself takes its time, whatever the start. To it comes what the start has to be brought out of: weights that get little gradient
must grow before anything moves; answers that are large at random must be unlearned; and large weights take many steps of a
given size (Adam's) to become others. Only the ratio of two starts of one network means something: what the task and the
architecture demand cancels. The constants are fitted on really trained networks by `benchmarks/trainability/fit_slowness.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.judgement.dynamics import log10
from initaudit.judgement.trainability import TIED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.judgement.dynamics import Dynamics

GROWTH = 0.1
"""Weight of the inverse of the relative gradient; fitted."""
ANSWERS = 0.07
"""Weight of the answers' root mean square; fitted."""
SIZE = 6.0
"""Weight of the weights' root mean square; fitted."""
LARGEST = 1000.0
"""Factor at which the prediction ends: nobody trains a thousand times as long, and the fit has seen nothing like it. A judgement."""


def learns_at_all(dynamics: Dynamics) -> bool:
    """Whether there is a number of steps to speak of."""
    return dynamics.finite and dynamics.tied < TIED and dynamics.kernel > 0


def factor_between(own: Dynamics, recommended: Dynamics) -> float:
    """Steps of one start over steps of the other, in [1 / LARGEST, LARGEST]; both must learn at all."""
    return min(LARGEST, max(1 / LARGEST, steps_of(own) / steps_of(recommended)))


def steps_of(dynamics: Dynamics) -> float:
    """Steps to a given accuracy over those of a start that costs nothing."""
    growth, answers, size = quantities(dynamics)
    return 1.0 + GROWTH * growth + ANSWERS * answers + SIZE * size


def quantities(dynamics: Dynamics) -> tuple[float, float, float]:
    """What the three constants weigh: |W| / |dL/dW|, the answers' root mean square, and that of the weights.

    Over layers the geometric mean, as for `Dynamics.relative_step`.
    """
    moved = [layer for layer in dynamics.layers if layer.kernel > 0 and layer.weight_square > 0]
    growth = _geometric_mean([layer.weight_square / layer.kernel for layer in moved])
    size = _geometric_mean([layer.weight_square / layer.weights for layer in moved])
    return math.sqrt(growth), dynamics.answer_scale, math.sqrt(size)


def _geometric_mean(values: Sequence[float]) -> float:
    return float(10.0 ** (sum(map(log10, values)) / len(values))) if values else 0.0
