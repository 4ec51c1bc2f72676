"""Pace: how fast a network would learn, up to a factor that networks of one architecture share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.judgement.trainability import LEARNING_RATES, stands

if TYPE_CHECKING:
    from initaudit.judgement.dynamics import Dynamics


def pace_of(dynamics: Dynamics) -> float:
    """Inverse of a number of steps; 0 where the network cannot learn."""
    if not dynamics.finite:
        return 0.0
    return max(
        rate * dynamics.contrast_kernel / (1 + rate * dynamics.kernel) / dynamics.answer_scale * stands(dynamics, rate)
        for rate in LEARNING_RATES
    )
