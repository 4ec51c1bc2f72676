"""Streaming moments to order four: computed per chunk, merged exactly.

Merging follows Chan, Golub & LeVeque 1983 (variance) and Pebay 2008, eq. 2.1-2.2 and 3.1 (orders three and four).
A chunk is accumulated in its own precision around a pivot near its mean; chunks are merged in float64, so the error of
a sum over 10^9 float32 values stays that of one chunk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

PIVOT_SHARE: Final = 0.05
"""A chunk is centred before its powers are summed when its squared mean exceeds this share of its mean square: below it
the cancellation in `sum(x^2) - n mean^2` loses less than one bit, and the extra pass would cost a tenth of the time."""

SAFE_LOW: Final = 1e-8
"""Smallest magnitude whose fourth power keeps clear of float32's subnormal numbers (1.2e-38)."""
SAFE_HIGH: Final = 1e8
"""Largest magnitude whose fourth power keeps clear of float32's overflow (3.4e38)."""

_SMALLEST_NORMAL: Final = {
    "float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126,
    "float8_e4m3fn": 2.0**-6, "float8_e4m3fnuz": 2.0**-7, "float8_e5m2": 2.0**-14, "float8_e5m2fnuz": 2.0**-15,
    "float4_e2m1fn": 1.0,
}  # fmt: skip
"""By type (IEEE 754; ONNX float8 and float4 formats)."""


