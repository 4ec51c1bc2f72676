"""Moments are those of exact arithmetic, whatever the order of merging."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from initaudit.stats.moments import Moments


def exact(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation by exactly rounded sums."""
    wide = values.astype(np.float64)
    mean = math.fsum(wide) / wide.size
    return mean, math.sqrt(math.fsum((wide - mean) ** 2) / wide.size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mean", [0.0, 1.0, 1e4, -1e6])
def test_a_large_mean_does_not_drown_a_small_deviation(dtype: type, mean: float) -> None:
    """Mean 10^6 with deviation 1 keeps the deviation to 1e-5, merged from unequal chunks."""
    values = (np.random.default_rng(0).standard_normal(300_001) + mean).astype(dtype)

    merged = sum((Moments.of(part) for part in np.array_split(values, 7)), Moments())

    want_mean, want_std = exact(values)
    assert merged.mean == pytest.approx(want_mean, rel=1e-7, abs=1e-7)
    assert merged.std == pytest.approx(want_std, rel=1e-5)
    assert merged.count == values.size


def test_orders_three_and_four_match_the_definition() -> None:
    """Skewness and kurtosis of an asymmetric sample, merged from 11 chunks, equal the central moments of the whole."""
    values = np.random.default_rng(0).gamma(2.0, size=100_000)
    centred = values - values.mean()

    merged = sum((Moments.of(part) for part in np.array_split(values, 11)), Moments())

    assert merged.skewness == pytest.approx((centred**3).mean() / values.std() ** 3, rel=1e-10)
    assert merged.kurtosis == pytest.approx((centred**4).mean() / values.var() ** 2, rel=1e-10)
    assert Moments.of(values.astype(np.float32)).kurtosis == pytest.approx(merged.kurtosis, rel=1e-4)


@given(arrays(np.float64, st.integers(0, 60), elements=st.floats(-100, 100, allow_subnormal=False)), st.integers(0, 60))
def test_merging_is_the_moments_of_the_union(values: np.ndarray, cut: int) -> None:
    """Splitting anywhere changes nothing, empty parts included."""
    whole = Moments.of(values)

    merged = Moments.of(values[:cut]) + Moments.of(values[cut:])

    assert (merged.count, merged.zeros, merged.minimum, merged.maximum) == (
        whole.count, whole.zeros, whole.minimum, whole.maximum,
    )  # fmt: skip
    assert merged.mean == pytest.approx(whole.mean, abs=1e-12)
    assert merged.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-9)
    assert merged.m4 == pytest.approx(whole.m4, rel=1e-9, abs=1e-6)


def test_zeros_subnormals_and_what_is_not_finite_are_counted_apart() -> None:
    """NaN and infinities do not touch the moments; -0 is a zero, 1e-40 a subnormal float32."""
    values = np.array([0.0, -0.0, 1e-40, -1e-40, 1e-38, 2.0, np.nan, np.inf, -np.inf], np.float32)

    found = Moments.of(values, 2.0**-126)

    assert (found.count, found.nonfinite, found.zeros, found.subnormal) == (6, 3, 2, 3)
    assert found.maximum == 2.0
    assert found.mean == pytest.approx(2.0 / 6)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_extreme_scales_neither_overflow_nor_vanish(scale: float) -> None:
    """A float32 tensor at 1e30 or 1e-30 has the standard deviation and kurtosis of its values."""
    values = (np.random.default_rng(0).standard_normal(50_000) * scale).astype(np.float32)

    found = Moments.of(values)

    assert found.std / scale == pytest.approx(1.0, rel=0.02)
    assert found.kurtosis == pytest.approx(3.0, abs=0.15)


def test_constants_and_nothing_are_degenerate_not_wrong() -> None:
    """A constant has deviation exactly 0 and no kurtosis; an empty set has no mean."""
    constant, empty = Moments.of(np.full(1000, 0.1, np.float32)), Moments.of(np.empty(0, np.float32))

    assert constant.std == 0.0
    assert math.isnan(constant.kurtosis)
    assert constant.mean == pytest.approx(0.1)
    assert math.isnan(empty.std)


def test_power_sums_return_to_zero_as_origin() -> None:
    """Sums of powers about zero follow from the central ones."""
    values = np.array([1.0, 2.0, 3.0, 5.0])

    sums = Moments.of(values).power_sums()

    assert sums == pytest.approx((11.0, 39.0, 161.0, 723.0))
