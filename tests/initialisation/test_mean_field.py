"""Mean-field theory: closed forms of the maps that wide random layers make."""

from __future__ import annotations

import math

import numpy as np
import pytest

from initaudit.activations.named import closed_form
from initaudit.initialisation.mean_field import Signal, contrast_behind, passage

RELU = closed_form("relu", {})


@pytest.mark.parametrize("contrast", [1.0, 0.3, 0.03])
def test_relu_brings_inputs_closer_by_the_arc_cosine_kernel(contrast):
    """E[relu(u) relu(v)] = (sin t + (pi - t) cos t) / 2 pi with cos t the correlation (Cho & Saul 2009, eq. 6)."""
    angle = math.acos(1 - contrast)
    expected = 1 - (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi

    assert contrast_behind(RELU, 2.0, contrast) == pytest.approx(expected, rel=0.02)


def test_relu_forgets_by_a_power_of_the_depth():
    """1 - c approaches 9 pi^2 / 2 l^2 (from the arc-cosine kernel's expansion, 2 sqrt 2 / 3 pi times (1 - c)^(3/2) a layer)."""
    signal = Signal()
    for _ in range(150):
        signal = passage(signal, 2.0, RELU).behind

    assert signal.contrast == pytest.approx(9 * math.pi**2 / (2 * 150**2), rel=0.2)


def test_without_an_activation_nothing_but_the_size_changes():
    """A linear layer keeps angles; of a normal gradient the square has a variance of twice its squared mean."""
    through = passage(Signal(second_moment=3.0, contrast=0.2), 0.5, None)

    assert through.behind == Signal(second_moment=1.5, contrast=0.2)
    assert (through.chi, through.scatter) == (0.5, 2.0)


def test_he_is_critical_for_relu_and_scatters_by_five_over_the_width():
    """chi is 1 at a^2 = 2, and the logarithm of the squared gradient has the variance 5 / n a layer (Hanin & Nica 2020, theorem 1)."""
    through = passage(Signal(), 2.0, RELU)

    assert through.behind.second_moment == pytest.approx(1.0, rel=1e-3)
    assert through.chi == pytest.approx(1.0, rel=1e-3)
    assert through.scatter == pytest.approx(5.0, rel=1e-2)


def test_a_small_difference_grows_by_chi():
    """chi is the slope of the map of contrasts at 0, times what the layer keeps of the size (Schoenholz et al. 2017, eq. 5)."""
    tanh = closed_form("tanh", {})
    contrast = 1e-8

    through = passage(Signal(second_moment=1.0, contrast=contrast), 1.5**2, tanh)

    grown = through.behind.contrast * through.behind.second_moment / contrast
    assert grown == pytest.approx(through.chi, rel=1e-3)


def test_a_constant_function_tells_no_inputs_apart():
    """Whatever arrives, the same leaves, and no gradient comes back."""
    through = passage(Signal(), 1.0, np.ones_like)

    assert through.behind.contrast == 0.0
    assert (through.chi, through.scatter) == (0.0, 0.0)
