"""Curve: how one run went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 320
"""Examples in the running mean of loss and metric: ten batches of 32. A judgement: single batches are noise."""
LEARNED = 0.05
"""How far above chance a run must come for anything to have been learned. A judgement: less is within the noise of a few hundred examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Running means after each step that was done."""

    loss: Sequence[float]
    metric: Sequence[float]
    """Accuracy or R2."""
    end: str
    """steps (all were done), diverged (the loss left the finite numbers), or what ended it: time, or chance (it was no better, as long as it was waited for)."""
    held_out: float | None = None
    """The metric of examples that were not trained on; None where there are none, or the run did not come to its end."""
    full: int = 1
    """The first step whose means are of WINDOW examples: those of fewer are noise, and say of nothing that it was learned."""

    def steps_to(self, target: float) -> int | None:
        """The first step whose running metric is at least the target; None where none is."""
        return next((step for step, value in enumerate(self.metric, 1) if step >= self.full and value >= target), None)

    @property
    def best(self) -> float | None:
        """The largest metric on the way."""
        return max(self.metric[self.full - 1 :], default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a race."""

    scheme: str
    optimizer: str
    rate: float
    seed: int
    """Number of the draw, from 0."""
    curve: Curve

    @property
    def key(self) -> tuple[str, str, float, int]:
        """What tells it from the others of its race."""
        return self.scheme, self.optimizer, self.rate, self.seed
