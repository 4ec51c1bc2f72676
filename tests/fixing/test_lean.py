"""What a fix holds and reads is bounded by a weight, not by the model."""

from __future__ import annotations

import numpy as np
import pytest

from initaudit.fixing.lazily import Lazily
from initaudit.redrawing.spread import BLOCK, spread


@pytest.mark.parametrize("size", [1, 7, BLOCK, BLOCK + 3])
def test_mean_and_spread_are_those_of_the_whole(size: int) -> None:
    """However many blocks they are added up from, and far from zero too."""
    values = np.random.default_rng(0).normal(1e3, 1e-2, size)

    assert spread(values) == pytest.approx((values.mean(), values.std()), rel=1e-9, abs=1e-12)


def test_values_are_read_when_they_are_asked_for_and_not_before() -> None:
    """One after the other, so that none needs be held."""
    read: list[str] = []
    values = Lazily({name: lambda name=name: read.append(name) or np.zeros(1) for name in "ab"})

    assert (list(values), len(values), values.get("c"), read) == (["a", "b"], 2, None, [])
    assert values["b"].size == 1
    assert read == ["b"]
