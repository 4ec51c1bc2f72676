"""Mean-field theory: what a wide layer of independent weights does to a signal, to the likeness of two inputs, and to the gradient.

In the limit of many units a pre-activation is normal, and three averages over it say how a network behaves with depth (Poole et al. 2016;
Schoenholz et al. 2017): the second moment that goes on, the likeness of two inputs, and chi, the factor on a small
difference forward and on the squared gradient backward. A fourth says by how much a layer of few units scatters about them
(Hanin & Nica 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.initialisation.gains import Function, moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRID = 801
"""Points, on [-6, 6], for what two inputs share: a kink is seen while they differ by more than one step of 0.015."""
NODES = 12
"""Gauss-Hermite nodes for what sets them apart, along which all but the kink is smooth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Of a layer's input, at infinite width."""

    second_moment: float = 1.0
    contrast: float = 1.0
    """1 less the correlation between two inputs (uncentred), in [0, 1]: 0 where they look the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Through one layer and its activation."""

    behind: Signal
    chi: float
    """a^2 E[phi'(z)^2] with a^2 = fan_in Var(W)."""
    scatter: float
    """Variance of the logarithm of the squared gradient that one unit alone would make: to be divided by the width."""


def passage(signal: Signal, weight_variance: float, phi: Function | None) -> Passage:
    """Through a layer without bias whose weights are independent.

    Args:
        signal: what enters.
        weight_variance: fan_in times the variance of a weight.
        phi: activation; None for none.
    """
    level = weight_variance * signal.second_moment
    if phi is None:
        return Passage(behind=Signal(second_moment=level, contrast=signal.contrast), chi=weight_variance, scatter=2.0)
    of = moments(phi, 0.0, level)
    steepness = of.derivative_second_moment
    return Passage(
        behind=Signal(second_moment=of.second_moment, contrast=contrast_behind(phi, level, signal.contrast)),
        chi=weight_variance * steepness,
        scatter=3.0 * of.derivative_fourth_moment / steepness**2 - 1.0 if steepness > 0 else 0.0,
    )


def contrast_behind(phi: Function, level: float, contrast: float) -> float:
    """1 - E[phi(u) phi(v)] / E[phi(z)^2] for u, v, z ~ N(0, level), u and v with the correlation 1 - contrast.

    Taken from the differences phi(u) - phi(v), so that it is exact where it is tiny.
    """
    shared, apart, weight = _plane()
    scale = math.sqrt(level)
    s, t = math.sqrt(1.0 - 0.5 * contrast), math.sqrt(0.5 * contrast)
    with np.errstate(all="ignore"):
        one, other = (np.asarray(phi(scale * (s * shared + sign * t * apart)), np.float64) for sign in (1.0, -1.0))
        square = float(np.sum(weight * (one**2 + other**2)))
        difference = float(np.sum(weight * (one - other) ** 2))
    return min(1.0, difference / square) if square > 0 else 0.0


@cache
def _plane() -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Two independent standard normal coordinates [GRID, NODES], broadcast, and the probability of each point."""
    shared = np.linspace(-6.0, 6.0, GRID)
    apart, weight = np.polynomial.hermite_e.hermegauss(NODES)
    density = np.exp(-0.5 * shared**2)
    probability = (density / density.sum())[:, None] * (weight / weight.sum())[None, :]
    return shared[:, None], apart[None, :], probability
