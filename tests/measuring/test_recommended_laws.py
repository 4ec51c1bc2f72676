"""Weights that were drawn for the activation behind them are recognised, whatever its parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import helper

from initaudit.activations.named import ACTIVATIONS
from initaudit.extraction.extract import extract_layers
from initaudit.initialisation.gains import named_gain
from initaudit.measuring.measure import measure
from initaudit.model.load import load_model
from tests.networks import model

WIDTH, UNITS = 200, 160
OPERATORS = [
    ("LeakyRelu", {"alpha": 0.01}, "leaky_relu", {}),
    ("LeakyRelu", {"alpha": 0.05}, "leaky_relu", {"negative_slope": 0.05}),
    ("LeakyRelu", {"alpha": 0.1}, "leaky_relu", {"negative_slope": 0.1}),
    ("LeakyRelu", {"alpha": 0.2}, "leaky_relu", {"negative_slope": 0.2}),
    ("LeakyRelu", {"alpha": 0.3}, "leaky_relu", {"negative_slope": 0.3}),
    ("LeakyRelu", {"alpha": 0.5}, "leaky_relu", {"negative_slope": 0.5}),
    ("Elu", {"alpha": 1.0}, "elu", {}),
    ("Elu", {"alpha": 0.5}, "elu", {"alpha": 0.5}),
    ("Celu", {"alpha": 2.0}, "celu", {"alpha": 2.0}),
    ("Swish", {"alpha": 1.5}, "silu", {"beta": 1.5}),
    ("Gelu", {}, "gelu", {}),
    ("Mish", {}, "mish", {}),
]


def audit(operator: str, attributes: dict[str, float], weight: np.ndarray):
    """The audit of one layer with `operator` behind it, a head after that."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "fc"),
        helper.make_node(operator, ["h"], ["a"], "act", **attributes),
        helper.make_node("MatMul", ["a", "v"], ["y"], "head"),
    ]
    head = np.random.default_rng(1).normal(0, UNITS**-0.5, (UNITS, 10)).astype(np.float32)
    opset = 24 if operator == "Swish" else 20
    proto = model(nodes, {"x": ["N", WIDTH]}, ["y"], {"w": weight.astype(np.float32), "v": head}, opset=opset)
    audits, _ = measure(extract_layers(load_model(proto)).layers)
    return audits[0]


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(("operator", "attributes", "name", "parameters"), OPERATORS)
def test_weights_scaled_for_the_activation_follow_a_law(operator, attributes, name, parameters, distribution):
    """He et al. 2015, eq. 14 for a slope a: std sqrt(2 / ((1 + a^2) fan_in)); for others the gain by quadrature."""
    gain = named_gain(name, parameters)
    assert gain is not None
    std = gain.forward / math.sqrt(WIDTH)
    rng = np.random.default_rng(7)
    shape = (WIDTH, UNITS)
    bound = std * math.sqrt(3)
    weight = rng.normal(0, std, shape) if distribution == "normal" else rng.uniform(-bound, bound, shape)

    found = audit(operator, attributes, weight)

    assert (found.layer.activation, dict(found.layer.activation_params)) == (name, pytest.approx(parameters))
    assert found.provenance is not None
    assert found.provenance.untrained is True
    assert found.provenance.confidence == "high"
    assert found.provenance.law is not None
    assert found.provenance.distribution == distribution
    assert found.provenance.std == pytest.approx(std, rel=0.02)
    assert found.ratio == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize("slope", [0.1, 0.3, 0.5])
def test_the_slope_that_is_not_there_is_not_assumed(slope):
    """Weights for a slope far from the layer's own are no law of that layer by its recommended scale."""
    std = math.sqrt(2 / (1 + slope**2) / WIDTH) * 1.12
    weight = np.random.default_rng(3).normal(0, std, (WIDTH, UNITS))

    found = audit("LeakyRelu", {"alpha": slope}, weight)

    assert found.provenance is not None
    assert "leaky_relu" not in (found.provenance.law or "")


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_parameters_are_read_and_given_by_one_name(name):
    """What recognition reads off a function is what its closed form takes."""
    entry = ACTIVATIONS[name]

    read = entry.fit(entry.function) or {}

    entry.function(np.zeros(3), **read)
    assert named_gain(name, read) is not None
