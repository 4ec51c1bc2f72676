"""What a network computes is compared with the range of float16, whatever the kernels at hand hide."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import initaudit
from tests.networks import mlp, model

pytestmark = pytest.mark.usefixtures("in_process")


def halved(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with float16 in place of float32."""
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.elem_type = TensorProto.FLOAT16
    return proto


def rescaled(first: float) -> onnx.ModelProto:
    """Three layers; the first is `first` times too large, the second makes up for it."""
    return mlp(
        (64, 64, 64, 10),
        change={"fc0.weight": lambda w: w * first, "fc1.weight": lambda w: w / first},
    )


def attention(mask: float, scale: float = 0.125) -> onnx.ModelProto:
    """softmax(x W x^T * scale + mask) x with a causal mask of this number."""
    rng = np.random.default_rng(0)
    tensors = {
        "w": rng.normal(0, 0.125, (64, 64)).astype(np.float32),
        "scale": np.float32(scale),
        "mask": np.triu(np.full((16, 16), mask, np.float32), 1),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["q"], "query"),
        helper.make_node("Transpose", ["x"], ["k"], "key", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "k"], ["s"], "scores"),
        helper.make_node("Mul", ["s", "scale"], ["t"], "scaled"),
        helper.make_node("Add", ["t", "mask"], ["m"], "masked"),
        helper.make_node("Softmax", ["m"], ["p"], "softmax", axis=-1),
        helper.make_node("MatMul", ["p", "x"], ["y"], "mixed"),
    ]
    return model(nodes, {"x": ["N", 16, 64]}, ["y"], tensors)


def codes(report: initaudit.Report) -> set[str]:
    """Codes of the findings about float16."""
    return {f.code for f in report.findings} & {"INI406", "INI408"}


def overflow(report: initaudit.Report) -> list[str]:
    """Nodes that float16 cannot hold."""
    found = report.audit.probe.float16
    assert found is not None
    return [o["node"] for o in found["overflow"]]


def test_a_float16_file_that_overflows_is_an_error_at_the_node():
    """2e4 times a unit variance exceeds 65,504 in its tails, though the next layer brings it back."""
    report = initaudit.audit(halved(rescaled(2e4)), probe="forward")

    (finding,) = (f for f in report.findings if f.code == "INI406")
    assert finding.severity.value == "error"
    assert "fc0" in finding.message
    assert "INI408" not in codes(report)


def test_the_same_network_in_float32_is_a_note_with_the_nodes_to_keep():
    """It computes what it should, until it is converted."""
    report = initaudit.audit(rescaled(2e4), probe="forward")

    (finding,) = (f for f in report.findings if f.code == "INI408")
    assert finding.severity.value == "info"
    assert "fc0" in finding.suggestion
    assert codes(report) == {"INI408"}


@pytest.mark.parametrize("make", [lambda: rescaled(1.0), lambda: halved(rescaled(1.0))], ids=["float32", "float16"])
def test_a_network_within_the_range_is_left_in_peace(make):
    """Unit variance is far from either end."""
    report = initaudit.audit(make(), probe="forward")

    assert codes(report) == set()


def test_a_layer_whose_values_are_all_zero_in_float16_is_named():
    """1e-9 times a unit variance lies below the smallest subnormal number, 6e-8."""
    report = initaudit.audit(rescaled(1e-9), probe="forward")

    found = report.audit.probe.float16
    assert found is not None
    assert [o["node"] for o in found["underflow"]] == ["/fc0/Gemm"]
    assert codes(report) == {"INI408"}


@pytest.mark.parametrize("mask", [-1e9, -np.inf, float(np.finfo(np.float32).min)])
def test_a_mask_is_no_overflow(mask: float):
    """Its numbers are large on purpose, and the softmax takes them to zero in any type."""
    report = initaudit.audit(attention(mask), probe="forward")

    assert overflow(report) == []


def test_scores_that_overflow_are_seen_through_the_mask():
    """They left the range before the mask was added."""
    report = initaudit.audit(attention(-1e9, scale=2e4), probe="forward")

    assert overflow(report) == ["scaled", "masked"]


def test_what_is_not_finite_in_the_table_has_a_finding():
    """Infinity in a layer is told even where no node can be blamed."""
    report = initaudit.audit(mlp((64, 64, 64, 10), draw=lambda shape, rng: rng.normal(0, 1e30, shape)), probe="forward")

    assert any(a.signal is not None and a.signal.nonfinite > 0 for a in report.audit.layers)
    assert "INI406" in codes(report)
