"""A large weight is read in ranges: whoever reads which of them finds the same figures to the last bit."""

from __future__ import annotations

import math
import pickle
from dataclasses import fields
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from initaudit.stats import plan as plan_module
from initaudit.stats import walk, weigh
from initaudit.stats.layout import lay_out
from initaudit.stats.plan import cuts, merged, plan, scan_range
from initaudit.stats.weigh import WeightStats, weigh_scanned

RNG = np.random.default_rng(5)
MATRIX = RNG.standard_normal((1500, 300)) * 0.02
KERNELS = RNG.standard_normal((300, 64, 3, 3)) * 0.02
EXPERTS = RNG.standard_normal((6, 200, 150)) * 0.02
CODES = RNG.integers(-8, 8, (1000, 400))

WEIGHTS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "float32": (MATRIX.astype(np.float32), {}),
    "float32 by inputs": (MATRIX.astype(np.float32), {"unit_axes": (1,)}),
    "bfloat16": (MATRIX.astype(ml_dtypes.bfloat16), {"unit_axes": (1,)}),
    "float16": (MATRIX.astype(np.float16), {}),
    "not finite": (np.where(RNG.random(MATRIX.shape) < 1e-5, np.nan, MATRIX).astype(np.float32), {}),
    "convolution": (KERNELS.astype(np.float32), {}),
    "transposed convolution": (KERNELS.astype(np.float32), {"unit_axes": (1,), "input_axes": (0, 2, 3), "groups": 6}),
    "experts": (EXPERTS.astype(np.float32), {"unit_axes": (2,), "input_axes": (1,)}),
    "packed": (MATRIX.astype(np.float32)[:, 100:200], {}),
    "quantised": (CODES.astype(ml_dtypes.int4), {}),
    "vector": (MATRIX.astype(np.float32).reshape(-1), {}),
}


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges and spans of a size that small weights have many of."""
    monkeypatch.setattr(walk, "SPAN", 1 << 13)
    monkeypatch.setattr(plan_module, "RANGE", 1 << 16)


def same(a: WeightStats, b: WeightStats) -> bool:
    """Whether two are equal to the last bit, arrays included."""
    return all(pickle.dumps(getattr(a, f.name)) == pickle.dumps(getattr(b, f.name)) for f in fields(a))


@pytest.mark.parametrize("name", WEIGHTS)
def test_any_number_of_readers_finds_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reads its ranges, in another order than theirs, and sends what it found."""
    shorten(monkeypatch)
    array, options = WEIGHTS[name]
    alone = weigh(array, **options)
    layout = lay_out(array, options.get("unit_axes", (0,)), options.get("input_axes"), options.get("groups", 1))
    reading = plan(layout, 0)
    ranges = list(reading.ranges())

    for readers in (2, 4, 7):
        found = {}
        for reader in reversed(range(readers)):
            for number in range(reader, len(ranges), readers):
                found[number] = pickle.loads(pickle.dumps(scan_range(layout.view, ranges[number])))
        together = weigh_scanned(reading, merged([found[i] for i in range(len(ranges))]))

        assert same(together, alone)
    assert len(ranges) > 2


@pytest.mark.parametrize("name", WEIGHTS)
def test_cuts_change_nothing_but_the_rounding_of_sums(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one range or in many: counts, extremes, samples and what follows from them are equal, sums nearly so."""
    array, options = WEIGHTS[name]
    whole = weigh(array, **options)
    shorten(monkeypatch)

    cut = weigh(array, **options)

    for exactly in (
        "count",
        "min",
        "max",
        "zeros",
        "nonfinite",
        "subnormal",
        "histogram",
        "duplicate_units",
        "centred_units",
    ):
        assert getattr(cut, exactly) == getattr(whole, exactly)
    np.testing.assert_array_equal(cut.block, whole.block)
    np.testing.assert_allclose(cut.unit_energy, whole.unit_energy, rtol=1e-6)
    np.testing.assert_allclose(cut.input_energy, whole.input_energy, rtol=1e-6)
    for nearly in ("mean", "std", "skewness", "kurtosis", "spectral_norm", "stable_rank", "spectrum_error"):
        if (expected := getattr(whole, nearly)) is not None:
            assert getattr(cut, nearly) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("shape", [(1,), (10**12,), (7, 10**9), (10**9, 7), (128_256, 4096), (3, 5, 7)])
def test_cuts_cover_every_row_once(shape: tuple[int, ...]) -> None:
    """And no range is much longer than it may be, unless one row is; nor are there more than that asks for."""
    ranges = list(cuts(shape))

    assert [part.start for part in ranges] == [0, *(part.stop for part in ranges[:-1])]
    assert ranges[-1].stop == shape[0]
    assert len(ranges) <= -(-math.prod(shape) // plan_module.RANGE)
    row = np.prod(shape[1:], dtype=float)
    assert all((part.stop - part.start) * row <= max(plan_module.RANGE + walk.SPAN, row) for part in ranges)
