"""Theory beside measurement: predictions for random weights hold, and the place where a signal dies is named."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import ModelProto, helper

from initaudit.extraction.extract import extract_layers
from initaudit.judgement.lost import first_lost
from initaudit.measuring.measure import measure
from initaudit.measuring.theory import depth_scale, previous_layers, with_theory
from initaudit.model.load import load_model
from initaudit.probe.signal import Signal
from tests.networks import he, mlp, model, normal
from tests.probe.probing import probed

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit


def audited(proto: ModelProto, *, mode: str = "forward") -> tuple[LayerAudit, ...]:
    """Layers with statistics and signals."""
    loaded = load_model(proto)
    layers, _ = measure(extract_layers(loaded).layers)
    answer = probed(proto, mode=mode).answer["signals"]
    return with_theory(loaded.graph, layers, {name: Signal.from_json(values) for name, values in answer.items()})


def test_prediction_for_random_weights():
    """fan_in E[W^2] s is the variance that a layer of independent weights gives, within sampling error."""
    audits = audited(mlp((200, 200, 200, 200)))

    for audit in audits:
        assert audit.signal.predicted_variance == pytest.approx(audit.signal.variance, rel=0.15)


def test_growth_follows_the_weights():
    """Weights of 0.1 / sqrt(n) in a linear chain shrink the variance by 0.01 per layer; the depth scale is 1/ln 100."""
    audits = audited(mlp((100,) * 7, "Identity", normal(0.1 / 10)))

    assert audits[0].signal.growth is None
    assert [a.signal.growth for a in audits[1:]] == pytest.approx([0.01] * 5, rel=0.3)
    assert depth_scale(audits) == pytest.approx(1 / math.log(100), rel=0.1)


def test_relative_weight_gradient_of_a_single_layer():
    """For y = W x the gradient of W is the outer product of a cotangent N(0, I) with x: its norm is sqrt(m) |x|."""
    audits = audited(mlp((50, 30)), mode="full")

    signal, stats = audits[0].signal, audits[0].stats
    expected = math.sqrt(30 * 50) / math.sqrt(stats.count * (stats.std**2 + stats.mean**2))
    assert signal.weight_gradient_ratio == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(("activation", "draw", "expected"), [("Relu", he, 1.0), ("Identity", normal(0.06), 0.72)])
def test_chi_of_a_chain_is_the_gain_of_the_weights_times_the_square_slope(activation, draw, expected):
    """200 N(0, 2/200) weights and half of the slopes 1: He's chi is 1. Without an activation it is 200 * 0.06^2."""
    audits = audited(mlp((200,) * 5, activation, draw), mode="full")

    assert audits[0].signal.chi is None
    assert [a.signal.chi for a in audits[1:]] == pytest.approx([expected] * 3, rel=0.03)
    assert [a.signal.chi_measured for a in audits[1:]] == pytest.approx([expected] * 3, rel=0.3)


def test_theory_says_nothing_of_what_is_added_on_the_way():
    """Behind a skip connection the layer reads a sum, and chi of a chain does not describe it; the measurement stands."""
    weights = {f"w{i}": np.random.default_rng(i).normal(0, 0.1, (64, 64)).astype(np.float32) for i in range(2)}
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["z"], "first"),
        helper.make_node("Relu", ["z"], ["a"]),
        helper.make_node("Add", ["a", "x"], ["s"]),
        helper.make_node("MatMul", ["s", "w1"], ["y"], "second"),
    ]

    second = audited(model(nodes, {"x": ["N", 64]}, ["y"], weights), mode="full")[1].signal

    assert second.chi is None
    assert second.chi_measured == pytest.approx(64 * 0.1**2 / 2, rel=0.4)


def test_the_way_back_to_the_previous_layer():
    """Through activations and additions to the nearest layer; the first layers have none before them."""
    rng = np.random.default_rng(0)
    weights = {name: he((8, 8), rng).astype(np.float32) for name in "abc"}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"], "/a"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "b"], ["s"], "/b"),
        helper.make_node("Add", ["h", "s"], ["t"]),
        helper.make_node("MatMul", ["t", "c"], ["y"], "/c"),
    ]
    loaded = load_model(model(nodes, {"x": ["N", 8]}, ["y"], weights))

    before = previous_layers(loaded.graph, extract_layers(loaded).layers)

    assert before == {"/b": "/a", "/c": "/b"}


def test_a_healthy_network_loses_nothing():
    """He initialisation carries the signal through twenty ReLU layers."""
    assert first_lost(audited(mlp((64,) * 20))) is None


def test_a_broken_weight_is_named():
    """One weight ten thousand times too small: the signal is lost there, and the sentence says by which weight."""
    audits = audited(mlp((64,) * 8, change={"fc4.weight": lambda w: w * 1e-5}))

    layer, cause = first_lost(audits)

    assert layer == "/fc4/Gemm"
    assert "fc4" in cause
    assert "at once" in cause


def test_dead_units_are_named():
    """A bias of -50 before ReLU: the cause is the flat part of the activation and the bias."""
    layer, cause = first_lost(audited(mlp((32,) * 5, change={"fc1.bias": lambda b: b - 50})))

    assert layer == "/fc1/Gemm"
    assert "relu" in cause
    assert "bias" in cause


def test_gradual_decay_blames_the_trend():
    """Weights three times too small in every layer: no single layer breaks it, the factor per layer is named."""
    layer, cause = first_lost(audited(mlp((64,) * 20, draw=normal(0.3 * math.sqrt(2 / 64)))))

    assert layer not in ("/fc0/Gemm", "/fc1/Gemm")
    assert "each layer through relu" in cause or "on average" in cause


def test_a_head_at_zero_is_no_loss():
    """Heads may start at zero: the signal reaches them."""
    assert first_lost(audited(mlp((32,) * 4, change={"fc2.weight": lambda w: w * 0}))) is None


def test_overflow_is_a_loss():
    """Values that leave float32 are named as such."""
    layer, cause = first_lost(audited(mlp((8,) * 5, change={f"fc{i}.weight": lambda w: w * 1e25 for i in (1, 2)})))

    assert layer == "/fc1/Gemm"
    assert "variance" in cause


def test_the_depth_scale_ends_where_rounding_begins():
    """sigmoid with Xavier's std loses its input in a few layers; the noise behind them has no scale."""
    deep, shallow = (depth_scale(audited(mlp((64, *(64,) * count, 8), "Sigmoid", normal(1 / 8)))) for count in (60, 8))

    assert deep == pytest.approx(shallow, rel=0.3)
