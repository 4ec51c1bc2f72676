"""Evidence that values are independent draws from one family of distributions, whatever the scale.

Every test gives a p-value under the hypothesis "fresh": small means that a fresh weight hardly ever looks like this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from initaudit.initialisation.schemes import TRUNCATED_STD, TRUNCATION
from initaudit.stats.distributions import (
    in_units,
    ks_distance,
    ks_p_value,
    normal_cdf,
    normal_tail,
    truncated_normal_cdf,
    uniform_cdf,
    variance_ratio_p,
)
from initaudit.stats.structure import kernels, structure_evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from initaudit.stats.values import Values

HOPELESS: Final = 1e-12
"""Below this p-value of one test the costlier ones are left out: no correction for their number brings the family back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A symmetric distribution of unit variance."""

    name: str
    cdf: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    reach: float
    """Support, in standard deviations; for a normal as far as 10^23 values go."""
    m4: float
    """Fourth and sixth moments for unit variance."""
    m6: float
    kurtosis_variance: float
    """n times the variance of mean(x^4)/mean(x^2)^2."""
    square_variance: float
    """Variance of x^2."""
    square_cumulant: float
    """Fourth cumulant of x^2."""


def _family(
    name: str, cdf: Callable[[np.ndarray], np.ndarray], reach: float, m4: float, m6: float, m8: float
) -> Family:
    """Derive from the moments what the tests need (kurtosis: delta method)."""
    variance = m4 - 1.0
    return Family(
        name=name, cdf=cdf, reach=reach, m4=m4, m6=m6,
        kurtosis_variance=m8 - m4 * m4 + 4.0 * m4 * m4 * (m4 - 1.0) - 4.0 * m4 * (m6 - m4),
        square_variance=variance,
        square_cumulant=m8 - 4.0 * m6 + 6.0 * m4 - 3.0 - 3.0 * variance * variance,
    )  # fmt: skip


def _truncated_moment(order: int) -> float:
    """Moment of N(0,1) cut at TRUNCATION, by the recursion m_k = (k-1) m_(k-2) - 2 c^(k-1) phi(c) / P."""
    if order == 0:
        return 1.0
    density = math.exp(-(TRUNCATION**2) / 2.0) / math.sqrt(2.0 * math.pi)
    mass = math.erf(TRUNCATION / math.sqrt(2.0))
    return (order - 1) * _truncated_moment(order - 2) - 2.0 * TRUNCATION ** (order - 1) * density / mass


NORMAL: Final = _family("normal", normal_cdf, 10.0, 3.0, 15.0, 105.0)
"""Even moments 3, 15, 105: double factorials."""
UNIFORM: Final = _family("uniform", lambda z: uniform_cdf(z / math.sqrt(3.0)), math.sqrt(3.0), 9 / 5, 27 / 7, 9.0)
"""Even moments 3^k / (2k + 1)."""
TRUNCATED: Final = _family(
    "truncated_normal", truncated_normal_cdf, TRUNCATION / TRUNCATED_STD,
    *(_truncated_moment(order) / TRUNCATED_STD**order for order in (4, 6, 8)),
)  # fmt: skip
"""Cut at TRUNCATION and scaled to unit variance."""
FAMILIES: Final = (UNIFORM, NORMAL, TRUNCATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """p-values of the tests one family was put to, by name of the test."""

    family: Family
    tests: dict[str, float]

    @property
    def p_value(self) -> float:
        """Smallest p-value, corrected for the number of tests (Bonferroni)."""
        return min(1.0, min(self.tests.values()) * len(self.tests))

    @property
    def weakest(self) -> str:
        """The test that fits worst."""
        return min(self.tests, key=lambda name: self.tests[name])


def gather(values: Values) -> list[Evidence]:
    """All tests of every family."""
    z = None if values.block is None else in_units(values.block, values.scale)
    structure = {} if z is None else structure_evidence(z, values.kernel, _known_largest(values))
    scatters = _scatters(values, z)
    found = []
    for family in FAMILIES:
        tests = shape_evidence(values, family)
        tests |= {name: scatter.p_value(family) for name, scatter in scatters.items()}
        found.append(Evidence(family=family, tests=tests | structure))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """How sums of squares vary about their mean."""

    count: int
    per_sum: float
    """Values in each sum."""
    relative_variance: float

    @classmethod
    def of(cls, energy: np.ndarray, per_sum: float) -> Scatter:
        """Of at least two sums."""
        count = energy.size
        deviation = energy / (float(energy.sum()) / count) - 1.0
        return cls(count=count, per_sum=per_sum, relative_variance=float(deviation @ deviation) / (count - 1))

    def p_value(self, family: Family) -> float:
        """Whether sums of independent values of this family would scatter so."""
        expected = family.square_variance / self.per_sum
        variance = family.square_cumulant / self.per_sum**3 / self.count + 2.0 * expected * expected / (self.count - 1)
        return variance_ratio_p(self.relative_variance / expected, 2.0 * expected * expected / variance)


def _scatters(values: Values, z: np.ndarray | None) -> dict[str, Scatter]:
    """Of units, of inputs (of each copy, and of all together) and of kernels."""
    energies = {"unit norms": values.unit_energy, "input norms": values.input_energy}
    if values.copies > 1 and values.input_energy.size % values.copies == 0:
        energies["input norms of all copies"] = values.input_energy.reshape(values.copies, -1).sum(axis=0)
    scatters = {name: Scatter.of(e, values.n / e.size) for name, e in energies.items() if e.size > 1}
    if z is not None and 1 < values.kernel < z.shape[1]:
        scatters["kernel norms"] = Scatter.of(kernels(z * z, values.kernel).sum(axis=1), values.kernel)
    return scatters


def _known_largest(values: Values) -> float | None:
    known = values.largest_singular_value
    return None if known is None else known / values.scale


def shape_evidence(values: Values, family: Family) -> dict[str, float]:
    """Tests of the distribution of single values, with the scale taken from the values themselves."""
    n, scale, sample = values.n, values.scale, values.sample
    tests = {
        "mean": normal_tail(values.mean / scale * math.sqrt(n)),
        "skewness": normal_tail(values.cube / scale**3 * math.sqrt(n / family.m6)),
        "kurtosis": _kurtosis_p(values.fourth / (values.square * values.square), n, family),
    }
    if min(tests.values()) < HOPELESS:
        return tests
    if family is UNIFORM:
        bound = values.reach * (n + 1) / n  # unbiased for the bound of n values
        tests["shape"] = ks_p_value(ks_distance(in_units(sample, bound), uniform_cdf, 1.0), sample.size)
        gap = max(0.0, 1.0 - min(-values.low, values.high) / bound - 2.0 * values.rounding)
        tests["edges"] = min(1.0, 2.0 * math.exp(-0.5 * n * gap))
    else:
        tests["shape"] = ks_p_value(
            ks_distance(in_units(sample, scale), family.cdf, family.reach), sample.size
        )  # fmt: skip
        tests["largest value"] = _largest_p(values, family)
    return tests


def _kurtosis_p(kurtosis: float, n: int, family: Family) -> float:
    if family is not NORMAL:
        return normal_tail((kurtosis - family.m4) / math.sqrt(family.kurtosis_variance / n))
    # Anscombe & Glynn 1983: the kurtosis of a normal sample is skewed itself
    mean = 3.0 * (n - 1) / (n + 1)
    variance = 24.0 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    x = (kurtosis - mean) / math.sqrt(variance)
    skew = (
        6.0 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9)) * math.sqrt(6.0 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    )
    a = 6.0 + 8.0 / skew * (2.0 / skew + math.sqrt(1.0 + 4.0 / (skew * skew)))
    stretched = 1.0 + x * math.sqrt(2.0 / (a - 4.0))
    if stretched <= 0:
        return 0.0
    root = ((1.0 - 2.0 / a) / stretched) ** (1.0 / 3.0)
    return normal_tail((1.0 - 2.0 / (9.0 * a) - root) / math.sqrt(2.0 / (9.0 * a)))


def _largest_p(values: Values, family: Family) -> float:
    """Probability that the largest of n values lies as far out as the one found."""
    peak = values.reach / values.scale
    if family is NORMAL:
        return -math.expm1(values.n * math.log1p(-min(math.erfc(peak / math.sqrt(2.0)), 1.0 - 1e-16)))
    margin = 4.0 * math.sqrt((family.m4 - 1.0) / (4.0 * values.n))  # standard error of the root mean square
    return 1.0 if peak <= family.reach * (1.0 + margin) else 0.0
