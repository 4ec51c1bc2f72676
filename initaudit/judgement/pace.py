"""Pace: how long a network would take to learn, as a multiple of what it would take if its start cost nothing.

    steps = 1 + MOTION / sqrt(contrast kernel) + ANSWERS * answer scale + SIZE * weight scale

Learning itself takes its time, whatever the start. To it comes what the start has to be brought out of: gradients so small that nothing
moves until the weights have grown; answers that are large at random and must be unlearned; and large weights, which take many steps of
a given size (Adam's) to become others. Only the ratio of two starts of one network means something: what the task and the
architecture demand cancels. The constants are fitted on really trained networks by `benchmarks/trainability/fit_slowness.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.judgement.dynamics import log10

if TYPE_CHECKING:
    from initaudit.judgement.dynamics import Dynamics

MOTION = 0.71
"""Weight of the inverse root of the contrast kernel; fitted."""
ANSWERS = 0.029
"""Weight of the answers' root mean square; fitted."""
SIZE = 3.5
"""Weight of the weights' root mean square; fitted."""
LARGEST = 25.0
"""Factor at which the prediction ends. Trainability says what learns within 250 steps, and the recommended starts of the fit took ten and more."""


def factor_between(own: Dynamics, recommended: Dynamics) -> float:
    """Steps of one start over steps of the other, in [1 / LARGEST, LARGEST]."""
    return min(LARGEST, max(1 / LARGEST, steps_of(own) / steps_of(recommended)))


def steps_of(dynamics: Dynamics) -> float:
    """Steps to a given accuracy over those of a start that costs nothing."""
    motion, answers, size = quantities(dynamics)
    return 1.0 + MOTION * motion + ANSWERS * answers + SIZE * size


def quantities(dynamics: Dynamics) -> tuple[float, float, float]:
    """What the three constants weigh: the inverse root of the contrast kernel, the root mean square of the answers, and that of the weights.

    Of the last the geometric mean over the layers, as for `Dynamics.relative_step`.
    """
    sizes = [layer.log_size for layer in dynamics.layers if layer.weight_square > 0]
    size = 10.0 ** (sum(sizes) / len(sizes)) if sizes else 0.0
    return 10.0 ** (-0.5 * log10(dynamics.contrast_kernel)), dynamics.answer_scale, size
