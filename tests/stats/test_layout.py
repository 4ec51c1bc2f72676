"""How a weight lies in memory: the same values in the order of the memory, with the role of each axis kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from initaudit.stats.layout import Layout, lay_out

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def energies(layout: Layout, role: str) -> np.ndarray:
    """Sum of squares for each index of the axes of one role, smallest first."""
    others = tuple(a for a, r in enumerate(layout.roles) if r != role)
    return np.sort(np.square(layout.view).sum(axis=others).reshape(-1))


@st.composite
def weights(draw: st.DrawFn) -> tuple[np.ndarray, list[int], list[int]]:
    """An array with its axes in any order in memory, and which of them count units and inputs."""
    shape = draw(SHAPES)
    order = draw(st.permutations(range(len(shape))))
    stored = np.random.default_rng(0).normal(size=[shape[a] for a in order])
    roles = draw(st.lists(st.sampled_from("uic"), min_size=len(shape), max_size=len(shape)))
    array = stored.transpose(np.argsort(order))
    return array, [a for a, r in enumerate(roles) if r == "u"], [a for a, r in enumerate(roles) if r == "i"]


@given(weights())
def test_the_view_has_the_same_values_for_each_unit_and_each_input(
    made: tuple[np.ndarray, list[int], list[int]],
) -> None:
    """Merging and ordering axes changes no sum over the others, and the counts are those of the named axes."""
    array, units, inputs = made
    copies = [a for a in range(array.ndim) if a not in (*units, *inputs)]

    layout = lay_out(array, units, inputs, 1)

    assert layout.units == math.prod(array.shape[a] for a in units)
    assert layout.inputs == math.prod(array.shape[a] for a in inputs)
    assert layout.copies == math.prod(array.shape[a] for a in copies)
    assert layout.rows == layout.units * layout.copies
    for role, axes in (("unit", units), ("input", inputs), ("copy", copies)):
        expected = np.square(array).sum(axis=tuple(a for a in range(array.ndim) if a not in axes)).reshape(-1)
        assert energies(layout, role) == pytest.approx(np.sort(expected))


@given(weights())
def test_the_view_runs_through_the_memory_in_order(made: tuple[np.ndarray, list[int], list[int]]) -> None:
    """Strides fall from axis to axis, and neighbours of one role are one axis wherever that needs no copy."""
    array, units, inputs = made

    view, roles = (layout := lay_out(array, units, inputs, 1)).view, layout.roles

    assert list(view.strides) == sorted(view.strides, reverse=True)
    assert np.shares_memory(view, array)
    assert all(n > 1 for n in view.shape) or view.shape == (1,)
    for i in range(view.ndim - 1):
        assert roles[i] != roles[i + 1] or view.strides[i] != view.shape[i + 1] * view.strides[i + 1]


@given(weights())
def test_the_canonical_order_is_copies_units_inputs(made: tuple[np.ndarray, list[int], list[int]]) -> None:
    """As many axes of each as were named."""
    array, units, inputs = made
    copies = [a for a in range(array.ndim) if a not in (*units, *inputs)]

    layout = lay_out(array, units, inputs, 1)

    np.testing.assert_array_equal(layout.canonical, array.transpose([*copies, *units, *inputs]))
    assert (layout.copy_rank, layout.unit_rank) == (len(copies), len(units))


def test_a_matrix_in_order_is_two_axes_and_a_transposed_one_too() -> None:
    """The larger stride comes first, whichever role it has."""
    stored = np.zeros((3, 5))

    assert lay_out(stored, (0,), None, 1).roles == ("unit", "input")
    assert lay_out(stored.T, (0,), None, 1).roles == ("input", "unit")
    assert lay_out(stored.T, (0,), None, 1).view.shape == (3, 5)


def test_without_named_inputs_all_other_axes_are_inputs() -> None:
    """The kernel of a convolution is summed over with its channels: one axis in memory."""
    layout = lay_out(np.zeros((8, 4, 3, 3)), (0,), None, 1)

    assert (layout.units, layout.inputs, layout.copies) == (8, 36, 1)
    assert layout.view.shape == (8, 36)


@pytest.mark.parametrize(("groups", "copies", "units"), [(1, 1, 8), (2, 2, 4), (8, 8, 1), (3, 1, 8)])
def test_groups_are_independent_copies(groups: int, copies: int, units: int) -> None:
    """The first axis is ordered by group; a number that does not divide it divides nothing."""
    layout = lay_out(np.zeros((8, 4, 3, 3)), (0,), None, groups)

    assert (layout.copies, layout.units, layout.rows) == (copies, units, 8)
    assert layout.inputs == 36


def test_axes_that_are_not_there_are_ignored() -> None:
    """A vector has one axis, whatever is asked for; a number is one unit."""
    vector = lay_out(np.zeros(6), (0, 2), (1, 3), 1)
    scalar = lay_out(np.array(2.0), (0,), None, 4)

    assert (vector.units, vector.inputs, vector.copies) == (6, 1, 1)
    assert (scalar.units, scalar.inputs, scalar.view.shape) == (1, 1, (1,))


def test_one_copy_is_the_weight_of_one_expert() -> None:
    """With the roles of the axes that are left."""
    experts = np.random.default_rng(0).normal(size=(3, 4, 5))

    one = lay_out(experts, (2,), (1,), 1).copy(1)

    np.testing.assert_array_equal(one.view, experts[1])
    assert (one.roles, one.copies, one.units, one.inputs) == (("input", "unit"), 1, 5, 4)


@given(weights())
def test_places_lead_from_the_canonical_order_to_the_view(made: tuple[np.ndarray, list[int], list[int]]) -> None:
    """A step along an axis of the one is so many steps along an axis of the other."""
    array, units, inputs = made
    layout = lay_out(array, units, inputs, 1)

    for index, value in np.ndenumerate(layout.canonical):
        there = [0] * layout.view.ndim
        for i, (axis, step) in zip(index, layout.places, strict=True):
            there[axis] += i * step
        assert layout.view[tuple(there)] == value
