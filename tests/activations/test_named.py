"""The closed forms, and reading name and parameters off the values of an unknown function."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initaudit.activations.formulas import erf
from initaudit.activations.named import ACTIVATIONS, closed_form, identify, is_affine

Z = np.linspace(-5, 5, 201)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_is_recognised_by_its_values(name: str) -> None:
    """No two entries have the same values at their default parameters, except where the operator decides (PReLU, CELU)."""
    function = closed_form(name)
    assert function is not None

    found = identify(function, ACTIVATIONS[name].operators)

    assert found is not None
    assert found[0] == name
    assert closed_form(*found)(Z) == pytest.approx(function(Z), abs=1e-4)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "parameter", "low", "high"),
    [
        ("leaky_relu", "negative_slope", 0.02, 0.9),
        ("elu", "alpha", 0.1, 0.9),
        ("silu", "beta", 1.8, 5.0),
        ("softplus", "beta", 1.5, 5.0),
        ("hardtanh", "max_val", 1.5, 5.0),
        ("softshrink", "lambd", 0.6, 3.0),
        ("hardshrink", "lambd", 0.6, 3.0),
        ("hardsigmoid", "alpha", 0.2, 0.4),
    ],
)
@settings(max_examples=15, deadline=None)
@given(share=st.floats(0, 1))
def test_parameters_are_read_off(name: str, parameter: str, low: float, high: float, share: float) -> None:
    """Whatever the parameter, it comes back to five digits."""
    value = low + share * (high - low)
    function = closed_form(name, {parameter: value})
    assert function is not None

    found = identify(function)

    assert found is not None
    assert found[0] == name
    assert found[1] == {parameter: pytest.approx(value, rel=1e-5)}


@given(slope=st.floats(-50, 50), shift=st.floats(-50, 50))
def test_a_straight_line_is_no_activation(slope: float, shift: float) -> None:
    """Scale and shift are affine; so is a constant."""
    assert is_affine(lambda z: slope * z + shift)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_bend(name: str) -> None:
    """No named activation is a straight line."""
    function = closed_form(name)
    assert function is not None

    assert not is_affine(function)


def test_error_function() -> None:
    """It agrees with the C library's, elementwise and in any shape."""
    z = np.array([[-3.0, -0.1], [0.0, 2.5]])

    assert erf(z) == pytest.approx(np.array([[math.erf(v) for v in row] for row in z]), abs=1e-15)


def test_a_function_that_is_not_a_number_has_no_name() -> None:
    """The logarithm is undefined on half of the grid."""
    assert identify(np.log) is None
