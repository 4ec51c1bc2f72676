"""Norms that an exporter folded away learn in a race, as they do in training."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from initaudit.model.load import load_model
from initaudit.racing.learned import learned_tensors
from initaudit.racing.norms import with_norms
from tests.networks import model


def folded(bias: float) -> onnx.ModelProto:
    """Two layers of the same width whose norms are gone; the bias of both."""
    mark = {"key": "pkg.onnxscript.rewriter.rule_name", "value": "FuseBatchNormIntoGemm"}
    nodes = [helper.make_node("Gemm", [x, w, "b"], [y], transB=1) for x, w, y in (("x", "v", "h"), ("h", "w", "y"))]
    for node in nodes:
        node.metadata_props.add(**mark)
    weight = np.random.default_rng(0).normal(0, 0.3, (16, 16)).astype(np.float32)
    return model(nodes, {"x": ["N", 16]}, ["y"], {"v": weight, "w": weight, "b": np.full(16, bias, np.float32)})


def test_each_folded_norm_is_put_back_with_a_scale_and_a_bias_that_learn():
    """Of its own: the statistics stay, and what the file holds stays as it is."""
    network = load_model(folded(0.0))
    before = network.proto.SerializeToString()

    raced = with_norms(network)

    norms = [node for node in raced.proto.graph.node if node.op_type == "BatchNormalization"]
    values = {t.name: numpy_helper.to_array(t) for t in raced.proto.graph.initializer}
    assert [node.output[0] for node in norms] == ["h", "y"]
    assert [[float(values[name].mean()) for name in node.input[1:]] for node in norms] == [[1, 0, 0, 1]] * 2
    assert learned_tensors(raced) == {"v", "w", "b", *(name for node in norms for name in node.input[1:3])}
    assert network.proto.SerializeToString() == before


@pytest.mark.parametrize("change", [lambda p: [n.ClearField("metadata_props") for n in p.graph.node], None])
def test_a_network_whose_norms_were_never_folded_or_trained_is_raced_as_it_is(change):
    """Learned statistics leave more in the bias than a fresh one has."""
    network = folded(3.0 if change is None else 0.0)
    if change is not None:
        change(network)
    loaded = load_model(network)

    assert with_norms(loaded) is loaded
