"""Pace: how long a network would take to learn, as a multiple of what it would take if its start cost nothing.

    steps = 1 + GROWTH * ln(1 + SUFFICES / contrast kernel) + CHAOS * ln(roughness) + ANSWERS * answer scale + SIZE * weight scale

Learning itself takes its time, whatever the start. To it comes what the start has to be brought out of. Where gradients are small nothing
moves until the weights have grown; each makes the gradients of the others larger, so that they grow exponentially, and the time is
a logarithm (Saxe et al. 2014). Where inputs that are alike get answers that differ, what is learned from one does not hold for the next;
roughness grows by a factor with each layer that doubles differences. Answers that are large at random must be unlearned; and large weights take many
steps of a given size (Adam's) to become others. Only the ratio of two starts of one network means something: what the task and the
architecture demand cancels. The constants are fitted on really trained networks by `benchmarks/trainability/fit_slowness.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.judgement.dynamics import log10

if TYPE_CHECKING:
    from initaudit.judgement.dynamics import Dynamics

GROWTH = 1.39
"""Weight of the logarithm by which the contrast kernel has to grow; fitted."""
CHAOS = 1.36
"""Weight of the logarithm of the roughness; fitted."""
ANSWERS = 0.065
"""Weight of the answers' root mean square; fitted."""
SIZE = 13.0
"""Weight of the weights' root mean square; fitted."""
SUFFICES = 100.0
"""Contrast kernel at which steps of SGD at 0.01, the rate of the networks of the fit, move the answers by as much as there is to learn: its reciprocal."""
LARGEST = 25.0
"""Factor at which the prediction ends. Trainability says what learns within 250 steps, and the recommended starts of the fit took ten and more."""


def factor_between(own: Dynamics, recommended: Dynamics) -> float:
    """Steps of one start over steps of the other, in [1 / LARGEST, LARGEST]."""
    return min(LARGEST, max(1 / LARGEST, steps_of(own) / steps_of(recommended)))


def steps_of(dynamics: Dynamics) -> float:
    """Steps to a given accuracy over those of a start that costs nothing."""
    growth, chaos, answers, size = quantities(dynamics)
    return 1.0 + GROWTH * growth + CHAOS * chaos + ANSWERS * answers + SIZE * size


def quantities(dynamics: Dynamics) -> tuple[float, float, float, float]:
    """What the constants weigh: two natural logarithms, the root mean square of the answers, and that of the weights.

    Of the last the geometric mean over the layers, as for `Dynamics.relative_step`.
    """
    growth = math.log1p(10.0 ** (log10(SUFFICES) - log10(dynamics.contrast_kernel)))
    sizes = [layer.log_size for layer in dynamics.drawn if layer.weight_square > 0]
    size = 10.0 ** (sum(sizes) / len(sizes)) if sizes else 0.0
    return growth, math.log(dynamics.roughness), dynamics.answer_scale, size
