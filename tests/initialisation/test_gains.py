"""Gains and moments by quadrature, against closed forms and published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initaudit.activations.named import ACTIVATIONS, closed_form
from initaudit.extraction.extract import extract_layers
from initaudit.initialisation.gains import gain, moments, named_gain, saturation
from initaudit.initialisation.layer_gain import activation_of, gain_of
from initaudit.model.load import load_model

TABLE = {
    "relu": (1.4142, 1.4142),
    "relu6": (1.4142, 1.4142),
    "elu": (1.2452, 1.2234),
    "celu": (1.2452, 1.2234),
    "selu": (1.0000, 0.9660),
    "gelu": (1.5335, 1.4811),
    "gelu_tanh": (1.5336, 1.4811),
    "quick_gelu": (1.5395, 1.4915),
    "softplus": (1.0419, 1.8462),
    "silu": (1.6765, 1.6233),
    "mish": (1.4868, 1.4448),
    "hardswish": (1.7367, 1.6701),
    "tanh": (1.5925, 1.4674),
    "hardtanh": (1.3920, 1.2103),
    "softsign": (2.3375, 2.0958),
    "sin": (1.5209, 1.3273),
    "sigmoid": (1.8462, 4.7226),
}
"""Forward and backward gain for z ~ N(0, 1), from an integration on a fine grid in float64."""


def phi(name: str, **parameters: float):
    function = closed_form(name, parameters)
    assert function is not None
    return function


@pytest.mark.parametrize("name", TABLE)
def test_gains_agree_with_the_table(name: str) -> None:
    """To 1e-3 at most; the table has four decimals."""
    found = named_gain(name)

    assert found is not None
    assert (found.forward, found.backward) == pytest.approx(TABLE[name], abs=2e-4)


@settings(max_examples=30, deadline=None)
@given(slope=st.floats(0, 1))
def test_leaky_relu_has_hes_gain(slope: float) -> None:
    """sqrt(2 / (1 + a^2)), forward and backward alike (He et al. 2015, eq. 15)."""
    found = gain(phi("leaky_relu", negative_slope=slope))

    assert found.forward == pytest.approx(math.sqrt(2 / (1 + slope**2)), rel=1e-5)
    assert found.backward == pytest.approx(found.forward, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(mean=st.floats(-3, 3), log_variance=st.floats(-3, 3))
def test_moments_of_a_rectified_normal(mean: float, log_variance: float) -> None:
    """Closed forms of E[relu], E[relu^2] and P(z > 0) for any normal, the kink anywhere in a cell."""
    variance = 10**log_variance
    deviation = math.sqrt(variance)
    density = math.exp(-0.5 * mean**2 / variance) / math.sqrt(2 * math.pi)
    positive = 0.5 * math.erfc(-mean / deviation / math.sqrt(2))

    found = moments(phi("relu"), mean, variance)

    assert found.mean == pytest.approx(mean * positive + deviation * density, rel=1e-4, abs=1e-6 * deviation)
    expected = (mean**2 + variance) * positive + mean * deviation * density
    assert found.second_moment == pytest.approx(expected, rel=1e-4, abs=1e-6 * variance)
    assert found.derivative_second_moment == pytest.approx(positive, abs=5e-4)


def test_moments_of_powers_and_waves() -> None:
    """E[z^4] = 3, E[(2z)^2] = 4; E[sin^2] = (1 - e^-2)/2; E[cos] = e^-1/2."""
    square, sine, cosine = moments(np.square), moments(np.sin), moments(np.cos)

    assert square.second_moment == pytest.approx(3, rel=1e-4)
    assert square.derivative_second_moment == pytest.approx(4, rel=1e-4)
    assert sine.second_moment == pytest.approx((1 - math.exp(-2)) / 2, rel=1e-5)
    assert cosine.mean == pytest.approx(math.exp(-0.5), rel=1e-5)


@pytest.mark.parametrize("variance", [1e-4, 1e-10, 1e-20])
def test_a_tiny_signal_sees_a_straight_line(variance: float) -> None:
    """Sigmoid around zero is 1/2 + z/4: the variance is exact although it is tiny against the mean."""
    found = moments(phi("sigmoid"), 0.0, variance)

    assert found.mean == pytest.approx(0.5)
    assert found.variance == pytest.approx(variance / 16, rel=1e-3)
    assert found.derivative_second_moment == pytest.approx(1 / 16, rel=1e-3)


def test_a_constant_input_has_no_variance() -> None:
    """Variance zero gives the value itself and the slope there."""
    found = moments(np.square, 3.0, 0.0)

    assert (found.mean, found.variance) == (9.0, 0.0)
    assert found.derivative_second_moment == pytest.approx(36)


def test_jumps_have_no_derivative() -> None:
    """A hard shrink of 0.5 passes slope 1 outside and 0 inside, as backpropagation does."""
    outside = math.erfc(0.5 / math.sqrt(2))

    found = moments(phi("hardshrink"))

    assert found.derivative_second_moment == pytest.approx(outside, rel=1e-3)


@pytest.mark.parametrize("variance", [-1.0, math.nan])
def test_a_negative_variance_is_refused(variance: float) -> None:
    """There is no such signal."""
    with pytest.raises(ValueError, match="variance"):
        moments(np.tanh, 0.0, variance)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gains_are_positive_numbers(name: str) -> None:
    """Every named activation passes something on, in both directions."""
    found = named_gain(name)

    assert found is not None
    assert 0 < found.forward < 10
    assert 0 < found.backward < 10


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("relu", [(-math.inf, 0)]),
        ("relu6", [(-math.inf, 0), (6, math.inf)]),
        ("hardtanh", [(-math.inf, -1), (1, math.inf)]),
        ("hardsigmoid", [(-math.inf, -3), (3, math.inf)]),
        ("tanh", [(-math.inf, -2.993), (2.993, math.inf)]),
        ("sigmoid", [(-math.inf, -5.987), (5.987, math.inf)]),
        ("softsign", [(-math.inf, -9), (9, math.inf)]),
        ("softplus", [(-math.inf, -4.595)]),
        ("gelu", [(-math.inf, -3.01)]),
        ("leaky_relu", []),
        ("hardshrink", []),
        ("sin", []),
        ("square", []),
    ],
)
def test_saturation_begins_where_a_hundredth_of_the_slope_is_left(name: str, ends: list[tuple[float, float]]) -> None:
    """tanh: 1 - tanh^2 = 0.01 at 2.993; sigmoid: 4 s (1 - s) = 0.01 at 5.987; softsign: (1 + z)^-2 = 0.01 at 9."""
    found = saturation(phi(name))

    assert len(found) == len(ends)
    for interval, expected in zip(found, ends, strict=True):
        assert interval == pytest.approx(expected, abs=0.06)


def test_saturation_of_odd_functions() -> None:
    """A flat function and one that is no number somewhere have none."""
    assert saturation(np.zeros_like) == ()
    assert saturation(np.log) == ()


def test_the_gain_of_a_subgraph_without_a_name() -> None:
    """Snake, z + sin(z)^2, cut out of the graph: E[(z + sin^2 z)^2] = 1 + E[sin^4 z]."""
    from onnx import numpy_helper, parser

    model = parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 20]> g (float[N,8] x) => (float[N,M] y) '
        "{ h = MatMul(x, w) p = Sin(h) q = Mul(p, p) y = Add(h, q) }"
    )
    model.graph.initializer.append(numpy_helper.from_array(np.ones((8, 6), np.float32), "w"))
    layer = extract_layers(load_model(model)).layers[0]
    fourth = (3 - 4 * math.exp(-2) + math.exp(-8)) / 8

    found = gain_of(layer)

    assert layer.activation == "custom"
    assert activation_of(layer) is not None
    assert found is not None
    assert found.forward == pytest.approx((1 + fourth) ** -0.5, rel=1e-4)
