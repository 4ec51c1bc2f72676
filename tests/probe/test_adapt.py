"""What is changed in a model so that the probe measures the network and not its noise."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

import initaudit
from initaudit.probe.adapt import adapt
from tests.networks import he, model
from tests.probe.probing import probed


def test_dropout_draws_nothing() -> None:
    """Exported in training mode it would draw anew in each run, and inputs that are alike would seem to differ."""
    rng = np.random.default_rng(0)
    tensors = {
        "w": he((64, 64), rng).astype(np.float32),
        "v": he((8, 64), rng).astype(np.float32),
        "half": np.float32(0.5),
        "on": np.bool_(True),
    }

    def network(dropout: list[str]):
        nodes = [
            helper.make_node("Gemm", ["x", "w"], ["h"], "first", transB=1),
            helper.make_node("Dropout", ["h", *dropout], ["d"], "dropout"),
            helper.make_node("Gemm", ["d", "v"], ["y"], "second", transB=1),
        ]
        return adapt(model(nodes, {"x": ["N", 64]}, ["y"], tensors))[0]

    training, evaluation = probed(network(["half", "on"])), probed(network([]))

    for here, there in zip(training.signals, evaluation.signals, strict=True):
        assert here.mean_square == pytest.approx(there.mean_square)
        assert here.gradient_rms == pytest.approx(there.gradient_rms)


def test_gemm_fast_gelu_is_audited_and_probed_without_a_gpu():
    """It is the layer x W + b, its output that of gelu of N(0, 2)."""
    rng = np.random.default_rng(0)
    tensors = {"w": he((256, 256), rng).astype(np.float32), "b": np.zeros(256, np.float32)}
    nodes = [helper.make_node("GemmFastGelu", ["x", "w", "b"], ["y"], "fused", domain="com.microsoft")]
    report = initaudit.audit(model(nodes, {"x": ["N", 256]}, ["y"], tensors, domains=["com.microsoft"]), probe="full")

    (layer,) = report.audit.layers
    assert layer.layer.activation == "gelu_tanh"
    assert layer.layer.bias is not None
    assert layer.signal is not None
    z = np.sqrt(2.0) * rng.standard_normal(1_000_000)
    gelu = 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
    assert layer.signal.mean_square == pytest.approx(float(np.mean(gelu**2)), rel=0.1)
