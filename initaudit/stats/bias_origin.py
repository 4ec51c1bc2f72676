"""Where the values of a bias came from: still one constant, drawn by a known law, or moved by training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from initaudit.initialisation.schemes import TRUNCATED_STD, TRUNCATION
from initaudit.kind import Kind
from initaudit.stats.distributions import (
    ks_distance,
    ks_p_value,
    normal_cdf,
    normal_tail,
    truncated_normal_cdf,
    uniform_cdf,
)
from initaudit.stats.laws import FIXED_BOUNDS, FIXED_NORMALS
from initaudit.stats.strays import is_constant, settled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from initaudit.stats.facts import LayerFacts
    from initaudit.stats.verdicts import Provenance
    from initaudit.stats.weigh import WeightStats

BiasOrigin = Literal["constant", "drawn", "moved", "open"]

FITS: Final = 1e-3
"""p-value from which a bias counts as drawn by a law: of 1,000 drawn ones, one is lost."""

MOVED: Final = 1e-5
"""p-value under every law below which it counts as moved. A judgement: of a fresh network of a thousand layers none is called
moved but once in a hundred networks."""

TELLING: Final = 64
"""Values from which one law for all biases says something. A judgement: fewer fit one however they came about."""

PUBLISHED: Final = 256
"""The same for a published law, of which there are enough for one to fit fewer values by chance."""

TINY_NORMAL: Final = 1e-6
"""Standard deviation of the biases in a vision transformer's MLP (Dosovitskiy et al. 2021, the authors' code)."""

FIXED: Final = (
    *((bound, bound / math.sqrt(3.0)) for bound in FIXED_BOUNDS),
    *((math.inf, std) for std in (*FIXED_NORMALS, TINY_NORMAL)),
)
"""Bound (infinite for normal laws) and standard deviation of the laws that are in use whatever the fans."""

NEAR: Final = 3.0
"""Factor between the scale of the values and that of a law beyond which FEW values or more cannot be its draws: they have the scale
within a factor of 2 then, in all but one draw of 10^6."""
FEW: Final = 16
"""The number of these values."""

SCATTER: Final = 4.0
"""Standard errors by which the scale of a bias may differ from that of all: chance exceeds them once in 16,000 normal biases."""

ROUNDING: Final = 2.0**-10
"""By how much, relatively, storing in float16 may move the bound of a law, and the folding of a fresh BatchNorm with its epsilon."""


def origin_of_bias(
    bias: WeightStats, facts: LayerFacts, weights: Provenance | None = None, *, decay: float = 1.0
) -> BiasOrigin:
    """`constant`: one value, or a single zero; `drawn`: by torch's default or the law of the weights; `moved`: by no law in use; else `open`. Strays aside.

    `decay` is the factor by which weight decay narrowed the law of the weights, and would have narrowed torch's default for the bias.
    """
    if bias.nonfinite or bias.count == 0 or (bias.count == 1 and bias.max != 0):
        return "open"
    if is_constant(bias):
        return "constant"
    values = settled(bias)
    bounds = _default_bounds(facts)
    default = max((_uniform_p(values, bound * factor) for bound in bounds for factor in {1.0, decay}), default=0.0)
    if default >= FITS or (values.size >= FEW and _fits_law_of(weights, values)):
        return "drawn"
    return "moved" if max((default, *_other_fits(values))) < MOVED else "open"


def _fits_law_of(weights: Provenance | None, values: np.ndarray) -> bool:
    """Whether the author drew weights and biases alike, by a law that leaves the fans out."""
    if weights is None or not weights.std or not (weights.law or "").startswith(("normal_", "uniform_")):
        return False
    bound = math.sqrt(3.0) * weights.std if weights.distribution == "uniform" else math.inf
    return _fixed_p(values, bound, weights.std) >= FITS


def _default_bounds(facts: LayerFacts) -> list[float]:
    """Of torch's default: U(+-1/sqrt(fan_in)), in a recurrent cell U(+-1/sqrt(hidden_size)); it reads transposed kernels the other way round."""
    swapped = facts.fan_out if facts.kind is Kind.CONV_TRANSPOSE else None
    return [1.0 / math.sqrt(n) for n in (facts.fan_in, swapped, facts.hidden_size) if n]


def _other_fits(values: np.ndarray) -> Iterator[float]:
    """p-values under the laws that are in use whatever the fans, if their scale is near enough."""
    scale = math.sqrt(float(np.square(values, dtype=np.float64).mean()))
    for bound, std in FIXED:
        if values.size < FEW or 1.0 / NEAR < scale / std < NEAR:
            yield _fixed_p(values, bound, std)


def _fixed_p(values: np.ndarray, bound: float, std: float) -> float:
    """p-value under U(+-bound) or, where that is infinite, under N(0, std), cut at two of its sigmas or not."""
    if bound < math.inf:
        return _uniform_p(values, bound)
    square = float(np.square(values, dtype=np.float64).mean())
    scale = normal_tail((square / (std * std) - 1.0) * math.sqrt(values.size / 2.0))  # the variance of x^2 is 2
    whole = min(scale, ks_p_value(ks_distance(values / std, normal_cdf, 10.0), values.size))
    cut = values / (std * TRUNCATED_STD)
    if np.abs(cut).max() > TRUNCATION / TRUNCATED_STD:
        return whole
    return max(whole, ks_p_value(ks_distance(cut, truncated_normal_cdf, TRUNCATION / TRUNCATED_STD), values.size))


def _uniform_p(values: np.ndarray, bound: float) -> float:
    scaled = values / (bound * (1.0 + ROUNDING))
    if np.abs(scaled).max() > 1.0:
        return 0.0
    return ks_p_value(ks_distance(scaled, uniform_cdf, 1.0), values.size)


SharedLaw = Literal["published", "own"]


def shared_law(biases: Sequence[WeightStats], fans: Sequence[float]) -> SharedLaw | None:
    """Whether all biases are draws from one law: a published one, or any, the same for all or falling with the root of the fan in."""
    parts = [settled(bias) for bias in biases]
    size = sum(part.size for part in parts)
    if size < TELLING:
        return None
    if size >= PUBLISHED and any(p_value >= FITS for p_value in _other_fits(np.concatenate(parts))):
        return "published"
    by_fan = [part * math.sqrt(fan) for part, fan in zip(parts, fans, strict=True)]
    return "own" if len(parts) > 1 and (_one_law(parts) or _one_law(by_fan)) else None


def _one_law(parts: Sequence[np.ndarray]) -> bool:
    values = np.concatenate(parts)
    scale = math.sqrt(float(np.square(values, dtype=np.float64).mean()))
    for part in parts:
        own = math.sqrt(float(np.square(part, dtype=np.float64).mean()))
        if abs(own / scale - 1.0) > SCATTER / math.sqrt(2.0 * part.size):
            return False
    normal = ks_p_value(ks_distance(values / scale, normal_cdf, 10.0), values.size)
    uniform = ks_p_value(ks_distance(values / (math.sqrt(3.0) * scale), uniform_cdf, 1.0), values.size)
    return max(normal, uniform) >= FITS
