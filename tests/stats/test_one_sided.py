"""The share of units that is on one side of zero by chance: closed forms and a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from initaudit.stats.one_sided import one_sided_share


@pytest.mark.parametrize("inputs", [1, 2, 5, 16])
def test_the_ends_and_the_middle_are_known(inputs):
    """Independent signs; n + 1 exchangeable values whose first is the largest (c = 1/2); one sign for all."""
    assert one_sided_share(0.0, inputs) == pytest.approx(0.5**inputs, abs=1e-7)
    assert one_sided_share(0.5, inputs) == pytest.approx(1 / (inputs + 1), abs=1e-7)
    assert one_sided_share(1.0, inputs) == pytest.approx(0.5, abs=1e-7)


@pytest.mark.parametrize("similarity", [0.01, 0.2, 0.49, 0.51, 0.9, 0.987, 1 - 1e-9])
def test_two_and_three_inputs_follow_the_arcsine_law(similarity):
    """Orthant probabilities of a normal law in two and three dimensions (Sheppard 1899)."""
    angle = math.asin(similarity) / math.pi

    assert one_sided_share(similarity, 2) == pytest.approx(1 / 4 + angle / 2, abs=1e-7)
    assert one_sided_share(similarity, 3) == pytest.approx(1 / 8 + 3 * angle / 4, abs=1e-7)


@pytest.mark.parametrize(("similarity", "inputs"), [(0.3, 4), (0.9, 8), (0.987, 8), (0.987, 16)])
def test_random_units_agree(similarity, inputs):
    """Weights drawn around zero, inputs that are alike: the units that are negative for all of them are counted."""
    rng = np.random.default_rng(0)
    units, features = 20_000, 200
    shared, own = rng.standard_normal((1, features)), rng.standard_normal((inputs, features))
    entered = math.sqrt(similarity) * shared + math.sqrt(1 - similarity) * own
    weights = rng.standard_normal((features, units))

    negative = float((entered @ weights < 0).all(axis=0).mean())

    assert negative == pytest.approx(one_sided_share(similarity, inputs), abs=0.02)
