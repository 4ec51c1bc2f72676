"""A file that fixes a large batch is probed with a few inputs, where its graph takes them."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import initaudit
from initaudit.probe.free_batch import fixed_batch, free_batch
from tests.networks import model

pytestmark = pytest.mark.usefixtures("in_process")


def with_token(batch: int) -> onnx.ModelProto:
    """A token stored once for every sample, in front of what a Reshape to a fixed shape makes of the input."""
    rng = np.random.default_rng(0)
    tensors = {
        "w": rng.normal(0, 0.35, (16, 32)).astype(np.float32),
        "v": rng.normal(0, 0.25, (32, 4)).astype(np.float32),
        "token": np.repeat(rng.normal(0, 1, (1, 1, 16)), batch, axis=0).astype(np.float32),
        "rows": np.asarray([batch, 2, 16], np.int64),
        "flat": np.asarray([batch * 3, 16], np.int64),
    }
    nodes = [
        helper.make_node("Reshape", ["x", "rows"], ["a"], "split"),
        helper.make_node("Concat", ["token", "a"], ["b"], "join", axis=1),
        helper.make_node("Reshape", ["b", "flat"], ["c"], "flatten"),
        helper.make_node("MatMul", ["c", "w"], ["d"], "first"),
        helper.make_node("Relu", ["d"], ["e"], "relu"),
        helper.make_node("MatMul", ["e", "v"], ["y"], "second"),
    ]
    return model(nodes, {"x": [batch, 32]}, ["y"], tensors)


def with_positions(rows: int) -> onnx.ModelProto:
    """What looks like a batch is a sequence: every row has a vector of its own."""
    rng = np.random.default_rng(0)
    tensors = {
        "w": rng.normal(0, 0.35, (16, 16)).astype(np.float32),
        "positions": rng.normal(0, 1, (rows, 16)).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"], "first"),
        helper.make_node("Add", ["z", "positions"], ["a"], "add"),
        helper.make_node("Relu", ["a"], ["y"], "relu"),
    ]
    return model(nodes, {"x": [rows, 16]}, ["y"], tensors)


def run(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """What the model makes of x."""
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def test_the_freed_model_computes_the_same_for_fewer_samples():
    """Ten samples give what the first ten of 600 give."""
    proto = with_token(600)
    x = np.random.default_rng(1).normal(size=(600, 32)).astype(np.float32)

    assert fixed_batch(proto) == 600
    freed = free_batch(proto, 600)

    np.testing.assert_allclose(run(freed, x[:10]), run(proto, x)[:30], rtol=1e-6)


def test_the_probe_feeds_no_more_than_it_needs():
    """A batch of 6,000 takes no longer than one of 16."""
    probe = initaudit.audit(with_token(6_000), probe="full").audit.probe

    assert probe.status == "complete"
    assert probe.batch == 16
    assert any("6000" in note for note in probe.notes)


def test_a_batch_that_the_graph_needs_is_kept():
    """A table with one row for each position does not fit any other number of rows."""
    probe = initaudit.audit(with_positions(40), probe="forward").audit.probe

    assert probe.status == "complete"
    assert [i["shape"] for i in probe.inputs] == [[40, 16]]
