"""Synthetic images and sound have the spectra that theirs have in nature; small inputs and features are white."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

import initaudit
from initaudit.probe.inputs.natural import gaussian_field, slope_of
from tests.networks import model


def power(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in cycles per extent, and the mean power at each, along the last axis."""
    spectrum = np.abs(np.fft.rfft(field, axis=-1)) ** 2
    return np.arange(spectrum.shape[-1]), spectrum.reshape(-1, spectrum.shape[-1]).mean(axis=0)


@pytest.mark.parametrize(("shape", "axes"), [((64, 3, 48, 32), (2, 3)), ((64, 32, 40, 3), (1, 2)), ((400, 2048), (1,))])
@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_fields_are_standardised(shape, axes, slope):
    """Mean 0 and variance 1 over the ensemble, whatever the spectrum: He's and Xavier's targets are for unit variance."""
    field = gaussian_field(shape, axes, slope, np.random.default_rng(0))

    assert field.shape == shape
    assert abs(field.mean()) < 0.05
    assert field.var() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_the_power_of_a_signal_falls_with_twice_the_slope(slope):
    """Power |a|^2 as f^(-2 slope)."""
    frequency, mean = power(gaussian_field((2000, 256), (1,), slope, np.random.default_rng(1)))

    fitted = np.polyfit(np.log(frequency[1:100]), np.log(mean[1:100]), 1)[0]
    assert fitted == pytest.approx(-2 * slope, abs=0.05)


def test_neighbours_of_an_image_are_alike_and_samples_are_not():
    """Correlation of neighbouring pixels above one half, of two images near zero."""
    field = gaussian_field((50, 1, 64, 64), (2, 3), 1.0, np.random.default_rng(2))[:, 0]

    beside = np.corrcoef(field[:, :, :-1].ravel(), field[:, :, 1:].ravel())[0, 1]
    other = np.corrcoef(field[:-1].ravel(), field[1:].ravel())[0, 1]
    assert beside > 0.5
    assert abs(other) < 0.1


def test_only_what_is_large_enough_is_an_image_or_a_sound():
    """8 x 8 digits, 19 x 19 boards, 100 frames of features are none."""
    image = {0: "batch", 1: "channel", 2: "space", 3: "space"}

    assert slope_of((1, 3, 224, 224), image)[0] == (2, 3)
    assert slope_of((1, 1, 8, 8), image) is None
    assert slope_of((1, 17, 19, 19), image) is None
    assert slope_of((1, 1, 16000), {1: "channel", 2: "time"})[0] == (2,)
    assert slope_of((1, 100, 80), {1: "time"}) is None
    assert slope_of((1, 3, 224, 224), {}) is None


def pooled(size: int):
    """A convolution, and the mean over all positions: what a classifier sees of an image."""
    kernel = np.random.default_rng(0).normal(0, (2 / 27) ** 0.5, (16, 3, 3, 3)).astype(np.float32)
    head = np.random.default_rng(1).normal(0, 0.25, (16, 10)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["h"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h"], ["a"], "act"),
        helper.make_node("GlobalAveragePool", ["a"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("MatMul", ["f", "w"], ["y"], "head"),
    ]
    return model(nodes, {"x": ["N", 3, size, size]}, ["y"], {"k": kernel, "w": head})


def test_inputs_stay_different_behind_pooling():
    """White noise averages itself out over 64 x 64 positions, an image does not; the report says what was fed."""
    reports = {s: initaudit.audit(pooled(64), input_spectrum=s) for s in ("natural", "white")}

    head = {s: r.audit.layers[-1].signal for s, r in reports.items() if r.audit}
    assert 1 - head["natural"].similarity > 10 * (1 - head["white"].similarity)
    assert reports["natural"].audit.probe.inputs[0]["how"] == "N(0, 1), spectrum 1/f like images"
    assert reports["white"].audit.probe.inputs[0]["how"] == "N(0, 1)"


def test_a_spectrum_that_there_is_not_is_refused():
    """Pink is said differently."""
    with pytest.raises(initaudit.InitauditError, match="must be one of natural, white"):
        initaudit.audit(pooled(32), input_spectrum="pink")
