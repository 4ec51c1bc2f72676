"""Pace: what a start costs, against another start of the same network."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from initaudit.judgement.pace import (
    ANSWERS,
    CHAOS,
    GROWTH,
    LARGEST,
    SIZE,
    SUFFICES,
    factor_between,
    quantities,
    steps_of,
)
from tests.judgement.test_dynamics import layer, network

HEALTHY = network(*[layer(kernel=10.0, weight_square=10.0, count=1000) for _ in range(4)])


def test_a_start_is_as_good_as_itself() -> None:
    """The factor of two equal starts is 1."""
    assert factor_between(HEALTHY, HEALTHY) == 1.0


def test_the_quantities_are_logarithms_and_sizes() -> None:
    """A contrast kernel of 3 * 12 has to grow to 136 of the kind; the roughness is e; rms W = sqrt(40 / 1000) in each of the layers."""
    start = network(
        *[layer(kernel=24.0, contrast=0.5, weight_square=40.0, count=1000, reach=math.e)] * 3,
        answer_scale=5.0,
        answer_variance=1.0,
    )

    assert quantities(start) == pytest.approx((math.log(136 / 36), 1.0, 5.0, 0.2))


def test_the_size_of_weights_is_a_geometric_mean() -> None:
    """One layer with rms 10 and one with 0.1 are as large as two with 1; those of zeros are left out."""
    start = network(*[layer(weight_square=size, count=1000) for size in (1e5, 10.0, 0.0)])

    assert quantities(start)[-1] == pytest.approx(1.0)


def test_the_page_on_the_method_has_the_constants() -> None:
    """As they are in use."""
    page = Path(__file__).parents[2] / "docs" / "method.md"
    terms = f"{GROWTH:g} ln(1 + {SUFFICES:g} / contrast kernel) + {CHAOS:g} ln(roughness) + {ANSWERS:g} rms(answers) + {SIZE:g} rms(W)"

    assert f"    1 + {terms}\n" in page.read_text("utf-8")


@pytest.mark.parametrize(
    "worse",
    [
        network(*[layer(kernel=1e-2, weight_square=10.0, count=1000) for _ in range(4)]),
        replace(HEALTHY, answer_scale=100.0),
        network(*[layer(kernel=1e4, weight_square=1e4, count=1000) for _ in range(4)]),
        replace(HEALTHY, layers=(replace(HEALTHY.layers[0], reach=1e3), *HEALTHY.layers[1:])),
    ],
    ids=["little gradient", "large answers", "large weights", "chaos"],
)
def test_what_has_to_be_brought_out_of_a_start_costs_steps(worse) -> None:
    """Hardly any gradient, answers that must be unlearned, weights that take many steps to change, inputs alike with answers that are not."""
    factor = factor_between(worse, HEALTHY)

    assert factor > 1.5
    assert factor_between(HEALTHY, worse) == pytest.approx(1 / factor)


def test_small_gradients_cost_their_logarithm() -> None:
    """Weights grow exponentially: each further factor of a thousand that they have to make up for takes as many steps as the one before."""
    costs = [steps_of(network(*[layer(kernel=kernel) for _ in range(4)])) for kernel in (1e-6, 1e-9, 1e-12)]

    assert costs[2] - costs[1] == pytest.approx(costs[1] - costs[0], rel=1e-3)


def test_no_start_saves_what_learning_itself_takes() -> None:
    """Small weights with large gradients under small answers come close to a start that costs nothing."""
    eager = network(*[layer(kernel=1e6, weight_square=1e-6, count=1000) for _ in range(4)], answer_scale=0.0)

    assert steps_of(eager) == pytest.approx(1.0, abs=1e-3)


def test_the_prediction_ends() -> None:
    """Beyond what anybody trains there is one number."""
    lost = network(*[layer(kernel=1e-200, weight_square=10.0) for _ in range(4)])

    assert factor_between(lost, HEALTHY) == LARGEST
    assert factor_between(HEALTHY, lost) == 1 / LARGEST
