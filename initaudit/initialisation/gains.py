"""What an activation does to the size of a signal: gains and moments by quadrature under a normal distribution.

For z ~ N(0, 1) the forward gain is E[phi(z)^2]^-1/2, the factor on the weights that keeps the second moment of the signal
(He et al. 2015, eq. 8 to 10, for any phi); the backward gain E[phi'(z)^2]^-1/2 does the same for the gradient (eq. 11 to 14).
Pure numpy, float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Function: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]

REACH = 10.0
"""Standard deviations integrated over; beyond them lies a probability of 2e-23."""
CELLS = 8000
"""Cells of equal width on [-REACH, REACH]; a kink inside a cell costs at most 3e-4 of E[phi'^2] (cell width 0.0025)."""
NARROWEST = 1e-7
"""Least width of a difference quotient relative to 1 + |z|: halfway between truncation and float64 rounding (eps^1/2)."""
FLAT_SLOPE = 0.01
"""|phi'| below this share of its maximum counts as saturated: 99 % of the gradient is lost there."""
SATURATION_CELLS = 20_000
"""Cells of equal width on [-FAR, FAR], where saturation is looked for: its ends are found within 0.01."""
REACHED = 6.0
"""The steepest slope is sought among |z| <= 6, which a unit signal never leaves: the slope of z^2 has no maximum."""
ROUNDING = 1e-6
"""Relative rounding of a difference quotient on that grid; leaky ReLU's customary slope of 0.01 is not below 1 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Of phi(z) for normal z."""

    mean: float
    """E[phi(z)]."""
    variance: float
    """E[(phi(z) - mean)^2]; computed centred, so it is exact where it is tiny against the mean."""
    derivative_second_moment: float
    """E[phi'(z)^2], of the derivative almost everywhere (jumps count nothing, as in backpropagation)."""
    derivative_fourth_moment: float
    """E[phi'(z)^4], likewise."""

    @property
    def second_moment(self) -> float:
        """E[phi(z)^2]."""
        return self.mean**2 + self.variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Of an activation for z ~ N(0, 1)."""

    forward: float
    """E[phi(z)^2]^-1/2; infinite for a function that is zero everywhere."""
    backward: float
    """E[phi'(z)^2]^-1/2; infinite for a function that is flat everywhere."""
    mean: float
    """E[phi(z)]."""
    saturated: tuple[tuple[float, float], ...]
    """Half-lines of z on which |phi'| stays below FLAT_SLOPE of its maximum."""


IDENTITY = Gain(forward=1.0, backward=1.0, mean=0.0, saturated=())


@lru_cache(maxsize=1)
def _cells() -> tuple[NDArray[Any], NDArray[Any]]:
    """Edges of the cells in standard deviations, and the probability of each cell."""
    from initaudit.activations.formulas import erf

    edges = np.linspace(-REACH, REACH, CELLS + 1)
    below = 0.5 * (1.0 + erf(edges / math.sqrt(2.0)))
    upper = 0.5 * (1.0 - erf(edges / math.sqrt(2.0)))
    return edges, np.where(edges[1:] <= 0, np.diff(below), -np.diff(upper))  # the smaller tail is the exact one


def moments(phi: Function, mean: float = 0.0, variance: float = 1.0) -> Moments:
    """Moments of phi(z) and phi'(z) for z ~ N(mean, variance), by Simpson's rule in cells of exact probability.

    Args:
        phi: elementwise function on float64 arrays.
        mean: of z.
        variance: of z; not negative.

    Returns:
        NaN or infinite moments where phi is not finite on the range that z takes.

    Raises:
        ValueError: for a variance that is negative or not a number.
    """
    if not variance >= 0:
        raise ValueError(f"the variance of a signal cannot be {variance}")
    edges, weight = _cells()
    z = mean + math.sqrt(variance) * edges
    middle = 0.5 * (z[1:] + z[:-1])
    with np.errstate(all="ignore"):
        at_edges, at_middle = np.asarray(phi(z), np.float64), np.asarray(phi(middle), np.float64)
        if not variance:
            slope = _quotient(phi, middle[:1], 0.0)
            return Moments(
                mean=float(at_edges[0]),
                variance=0.0,
                derivative_second_moment=float(slope[0] ** 2),
                derivative_fourth_moment=float(slope[0] ** 4),
            )
        centre = float(np.sum(weight * _simpson(at_edges, at_middle)))
        spread = float(np.sum(weight * _simpson((at_edges - centre) ** 2, (at_middle - centre) ** 2)))
        slope = _slopes(phi, z, at_edges, middle)
        steepness, fourth = (float(np.sum(weight * slope**power)) for power in (2, 4))
    return Moments(mean=centre, variance=spread, derivative_second_moment=steepness, derivative_fourth_moment=fourth)


def _simpson(at_edges: NDArray[Any], at_middle: NDArray[Any]) -> NDArray[Any]:
    mean: NDArray[Any] = (at_edges[:-1] + 4.0 * at_middle + at_edges[1:]) / 6.0
    return mean


def _slopes(phi: Function, z: NDArray[Any], values: NDArray[Any], middle: NDArray[Any]) -> NDArray[Any]:
    """Slope of phi in each cell. A single cell steeper than both neighbours holds a jump, which has no derivative."""
    if z[1] - z[0] >= NARROWEST * (1.0 + max(abs(z[0]), abs(z[-1]))):
        slope = np.diff(values) / np.diff(z)
    else:
        slope = _quotient(phi, middle, float(z[1] - z[0]))
    padded = np.concatenate([slope[:1], slope, slope[-1:]])
    before, after = padded[:-2], padded[2:]
    # The median of three; np.median gives the same and takes forty times as long.
    smooth: NDArray[Any] = np.maximum(np.minimum(before, after), np.minimum(np.maximum(before, after), slope))
    return smooth


def _quotient(phi: Function, z: NDArray[Any], width: float) -> NDArray[Any]:
    half = np.maximum(0.5 * width, NARROWEST * (1.0 + np.abs(z)))
    difference: NDArray[Any] = np.asarray(phi(z + half), np.float64) - np.asarray(phi(z - half), np.float64)
    quotient: NDArray[Any] = difference / (2.0 * half)
    return quotient


def gain(phi: Function) -> Gain:
    """Gains, mean and saturation of an elementwise function for z ~ N(0, 1)."""
    of = moments(phi)
    return Gain(
        forward=_inverse_root(of.second_moment),
        backward=_inverse_root(of.derivative_second_moment),
        mean=of.mean,
        saturated=saturation(phi),
    )


def _inverse_root(value: float) -> float:
    return math.inf if value == 0 else value**-0.5


def saturation(phi: Function) -> tuple[tuple[float, float], ...]:
    """Half-lines (-inf, a) and (b, inf) of z on which |phi'| stays below FLAT_SLOPE of its maximum; none, one or two.

    A flat place between two steep parts (the minimum of GELU, the middle of a hard shrink) is no saturation. A function
    that is flat everywhere, or not a number somewhere, has none.
    """
    from initaudit.activations.named import FAR

    z = np.linspace(-FAR, FAR, SATURATION_CELLS + 1)
    middle = 0.5 * (z[1:] + z[:-1])
    with np.errstate(all="ignore"):
        slope = np.abs(_slopes(phi, z, np.asarray(phi(z), np.float64), middle))
    if not np.isfinite(slope).all() or slope.max() == 0:
        return ()
    steepest = slope[np.abs(middle) <= REACHED].max() or slope.max()
    steep = np.flatnonzero(slope >= FLAT_SLOPE * steepest * (1 - ROUNDING))
    first, last = int(steep[0]), int(steep[-1])
    ends = []
    if first > 0:
        ends.append((-math.inf, float(z[first])))
    if last < SATURATION_CELLS - 1:
        ends.append((float(z[last + 1]), math.inf))
    return tuple(ends)


def named_gain(name: str, parameters: Mapping[str, float] | None = None) -> Gain | None:
    """Gain of a named activation, or None where the name stands for no elementwise function."""
    return _named_gain(name, tuple(sorted((parameters or {}).items())))


@lru_cache(maxsize=256)
def _named_gain(name: str, parameters: tuple[tuple[str, float], ...]) -> Gain | None:
    from initaudit.activations.named import closed_form

    phi = closed_form(name, dict(parameters))
    return None if phi is None else gain(phi)
