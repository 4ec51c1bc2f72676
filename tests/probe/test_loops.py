"""Layers in the body of a Loop or Scan: their signal is that of the same layers written out."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper

import initaudit
from tests.networks import model

pytestmark = pytest.mark.usefixtures("in_process")

WIDTH, STEPS = 32, 5


def weights() -> dict[str, np.ndarray]:
    """Of the input, the state and the output."""
    rng = np.random.default_rng(0)
    return {
        "w": rng.normal(0, 0.25, (16, WIDTH)).astype(np.float32),
        "r": rng.normal(0, 0.17, (WIDTH, WIDTH)).astype(np.float32),
        "head": rng.normal(0, 0.17, (WIDTH, 4)).astype(np.float32),
    }


def step(state: str, taken: str, result: str, suffix: str = "") -> list[NodeProto]:
    """tanh(u W + h R)."""
    return [
        helper.make_node("MatMul", [taken, "w"], [f"from_input{suffix}"], f"in{suffix}"),
        helper.make_node("MatMul", [state, "r"], [f"from_state{suffix}"], f"again{suffix}"),
        helper.make_node("Add", [f"from_input{suffix}", f"from_state{suffix}"], [f"z{suffix}"], f"sum{suffix}"),
        helper.make_node("Tanh", [f"z{suffix}"], [result], f"tanh{suffix}"),
    ]


def scanned() -> onnx.ModelProto:
    """Scan over the first axis."""
    float_ = TensorProto.FLOAT
    nodes = step("h", "u", "n")
    body = helper.make_graph(
        nodes,
        "body",
        [helper.make_tensor_value_info("h", float_, None), helper.make_tensor_value_info("u", float_, None)],
        [helper.make_tensor_value_info("n", float_, None)],
    )
    scan = helper.make_node("Scan", ["start", "x"], ["last"], "scan", body=body, num_scan_inputs=1)
    tensors = weights() | {"start": np.zeros((3, WIDTH), np.float32)}
    nodes = [scan, helper.make_node("MatMul", ["last", "head"], ["y"], "head")]
    return model(nodes, {"x": [STEPS, 3, 16]}, ["y"], tensors)


def looped() -> onnx.ModelProto:
    """Loop that takes a step of the input by its number."""
    nodes = [helper.make_node("Gather", ["x", "number"], ["u"], "take", axis=0), *step("h", "u", "n")]
    nodes.append(helper.make_node("Identity", ["go"], ["on"]))
    body = helper.make_graph(
        nodes,
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("n", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", ["count", "true", "start"], ["last"], "loop", body=body)
    tensors = weights() | {
        "start": np.zeros((3, WIDTH), np.float32), "count": np.asarray(STEPS, np.int64), "true": np.asarray(True)
    }  # fmt: skip
    nodes = [loop, helper.make_node("MatMul", ["last", "head"], ["y"], "head")]
    return model(nodes, {"x": [STEPS, 3, 16]}, ["y"], tensors)


def written_out() -> onnx.ModelProto:
    """One step after the other."""
    nodes: list[NodeProto] = []
    tensors = weights() | {"start": np.zeros((3, WIDTH), np.float32)}
    state = "start"
    for t in range(STEPS):
        tensors[f"n{t}"] = np.asarray(t, np.int64)
        nodes.append(helper.make_node("Gather", ["x", f"n{t}"], [f"u{t}"], f"take{t}", axis=0))
        nodes += step(state, f"u{t}", f"h{t}", str(t))
        state = f"h{t}"
    nodes.append(helper.make_node("MatMul", [state, "head"], ["y"], "head"))
    return model(nodes, {"x": [STEPS, 3, 16]}, ["y"], tensors)


def signals(proto: onnx.ModelProto) -> dict[str, float]:
    """Mean square before the activation, by node."""
    report = initaudit.audit(proto, probe="full", input_spectrum="white")
    assert report.audit.probe.status == "complete"
    return {a.layer.node.name: a.signal.mean_square for a in report.audit.layers if a.signal is not None}


@pytest.mark.parametrize("make", [scanned, looped])
def test_the_signal_in_a_loop_is_the_mean_over_its_steps(make):
    """The same weights, inputs of the same law."""
    expected, found = signals(written_out()), signals(make())

    inputs = np.mean([expected[f"in{t}"] for t in range(STEPS)])
    assert found["in"] == pytest.approx(inputs, rel=0.15)
    assert found["head"] == pytest.approx(expected["head"], rel=0.15)
    assert "again" in found


@pytest.mark.parametrize("make", [scanned, looped])
def test_no_gradient_is_claimed_in_a_loop(make):
    """What is brought out leads nowhere: that its gradient is zero would be false."""
    report = initaudit.audit(make(), probe="full")

    gradients = {a.layer.node.name: a.signal.gradient_rms for a in report.audit.layers if a.signal is not None}
    assert gradients["in"] is None
    assert gradients["head"]
    assert not {f.code for f in report.findings} & {"INI501", "INI502", "INI503"}
    assert any("loops" in note for note in report.audit.probe.notes)
