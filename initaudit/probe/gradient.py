"""What the backward probe has gathered at one layer, and how sure it is of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.probe.precision import Precision

MIN_DRAWS = 2
"""Samples that an error estimate takes."""
MIN_WEIGHT_DRAWS = 4
"""Samples of a weight gradient from which its error estimate is trusted enough to draw no more. A judgement."""


@dataclass(slots=True, kw_only=True)
class Gradient:
    """Samples of one layer, one per draw."""

    inputs: int = 1
    """Inputs that the draws take in turn and that are meant themselves; 1 where they are a sample, too."""
    squares: list[float] = field(default_factory=list)
    """Estimates of the mean square gradient per element of the layer's output."""
    weight_squares: list[float] = field(default_factory=list)
    """Estimates of |dL/dW|_F^2."""
    contrasts: list[tuple[float, float]] = field(default_factory=list)
    """Of a factor, |J(x) dW x'|^2 for the half difference x' of two inputs, over the root of 2, and for the input x itself."""
    is_weight_exhausted: bool = False
    """Whether no more changes of the weight are to be followed: its gradient is as well known as it will be."""
    memories: list[float] = field(default_factory=list)
    """Of a recurrent layer: what is left of a change of its state a step later."""
    unresolved: int = 0
    """Draws whose response rounding may have made. One alone says little: a direction may happen to be blind."""

    @property
    def error(self) -> float | None:
        """Relative standard error of the root of the mean of `squares`."""
        return _error(self.squares, self.inputs)

    @property
    def weight_error(self) -> float | None:
        """The same of `weight_squares`."""
        return _error(self.weight_squares, self.inputs)

    @property
    def weight_contrast(self) -> float | None:
        """Share of what a change of the weight does to the answers that differs from input to input, in [0, 1]; None where that was not measured."""
        apart, whole = (math.fsum(part) for part in zip(*self.contrasts, strict=True)) if self.contrasts else (0.0, 0.0)
        return min(1.0, apart / whole) if whole > 0 and math.isfinite(apart / whole) else None

    def is_weight_settled(self, precision: Precision) -> bool:
        """Whether that is small enough, by an estimate that is worth trusting."""
        if self.is_weight_exhausted:
            return True
        enough = len(self.weight_squares) >= MIN_WEIGHT_DRAWS or not self.weight_squares
        return enough and (self.weight_error or 0.0) <= precision.weight_error

    def to_json(self, spread: float | None) -> dict[str, Any]:
        """The backward fields of `Signal`; `spread` is that of one draw in this network, for layers drawn only once."""
        error = self.error
        if error is None and spread is not None and self.squares and any(self.squares):
            error = 0.5 * spread / math.sqrt(len(self.squares))
        weight = math.sqrt(float(np.mean(self.weight_squares))) if self.weight_squares else None
        return {
            "gradient_rms": math.sqrt(float(np.mean(self.squares))) if self.squares else None,
            "gradient_error": error,
            "gradient_resolved": 2 * self.unresolved < len(self.squares) if self.squares else None,
            "weight_gradient": weight,
            "weight_gradient_error": self.weight_error,
            "weight_contrast": self.weight_contrast,
            "memory": math.sqrt(float(np.mean(np.square(self.memories)))) if self.memories else None,
        }


def _error(squares: Sequence[float], inputs: int) -> float | None:
    """Relative standard error of the root of the mean; by the spread about each input's own mean once there are two draws of each."""
    mean = float(np.mean(squares)) if squares else 0.0
    if len(squares) < MIN_DRAWS or mean == 0.0:
        return None
    rounds, strata = (len(squares) // inputs, inputs) if len(squares) >= 2 * inputs else (len(squares), 1)
    by_input = np.reshape(squares[: rounds * strata], (rounds, strata))
    spread = math.sqrt(float(np.mean(np.var(by_input, axis=0, ddof=1))))
    return 0.5 * spread / math.sqrt(len(squares)) / mean


def spread_of(gradients: Mapping[str, Gradient]) -> float | None:
    """Relative standard deviation of one draw, over the layers that were drawn more than once; None if there are none.

    It depends on how many directions the outputs answer to, which the layers of one network share.
    """
    several = [np.asarray(g.squares) for g in gradients.values() if len(g.squares) > 1 and any(g.squares)]
    if not several:
        return None
    return math.sqrt(float(np.mean([np.var(s, ddof=1) / np.mean(s) ** 2 for s in several])))


def settled(gradients: Mapping[str, Gradient], precision: Precision) -> bool:
    """Whether the errors of every layer are small enough."""
    return all((g.error or 0.0) <= precision.error and g.is_weight_settled(precision) for g in gradients.values())
