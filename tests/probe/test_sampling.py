"""Which elements of a value the forward probe looks at."""

from __future__ import annotations

import numpy as np
import pytest

from initaudit.probe.observed import Observed
from initaudit.probe.sampling import batch_axis, positions


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4, 4, 7), 0), ((7, 4, 3), 1), ((7, 4, 4), None), ((7, 3), None), ((), None)],
    ids=["first", "only", "two-others", "none", "scalar"],
)
def test_axis_that_counts_the_inputs(shape: tuple[int, ...], axis: int | None):
    """The first axis where it is as long as the batch, else the only one that is; of two others neither can be preferred."""
    assert batch_axis(shape, 4) == axis


def test_each_input_gives_the_same_elements():
    """Of a value [7, inputs, 3], each row of the sample looks at the same places of one input."""
    at = positions((7, 4, 3), rows=4, size=5, part=None, channel_axis=None, seed=0)

    place = np.array(np.unravel_index(at, (7, 4, 3)))
    assert at.shape == (4, 5)
    assert np.array_equal(place[1], np.repeat(np.arange(4)[:, None], 5, axis=1))
    assert (place[[0, 2]] == place[[0, 2], :1]).all()


def test_inputs_that_cannot_be_told_apart_count_as_one():
    """Of a value [7, 4, 4] from a run of four inputs, all elements are one row, and one input's share is not known."""
    shape = (7, 4, 4)
    value = Observed(shape=shape, dtype=np.dtype(np.float32), samples={}, squares=np.float64(8.0), rows=4)

    at = positions(shape, rows=4, size=1000, part=None, channel_axis=None, seed=0)

    assert np.array_equal(at, np.arange(112)[None])
    assert value.of_one_input() is value
