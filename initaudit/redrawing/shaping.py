"""Shaping: the mean and the spread at which an activation keeps two inputs apart through a deep chain.

A pre-activation a z + b with z ~ N(0, 1) leaves phi with mean m, variance v and, for a small difference between two inputs, the factor

    chi(a, b) = a^2 E[phi'(a z + b)^2] / v(a, b)

between the squared difference relative to the variance behind the activation and the same in front of it (Schoenholz et al. 2017, eq. 5, centred).
It is at least 1, by the Gaussian Poincare inequality, and 1 for a straight line: where L activations follow each other, the differences at close
range grow by chi^L, which a BUDGET bounds. Rectifiers are straightened by a shift to where they are nearly linear, sigmoids by shrinking what enters
(Martens et al. 2021 bend the activation instead).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from initaudit.initialisation.gains import moments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from initaudit.initialisation.gains import Function

BUDGET = 4.0
"""Growth of small differences relative to large ones over the whole chain. A judgement: twice in size; among 41 networks that no scheme of one layer
heals, all learn with it."""
LARGEST_SHIFT = 3.0
"""Of b, in standard deviations: beyond it one value in a thousand sees the bend."""
SMALLEST_SPREAD = 1.0 / 16.0
"""Of a: tanh bends what is that small by a thousandth."""
GATE_SPREAD = 1.0 / 4.0
"""Of a in front of a gate, at LARGEST_SHIFT. Eight gated units without norm or skip (SiLU, width 32) learn from 1/4 in 20 steps of Adam, hardly from 1/2
and not from 1."""
SHIFTS = 60
"""Steps from 0 to LARGEST_SHIFT: of 0.05, which changes chi by less than a twentieth of what is above 1."""
SPREADS = 32
"""Steps from 1 to SMALLEST_SPREAD in equal ratios, of 9 % each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Where a pre-activation is to lie, and what its activation makes of it."""

    spread: float = 1.0
    """a: standard deviation of the pre-activation."""
    shift: float = 0.0
    """b: its mean."""
    mean: float = 0.0
    """m behind the activation."""
    variance: float = 1.0
    """v behind it."""
    chi: float = 1.0


STRAIGHT = Shape()
"""That of a layer without an activation."""


def shape_at(phi: Function, spread: float, shift: float) -> Shape:
    """What phi makes of N(shift, spread^2); chi is infinite where phi gives one value only."""
    of = moments(phi, shift, spread**2)
    steep = spread**2 * of.derivative_second_moment
    chi = steep / of.variance if of.variance > 0 and math.isfinite(steep) else math.inf
    return Shape(spread=spread, shift=shift, mean=of.mean, variance=of.variance, chi=chi)


def shape_for(phi: Function, layers: float, *, shifted: bool = True) -> Shape:
    """The mildest shape that keeps the chain within BUDGET; the one with the smallest chi where none does.

    Tried in order: the smallest shift upwards, the smallest downwards, the largest spread below 1.

    Args:
        phi: activation.
        layers: how many of them follow each other, > 0; one in a residual branch counts as the branch's share of the sum.
        shifted: whether there is a bias that can move the pre-activation.
    """
    bound = BUDGET ** (1.0 / layers)
    seen: list[Shape] = []
    for shape in _candidates(phi, shifted=shifted):
        if shape.chi <= bound:
            return shape
        seen.append(shape)
    best = min(seen, key=lambda shape: shape.chi)
    return best if math.isfinite(best.chi) else shape_at(phi, 1.0, 0.0)


def gate_shape(phi: Function) -> Shape:
    """That of an activation whose values multiply another signal: nearly constant, since what varies in each of several factors multiplies up."""
    return shape_at(phi, GATE_SPREAD, LARGEST_SHIFT)


def _candidates(phi: Function, *, shifted: bool) -> Iterable[Shape]:
    if shifted:
        for shift in np.linspace(0.0, LARGEST_SHIFT, SHIFTS + 1):
            yield shape_at(phi, 1.0, float(shift))
        for shift in np.linspace(0.0, -LARGEST_SHIFT, SHIFTS + 1)[1:]:
            yield shape_at(phi, 1.0, float(shift))
    for spread in np.geomspace(1.0, SMALLEST_SPREAD, SPREADS + 1):
        yield shape_at(phi, float(spread), 0.0)
