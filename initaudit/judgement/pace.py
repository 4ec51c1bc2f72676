"""Pace: how fast a network would learn, against the same network with another start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.judgement.trainability import LEARNING_RATES, TIED, stands

if TYPE_CHECKING:
    from initaudit.judgement.dynamics import Dynamics

LARGEST = 1000.0
"""Factor at which the prediction ends: nobody trains a thousand times as long, and the fit has seen nothing like it. A judgement."""


def learns_at_all(dynamics: Dynamics) -> bool:
    """Whether there is a number of steps to speak of."""
    return dynamics.finite and dynamics.tied < TIED and dynamics.contrast_kernel > 0


def factor_between(own: Dynamics, recommended: Dynamics) -> float:
    """Steps of one over steps of the other."""
    return min(LARGEST, max(1 / LARGEST, _pace(recommended) / max(1e-300, _pace(own))))


def _pace(dynamics: Dynamics) -> float:
    """Inverse of a number of steps."""
    return max(
        rate * dynamics.contrast_kernel / (1 + rate * dynamics.kernel) / dynamics.answer_scale * stands(dynamics, rate)
        for rate in LEARNING_RATES
    )
