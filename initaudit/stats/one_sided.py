"""How many units lie on one side of zero for every input by chance alone."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from initaudit.stats.distributions import normal_cdf

_REACH: Final = 9.0
"""Standard deviations integrated over; beyond them lies a probability of 2e-19."""
_STEP: Final = 0.01
"""Of the trapezoidal rule, whose error for a product of normal densities falls as exp(-2 (pi / step)^2): what is left is that of Phi."""


def one_sided_share(similarity: float, inputs: int) -> float:
    """Expected share of units below zero for all of `inputs` inputs, where nothing favours a side.

    With weights drawn around zero the values of a unit for n inputs of similarity c are z_i = sqrt(c) a + sqrt(1 - c) b_i with a and
    b_i independent N(0, 1): a is what the inputs have in common. All are negative with probability

        P = integral of phi(a) Phi(-sqrt(c / (1 - c)) a)^n da,

    n given a. The largest of the b_i has the density n phi(m) Phi(m)^(n-1); integrated over a first, the same is

        P = integral of n phi(m) Phi(m)^(n-1) Phi(-sqrt((1 - c) / c) m) dm,

    and whichever of the two has the flatter integrand is taken. P is 2^-n at c = 0, 1 / (n + 1) at c = 1/2 and 1/2 at c = 1;
    1/4 + arcsin(c) / (2 pi) for n = 2 (Sheppard 1899).

    Args:
        similarity: c, from 0 to 1.
        inputs: n, at least 1.

    Returns:
        P, from 2^-n to 1/2.
    """
    z = np.arange(-_REACH, _REACH + _STEP, _STEP)
    density = np.exp(-0.5 * z**2) * (_STEP / math.sqrt(2.0 * math.pi))
    common, own = math.sqrt(similarity), math.sqrt(1.0 - similarity)
    if common < own:
        return float(np.sum(density * normal_cdf(-common / own * z) ** inputs))
    return float(np.sum(inputs * density * normal_cdf(z) ** (inputs - 1) * normal_cdf(-own / common * z)))
