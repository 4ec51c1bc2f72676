"""Small models that hold one of each: what a mutation starts from."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tests.fuzz.operators import operator_models
from tests.fuzz.storage import storage_models
from tests.networks import gated, mlp, model

ROOT = Path(__file__).resolve().parents[2]
LARGEST_SAMPLE = 110_000
"""Bytes of a sample model that is mutated; larger ones take long to audit and show nothing else."""


def _draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0.0, 0.3, shape).astype(np.float32)


@cache
def seeds() -> dict[str, dict[str, bytes]]:
    """Serialised models by name, in families."""
    return {
        "network": _serialised(networks()),
        "operator": _serialised(operator_models()),
        "storage": _serialised(storage_models()),
        "sample": {path.stem: path.read_bytes() for path in samples() if path.stat().st_size <= LARGEST_SAMPLE},
        "corpus": {path.stem: path.read_bytes() for path in corpus()},
    }


def networks() -> dict[str, onnx.ModelProto]:
    """Small networks that are sound, one of each kind."""
    return {
        "mlp": mlp([8, 16, 4]),
        "gated": gated(2, "Sigmoid", 8, norm=True),
        "conv": _conv(),
        "recurrent": _recurrent(),
        "quantised": _quantised(),
        "attention": _attention(),
        "bodies": _bodies(),
        "function": _function(),
        "folded": _folded(),
        "loop": _loop(),
        "trained": mlp([8, 16, 4], "Tanh", lambda shape, rng: rng.standard_t(3, shape)),
    }


def samples() -> list[Path]:
    """The sample models of the project."""
    return sorted((ROOT / "sample_models").glob("*.onnx"))


def corpus() -> list[Path]:
    """Files that a version of initaudit once did not stand."""
    return sorted((Path(__file__).parent / "corpus").glob("*.onnx"))


def _serialised(protos: dict[str, onnx.ModelProto]) -> dict[str, bytes]:
    return {name: proto.SerializeToString() for name, proto in protos.items()}


def _conv():
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "s", "o", "m", "v"], ["n"], "bn"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "w", "h"], ["y"], "head", transB=1),
    ]
    one, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
    tensors = {
        "k": _draw(4, 3, 3, 3),
        "b": zero,
        "s": one,
        "o": zero,
        "m": zero,
        "v": one,
        "w": _draw(2, 4),
        "h": zero[:2],
    }
    return model(nodes, {"x": ["N", 3, 8, 8]}, ["y"], tensors)


def _recurrent():
    nodes = [
        helper.make_node("LSTM", ["x", "W", "R", "B"], ["", "h", ""], "lstm", hidden_size=4),
        helper.make_node("Squeeze", ["h", "axes"], ["q"], "squeeze"),
        helper.make_node("MatMul", ["q", "w"], ["y"], "head"),
    ]
    tensors = {"W": _draw(1, 16, 3), "R": _draw(1, 16, 4), "B": _draw(1, 32), "axes": np.array([0]), "w": _draw(4, 2)}
    return model(nodes, {"x": [5, 2, 3]}, ["y"], tensors)


def _quantised():
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], "dq", axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"], "fc"),
    ]
    codes = np.random.default_rng(0).integers(-100, 100, (8, 4)).astype(np.int8)
    return model(
        nodes, {"x": ["N", 8]}, ["y"], {"q": codes, "s": np.full(4, 0.01, np.float32), "z": np.zeros(4, np.int8)}
    )


def _attention():
    nodes: list[NodeProto] = [helper.make_node("Gather", ["table", "x"], ["e"], "embedding")]
    nodes += [helper.make_node("MatMul", ["e", w], [f"{w}o"], w) for w in ("q", "k", "v")]
    nodes += [
        helper.make_node("Transpose", ["ko"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["qo", "kt"], ["a"], "scores"),
        helper.make_node("Softmax", ["a"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "vo"], ["c"], "mix"),
        helper.make_node("Add", ["c", "e"], ["r"], "residual"),
        helper.make_node("LayerNormalization", ["r", "g", "h"], ["y"], "norm"),
    ]
    tensors = {"table": _draw(11, 8), "q": _draw(8, 8), "k": _draw(8, 8), "v": _draw(8, 8)}
    tensors |= {"g": np.ones(8, np.float32), "h": np.zeros(8, np.float32)}
    proto = model(nodes, {"x": ["N", 5]}, ["y"], tensors)
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return proto


def _bodies():
    def branch(name: str) -> object:
        node = helper.make_node("MatMul", ["x", name], [f"{name}o"], name)
        out = helper.make_tensor_value_info(f"{name}o", TensorProto.FLOAT, None)
        return helper.make_graph([node], name, [], [out], [numpy_helper.from_array(_draw(4, 4), name)])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["t"], keepdims=0),
        helper.make_node("Greater", ["t", "zero"], ["c"]),
        helper.make_node("If", ["c"], ["y"], "choice", then_branch=branch("a"), else_branch=branch("b")),
    ]
    return model(nodes, {"x": ["N", 4]}, ["y"], {"zero": np.float32(0.0)})


def _function():
    nodes = [
        helper.make_node("Block", ["x", "w"], ["h"], "one", domain="f"),
        helper.make_node("Block", ["h", "v"], ["y"], "two", domain="f"),
    ]
    proto = model(nodes, {"x": ["N", 4]}, ["y"], {"w": _draw(4, 4), "v": _draw(4, 4)}, domains=["f"])
    inner = [helper.make_node("MatMul", ["a", "b"], ["m"]), helper.make_node("Relu", ["m"], ["c"])]
    proto.functions.append(helper.make_function("f", "Block", ["a", "b"], ["c"], inner, [helper.make_opsetid("", 17)]))
    return proto


def _folded():
    nodes = [
        helper.make_node("Shape", ["x"], ["sh"]),
        helper.make_node("Slice", ["sh", "zero", "one"], ["n"]),
        helper.make_node("Concat", ["n", "minus"], ["to"], axis=0),
        helper.make_node("Reshape", ["x", "to"], ["r"]),
        helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
        helper.make_node("Mul", ["wt", "scale"], ["ws"]),
        helper.make_node("MatMul", ["r", "ws"], ["y"], "fc"),
    ]
    tensors = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "minus": np.array([-1]),
        "w": _draw(3, 8),
        "scale": np.float32(0.5),
    }
    return model(nodes, {"x": ["N", 2, 4]}, ["y"], tensors)


def _loop():
    def port(name: str, kind: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, [] if kind != TensorProto.FLOAT else None)

    nodes = [helper.make_node("MatMul", ["h", "w"], ["m"], "step"), helper.make_node("Tanh", ["m"], ["n"])]
    nodes.append(helper.make_node("Identity", ["go"], ["on"]))
    inside = [port("i", TensorProto.INT64), port("go", TensorProto.BOOL), port("h", TensorProto.FLOAT)]
    body = helper.make_graph(nodes, "body", inside, [port("on", TensorProto.BOOL), port("n", TensorProto.FLOAT)])
    loop = helper.make_node("Loop", ["times", "yes", "x"], ["y"], "loop", body=body)
    return model([loop], {"x": ["N", 4]}, ["y"], {"times": np.array(3), "yes": np.array(True), "w": _draw(4, 4)})
