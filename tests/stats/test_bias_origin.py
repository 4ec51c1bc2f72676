"""Where the values of a bias came from."""

from __future__ import annotations

import numpy as np
import pytest

from initaudit.kind import Kind
from initaudit.stats import WeightStats, weigh
from initaudit.stats.bias_origin import origin_of_bias, shared_law
from initaudit.stats.facts import LayerFacts
from initaudit.stats.verdicts import Provenance

RNG = np.random.default_rng(0)
FACTS = LayerFacts(kind=Kind.LINEAR, shape=(128, 64), fan_in=64, fan_out=128)


def weighed(values: object) -> WeightStats:
    """The statistics of a bias."""
    return weigh(np.asarray(values, np.float32), unit_axes=(0,), input_axes=())


@pytest.mark.parametrize(
    ("values", "origin"),
    [
        (np.zeros(10), "constant"),
        (np.full(10, -4.595), "constant"),
        ([0.0], "constant"),
        ([0.3], "open"),
        (RNG.uniform(-0.125, 0.125, 128), "drawn"),
        (RNG.uniform(-0.125, 0.125, 128).astype(np.float16), "drawn"),
        (RNG.normal(0, 0.02, 128), "open"),
        (RNG.exponential(3e-4, 128), "moved"),
        (RNG.uniform(-0.125, 0.125, 128) + RNG.normal(0.1, 0.05, 128), "moved"),
        ([np.nan, 1.0], "open"),
    ],
)
def test_a_bias_is_told_by_its_values(values: object, origin: str) -> None:
    """Torch draws U(+-1/sqrt(64)) here; a published law of another scale leaves it open; no law is left by training."""
    assert origin_of_bias(weighed(values), FACTS) == origin


def test_a_bias_drawn_like_its_weights_is_drawn() -> None:
    """Some authors draw all parameters by one law."""
    law = Provenance(
        law="normal_0.02", distribution="normal", std=0.02, gain=1.0, p_value=0.5, untrained=True, confidence="high", why=""
    )  # fmt: skip

    assert origin_of_bias(weighed(RNG.normal(0, 0.02, 128)), FACTS, law) == "drawn"


def test_weight_decay_narrows_the_law_of_a_bias_as_that_of_its_weights() -> None:
    """Without a gradient, both shrink by one factor."""
    decayed = weighed(0.6 * RNG.uniform(-0.125, 0.125, 128))

    assert origin_of_bias(decayed, FACTS, decay=0.6) == "drawn"
    assert origin_of_bias(decayed, FACTS) != "drawn"


def test_the_biases_of_a_cell_may_have_the_law_of_its_width() -> None:
    """U(+-1/sqrt(hidden_size)) for torch's recurrent layers, whatever enters them."""
    facts = LayerFacts(kind=Kind.LSTM, shape=(16, 64), fan_in=64, fan_out=16, hidden_size=16)

    assert origin_of_bias(weighed(RNG.uniform(-0.25, 0.25, 128)), facts) == "drawn"


def test_one_law_may_explain_all_biases() -> None:
    """A published one, where the values are many; one of the author's own, the same for all or by the fan in."""
    fans = [16.0, 64.0, 256.0]

    def law(stds: list[float], draw: object = RNG.normal) -> str | None:
        return shared_law([weighed(RNG.normal(0, std, 128)) for std in stds], fans)

    assert law([0.02] * 3) == "published"
    assert law([0.37] * 3) == "own"
    assert law([0.37 / fan**0.5 for fan in fans]) == "own"
    assert law([0.03, 0.3, 3.0]) is None
    assert shared_law([weighed(RNG.normal(0, 0.37, 8))] * 3, fans) is None
