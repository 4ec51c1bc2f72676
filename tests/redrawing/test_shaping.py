"""Where an activation keeps inputs apart: the mean and the spread of what enters it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from initaudit.activations.named import closed_form
from initaudit.redrawing.shaping import BUDGET, SMALLEST_SPREAD, gate_shape, shape_at, shape_for

RELU_VARIANCE = 0.5 - 0.5 / math.pi
"""Var[max(z, 0)] for z ~ N(0, 1)."""


def phi(name: str):
    """The activation of this name."""
    function = closed_form(name, {})
    assert function is not None
    return function


def test_chi_of_relu_is_that_of_its_closed_form() -> None:
    """E[phi'^2] = 1/2 and Var phi = 1/2 - 1/(2 pi)."""
    shape = shape_at(phi("relu"), 1.0, 0.0)

    assert shape.mean == pytest.approx(1.0 / math.sqrt(2.0 * math.pi), rel=1e-4)
    assert shape.variance == pytest.approx(RELU_VARIANCE, rel=1e-4)
    assert shape.chi == pytest.approx(0.5 / RELU_VARIANCE, rel=1e-3)


def test_chi_of_tanh_is_that_of_gauss_hermite_quadrature() -> None:
    """An odd function has mean 0, at any spread."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    weights /= weights.sum()
    spread = 0.5
    values = np.tanh(spread * nodes)
    slopes = 1.0 - values**2

    shape = shape_at(phi("tanh"), spread, 0.0)

    assert shape.mean == pytest.approx(0.0, abs=1e-9)
    assert shape.chi == pytest.approx(spread**2 * weights @ slopes**2 / (weights @ values**2), rel=1e-4)


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "elu", "softplus", "tanh", "sigmoid"])
@pytest.mark.parametrize("layers", [2, 10, 50])
def test_the_chain_stays_within_its_budget(name: str, layers: int) -> None:
    """However many layers follow each other, and differences are never lost: chi is at least 1 (Poincare)."""
    shape = shape_for(phi(name), layers)

    assert shape.chi >= 1.0 - 1e-6
    assert shape.chi**layers <= BUDGET * (1.0 + 1e-9)


def test_rectifiers_are_straightened_by_a_shift_and_sigmoids_by_shrinking() -> None:
    """A rectifier is straight far above its bend, tanh close to zero."""
    relu, tanh = (shape_for(phi(name), 50) for name in ("relu", "tanh"))

    assert relu.spread == 1.0
    assert relu.shift > 1.0
    assert tanh.shift == 0.0
    assert SMALLEST_SPREAD <= tanh.spread < 0.6


def test_without_a_bias_nothing_is_shifted() -> None:
    """ReLU is as bent at any scale, so that it stays where it was."""
    shape = shape_for(phi("relu"), 50, shifted=False)

    assert shape.shift == 0.0
    assert shape.chi == pytest.approx(0.5 / RELU_VARIANCE, rel=1e-3)


@pytest.mark.parametrize("name", ["sigmoid", "silu", "gelu", "relu", "tanh"])
def test_a_gate_is_nearly_constant(name: str) -> None:
    """What varies in it is less than a hundredth of its mean square, so that eight of them in a row keep 92 % of what they multiply."""
    shape = gate_shape(phi(name))

    assert shape.variance < 0.01 * shape.mean**2
