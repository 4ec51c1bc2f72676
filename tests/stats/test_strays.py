"""A handful of values far beyond all others tell nothing of where the others came from."""

from __future__ import annotations

import numpy as np
import pytest

from initaudit.kind import Kind
from initaudit.stats import WeightStats, weigh
from initaudit.stats.bias_origin import origin_of_bias
from initaudit.stats.facts import LayerFacts
from initaudit.stats.provenance import recognise
from initaudit.stats.strays import is_constant, settled, without_strays

FACTS = LayerFacts(kind=Kind.LINEAR, shape=(96, 128), fan_in=128, fan_out=96)


def weighed(values: np.ndarray) -> WeightStats:
    """The statistics of a weight, or of a bias."""
    return weigh(np.asarray(values, np.float32), unit_axes=(0,), input_axes=(1,) if np.ndim(values) > 1 else ())


def planted(values: np.ndarray, wild: float, *places: int) -> np.ndarray:
    """The values, with this one at some flat places."""
    changed = np.array(values, np.float32)
    changed.reshape(-1)[list(places)] = wild
    return changed


@pytest.mark.parametrize(
    ("values", "origin"),
    [
        (planted(np.zeros(40), 1e4, 3), "constant"),
        (planted(np.zeros(40), -1e4, 3), "constant"),
        (planted(np.full(40, 0.01), 1e4, 3), "constant"),
        (planted(np.random.default_rng(0).uniform(-1, 1, 96) / 128**0.5, 1e4, 3), "drawn"),
        (planted(np.random.default_rng(0).exponential(3e-4, 128), 1e4, 3), "moved"),
        (planted(np.zeros(6), 1e4, 3), "moved"),
        (planted(np.zeros(40), 1e4, *range(6)), "moved"),
    ],
)
def test_a_stray_in_a_bias_is_no_training(values: np.ndarray, origin: str) -> None:
    """The others say whether the bias was trained; of few, or where many differ, all count."""
    assert origin_of_bias(weighed(values), FACTS) == origin


@pytest.mark.parametrize("wild", [1.5, 1e4, -1e30])
@pytest.mark.parametrize("shape", [(96, 128), (600, 400)])
def test_drawn_weights_are_recognised_beside_a_stray(wild: float, shape: tuple[int, int]) -> None:
    """By law and std, also where the sample of a large weight has missed the stray."""
    facts = LayerFacts(kind=Kind.LINEAR, shape=shape, fan_in=shape[1], fan_out=shape[0])
    weights = planted(np.random.default_rng(0).normal(0, (2 / shape[1]) ** 0.5, shape), wild, 7)

    found = recognise(weighed(weights), facts)

    assert (found.law, found.untrained) == ("he_normal", True)
    assert found.std == pytest.approx((2 / shape[1]) ** 0.5)
    assert "left out" in found.why


def test_heavy_tails_are_no_strays() -> None:
    """Training leaves many large values, and what is beside them is no draw."""
    weights = np.random.default_rng(0).standard_t(2, (96, 128)) / 16
    stats = weighed(weights)

    assert without_strays(stats) is stats
    assert recognise(stats, FACTS).untrained is False


def test_values_without_strays_stay_as_they_are() -> None:
    """A normal law has none."""
    stats = weighed(np.random.default_rng(0).normal(0, 1, 512))

    assert settled(stats) is stats.sample
    assert not is_constant(stats)
    assert is_constant(weighed(np.ones(512)))


def test_nothing_varies_where_nothing_is_finite() -> None:
    """And where little is, that says whether it does."""
    assert is_constant(weighed(np.full(40, np.nan)))
    assert is_constant(weighed(np.array([np.nan, 0.5, 0.5])))
    assert not is_constant(weighed(np.array([np.inf, 0.5, 0.6])))
