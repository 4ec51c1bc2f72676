"""The picture of signal and gradient through depth, as geometry."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initaudit.formats.page.picture import LINES, picture

POSITIVE = st.floats(min_value=1e-300, max_value=1e300)
MEASURED = st.one_of(POSITIVE, st.just(0.0), st.none(), st.just(math.nan), st.just("NaN"))


def drawn(variance, gradient=None, severities=None, lost=None):
    """The picture of these values."""
    count = len(variance)
    quantities = {"variance": variance, "gradientTotal": gradient or [None] * count}
    return picture(quantities, severities or [None] * count, lost)


@given(st.lists(MEASURED, min_size=1, max_size=80))
def test_every_point_lies_inside_the_frame(values):
    """No point touches an axis or the border, however far apart the values are, and each measured layer has one."""
    found = drawn(values)

    measured = [value for value in values if isinstance(value, float) and math.isfinite(value) and value > 0]
    if len(measured) < 2:
        assert found is None
    else:
        points = [point for run in found["lines"][0]["runs"] for point in run]
        assert len(points) == len(measured)
        assert all(found["left"] < x < found["right"] and found["top"] < y < found["bottom"] for x, y in points)


def test_a_factor_is_a_distance():
    """The axis is logarithmic: equal factors are equal distances, and more is higher."""
    (line,) = drawn([1.0, 1e-3, 1e-6])["lines"]

    ((_, one), (_, thousandth), (_, millionth)) = line["runs"][0]
    assert thousandth - one == pytest.approx(millionth - thousandth)
    assert one < thousandth


def test_a_line_runs_over_what_is_not_measured_and_breaks_at_zero():
    """A norm has no signal of its own; a zero has no place on the axis, and gets a mark at its foot."""
    (line,) = drawn([1.0, None, 1.0, 0.0, 1.0])["lines"]

    assert [len(run) for run in line["runs"]] == [2, 1]
    assert len(line["zeros"]) == 1


def test_the_level_of_a_healthy_signal_is_always_in_the_picture():
    """However far from 1 all values are, the line at 1 says how far."""
    for values in ([1e-9, 1e-8], [1e8, 1e9], [1.0, 1.0]):
        found = drawn(values)
        assert found["top"] < found["healthy"] < found["bottom"]


def test_marks_stand_at_their_layers():
    """The layer that loses the signal, and those with an error or a warning, not those with a note."""
    found = drawn([1.0, 1e-3, 1e-6], severities=["info", "warning", "error"], lost=1)

    x = [point[0] for point in found["lines"][0]["runs"][0]]
    assert found["lost"]["x"] == x[1]
    assert [(mark["x"], mark["severity"]) for mark in found["found"]] == [(x[1], "warning"), (x[2], "error")]


@pytest.mark.parametrize("count", [2, 3, 11, 12, 23, 99, 100, 500, 4000])
def test_numbers_on_the_axis_name_both_ends_and_do_not_run_together(count):
    """The first and the last layer have their number, and at most a dozen others have."""
    columns = drawn([1.0] * count)["columns"]

    labels = [int(column["label"].replace(",", "")) for column in columns]
    gaps = [after["x"] - before["x"] for before, after in pairwise(columns)]
    assert labels[0] == 1
    assert labels[-1] == count
    assert labels == sorted(set(labels))
    assert len(labels) <= 14
    assert min(gaps) > 10


def test_gradient_is_drawn_beside_the_signal():
    """Each in its own line with its own words; one that is not measured has none."""
    both = drawn([1.0, 1.0], [1.0, 2.0])

    assert [line["name"] for line in both["lines"]] == list(LINES)
    assert [line["name"] for line in drawn([1.0, 1.0])["lines"]] == ["variance"]
