"""onnxruntime runs a graph in which two Constant nodes give the same value, and takes the last; any other double is an error."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import initaudit
from initaudit.errors import ModelError
from tests.networks import he, model


def doubled(second: str) -> onnx.ModelProto:
    """x W Relu with the weight given twice: by a Constant of ones, then by a node of this type."""
    weight = he((16, 16), np.random.default_rng(0)).astype(np.float32)
    again = {
        "Constant": helper.make_node("Constant", [], ["w"], "real", value=numpy_helper.from_array(weight)),
        "Identity": helper.make_node("Identity", ["v"], ["w"], "real"),
    }[second]
    nodes = [
        helper.make_node("Constant", [], ["w"], "shadowed", value=numpy_helper.from_array(np.ones_like(weight))),
        again,
        helper.make_node("MatMul", ["x", "w"], ["z"], "fc"),
        helper.make_node("Relu", ["z"], ["y"], "relu"),
    ]
    return model(nodes, {"x": ["N", 16]}, ["y"], {"v": weight})


@pytest.mark.usefixtures("in_process")
def test_the_last_of_two_constants_is_audited_and_probed():
    """He normal, not ones."""
    report = initaudit.audit(doubled("Constant"), probe="full")

    (layer,) = report.audit.layers
    assert layer.stats.std > 0.2
    assert layer.signal is not None
    assert layer.signal.mean_square == pytest.approx(2.0, rel=0.3)


def test_a_value_that_a_node_gives_again_is_refused():
    """Which of the two it is cannot be said."""
    with pytest.raises(ModelError, match="more than once"):
        initaudit.audit(doubled("Identity"), probe="none")
