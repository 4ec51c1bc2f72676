"""Trainability: whether gradient descent would get a network off the ground, and what limits it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.judgement.dynamics import dynamics_of
from initaudit.judgement.factors import Factor, limits, overflow
from initaudit.judgement.optimisers import ADAM, SGD
from initaudit.judgement.score import ADAM_SURE, TRAINABLE, better_of, learns
from initaudit.judgement.uncertainty import uncertainty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.measuring.layer_audit import LayerAudit


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainability:
    """Score and factors, the most limiting first."""

    score: float
    factors: tuple[Factor, ...]
    """What limits SGD."""
    sgd: float
    """Score with SGD alone."""
    adam: float
    """Score with Adam alone."""
    error: float | None = None
    """What the errors of the measured gradients leave open of the score, a standard deviation; None where that was not asked for."""

    @property
    def takes_adam(self) -> bool:
        """Whether Adam gets the network off the ground, and SGD does not."""
        return self.sgd < TRAINABLE and self.adam >= ADAM_SURE


def trainability(layers: Sequence[LayerAudit], *, with_error: bool = False) -> Trainability | None:
    """Judge probed layers in topological order; None where nothing was probed backward, unless the way forward already ends."""
    dynamics = dynamics_of(layers)
    if dynamics is not None:
        sgd, adam = (learns(dynamics, optimiser) for optimiser in (SGD, ADAM))
        error = uncertainty(dynamics, layers) if with_error else None
        return Trainability(score=better_of(sgd, adam), factors=limits(dynamics), sgd=sgd, adam=adam, error=error)
    broken = next((a.layer.name for a in layers if a.signal is not None and a.signal.nonfinite > 0), None)
    if broken is None:
        return None
    return Trainability(score=0.0, factors=(overflow(broken, rule="INI406"),), sgd=0.0, adam=0.0)