@cache
def smallest_normal(dtype: np.dtype[Any]) -> float:
    """Smallest positive normal number of a floating type; what lies between it and zero is subnormal. 0 for other types."""
    return _SMALLEST_NORMAL.get(dtype.name, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Count, mean and central sums of the finite values, and how many values were zero, subnormal or not finite."""

    count: int = 0
    """Finite values."""
    mean: float = 0.0
    m2: float = 0.0
    """Sum of (x - mean)^2; m3 and m4 likewise."""
    m3: float = 0.0
    m4: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    zeros: int = 0
    subnormal: int = 0
    nonfinite: int = 0

    @classmethod
    def of(cls, values: np.ndarray, smallest: float = 0.0) -> Moments:
        """Moments of one chunk: float32 or float64, contiguous, any shape. Values below `smallest` count as subnormal."""
        flat = values.reshape(-1)
        if flat.size == 0:
            return cls()
        low, high = float(flat.min()), float(flat.max())
        if not (math.isfinite(low) and math.isfinite(high)):  # min and max hand NaN on
            finite = flat[np.isfinite(flat)]
            return cls(nonfinite=flat.size - finite.size) + cls.of(finite, smallest)
        zeros, subnormal = _near_zero(flat, low, high, smallest)
        if low == high:
            return cls(count=flat.size, mean=low, minimum=low, maximum=high, zeros=zeros, subnormal=subnormal)
        largest = max(-low, high)
        if flat.dtype != np.float64 and not SAFE_LOW < largest < SAFE_HIGH:
            flat = flat.astype(np.float64)
        mean, m2, m3, m4 = _central_sums(flat)
        return cls(
            count=flat.size, mean=mean, m2=m2, m3=m3, m4=m4, minimum=low, maximum=high, zeros=zeros, subnormal=subnormal
        )

    def __add__(self, other: Moments) -> Moments:
        """Moments of both sets together."""
        minimum, maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        zeros, subnormal = self.zeros + other.zeros, self.subnormal + other.subnormal
        nonfinite = self.nonfinite + other.nonfinite
        a, b = self.count, other.count
        if a == 0 or b == 0:
            full = self if b == 0 else other
            return Moments(
                count=full.count, mean=full.mean, m2=full.m2, m3=full.m3, m4=full.m4,
                minimum=minimum, maximum=maximum, zeros=zeros, subnormal=subnormal, nonfinite=nonfinite,
            )  # fmt: skip
        n = a + b
        delta = other.mean - self.mean
        wa, wb = a / n, b / n
        return Moments(
            count=n,
            mean=self.mean + delta * wb,
            m2=self.m2 + other.m2 + delta * delta * a * wb,
            m3=self.m3 + other.m3 + delta * delta * delta * a * wb * (wa - wb) + 3.0 * delta * (wa * other.m2 - wb * self.m2),
            m4=self.m4 + other.m4
            + delta * delta * delta * delta * a * wb * (wa * wa - wa * wb + wb * wb)
            + 6.0 * delta * delta * (wa * wa * other.m2 + wb * wb * self.m2)
            + 4.0 * delta * (wa * other.m3 - wb * self.m3),
            minimum=minimum, maximum=maximum, zeros=zeros, subnormal=subnormal, nonfinite=nonfinite,
        )  # fmt: skip

    @property
    def variance(self) -> float:
        """Population variance; NaN without values."""
        return self.m2 / self.count if self.count else math.nan

    @property
    def std(self) -> float:
        """Population standard deviation; NaN without values."""
        return math.sqrt(self.variance) if self.count else math.nan

    @property
    def skewness(self) -> float:
        """Third standardised moment; 0 for a constant, NaN without values."""
        variance = self.variance
        return self._standardised(self.m3, variance * math.sqrt(variance) if self.count else 0.0, 0.0)

    @property
    def kurtosis(self) -> float:
        """Fourth standardised moment, 3 for a normal; NaN for a constant and without values."""
        return self._standardised(self.m4, self.variance * self.variance, math.nan)

    def _standardised(self, moment: float, scale: float, degenerate: float) -> float:
        if not self.count:
            return math.nan
        return moment / self.count / scale if scale > 0 and math.isfinite(scale) else degenerate

    def power_sums(self) -> tuple[float, float, float, float]:
        """Sums of x, x^2, x^3 and x^4 about zero: what stays the same when zeros are left out."""
        n, c = self.count, self.mean
        return (
            n * c,
            self.m2 + n * c * c,
            self.m3 + 3 * c * self.m2 + n * c * c * c,
            self.m4 + 4 * c * self.m3 + 6 * c * c * self.m2 + n * c * c * c * c,
        )


class PowerSums:
    """Sums of powers about zero, for chunks whose mean is small against their spread."""

    def __init__(self) -> None:
        self.first = self.second = self.third = self.fourth = 0.0
        self.count = self.zeros = self.subnormal = 0
        self.low, self.high = math.inf, -math.inf

    @property
    def reach(self) -> float:
        """Magnitude below which a value is neither the smallest nor the largest."""
        return min(-self.low, self.high)

    def add(self, count: int, powers: tuple[float, float, float, float], zeros: int, subnormal: int) -> None:
        """Take in one chunk: its sums of x, x^2, x^3 and x^4, and how many values are zero or subnormal."""
        first, second, third, fourth = powers
        self.first += first
        self.second += second
        self.third += third
        self.fourth += fourth
        self.count += count
        self.zeros += zeros
        self.subnormal += subnormal

    def widen(self, low: float, high: float) -> None:
        """Take in the extremes of a chunk."""
        self.low, self.high = min(self.low, low), max(self.high, high)

    def moments(self) -> Moments:
        """Their moments."""
        if self.count == 0:
            return Moments()
        mean, m2, m3, m4 = self.low, 0.0, 0.0, 0.0
        if self.low < self.high:
            mean, m2, m3, m4 = _centre(self.count, self.first, self.second, self.third, self.fourth)
        return Moments(
            count=self.count, mean=mean, m2=m2, m3=m3, m4=m4, minimum=self.low, maximum=self.high,
            zeros=self.zeros, subnormal=self.subnormal,
        )  # fmt: skip


def _near_zero(flat: np.ndarray, low: float, high: float, smallest: float) -> tuple[int, int]:
    """How many values are zero, and how many are subnormal."""
    if low > 0 or high < 0:
        nearest = low if low > 0 else -high
        if nearest >= smallest:
            return 0, 0
    size = np.abs(flat)
    if float(size.min()) >= smallest > 0:
        return 0, 0
    zeros = int(np.count_nonzero(size == 0))
    if not smallest:
        return zeros, 0
    return zeros, int(np.count_nonzero(size < smallest)) - zeros


def _central_sums(flat: np.ndarray) -> tuple[float, float, float, float]:
    """Mean and central sums of orders two to four, by dot products in the precision of `flat`."""
    n = flat.size
    first, second = float(flat.sum()), float(np.dot(flat, flat))
    pivot = 0.0
    if first * first > PIVOT_SHARE * n * second:
        pivot = float(flat.dtype.type(first / n))
        flat = flat - flat.dtype.type(pivot)
        first, second = float(flat.sum()), float(np.dot(flat, flat))
    square = flat * flat
    third, fourth = float(np.dot(square, flat)), float(np.dot(square, square))
    mean, m2, m3, m4 = _centre(n, first, second, third, fourth)
    return pivot + mean, m2, m3, m4


def _centre(n: int, first: float, second: float, third: float, fourth: float) -> tuple[float, float, float, float]:
    """Mean and central sums from sums of powers."""
    c = first / n
    m2 = max(second - n * c * c, 0.0)
    m3 = third - 3 * c * second + 2 * n * c * c * c
    m4 = max(fourth - 4 * c * third + 6 * c * c * second - 3 * n * c * c * c * c, 0.0)
    return c, m2, m3, m4
