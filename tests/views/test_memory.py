"""The memory that it takes to compute a constant is known beforehand, temporaries included, and bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.errors import UnsupportedWeight
from initaudit.model.build import build_graph
from initaudit.model.tensors import sparse_tensor, tensor_from_proto
from initaudit.ops.blockwise import unpacked
from initaudit.views import Constants, Operand
from initaudit.views.operand import leaf
from tests.networks import model

SIDE = 512
CODES = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)
REAL = np.linspace(0.5, 1.5, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
SHARES = REAL[:, :: SIDE // 8]
SLACK = 1 << 16
"""Bytes of Python's own objects."""


def computed(nodes: list[NodeProto], **tensors: np.ndarray) -> Operand:
    """The constant `w` of a network, opset 21."""
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = build_graph(model([*nodes, product], {"x": ["N", 4]}, ["y"], tensors, opset=21), None)
    constants = Constants(graph, {"": 21})
    operand = constants.get(graph.values["w"])
    assert operand is not None, constants.opaque
    return operand


def one(op: str, *, of: dict[str, np.ndarray], outputs: tuple[str, ...] = ("w",), **attributes: object) -> Operand:
    """What one operator makes of stored tensors."""
    return computed([helper.make_node(op, list(of), list(outputs), **attributes)], **of)


def expanded(*further: NodeProto) -> Operand:
    nodes = [helper.make_node("Expand", ["row", "shape"], ["wide"]), *further]
    return computed(nodes, row=REAL[:1], shape=np.array([SIDE, SIDE]), flat=np.array([-1]))


def packed(bits: int) -> Operand:
    """Blockwise weights with zero points, in bytes of which not all are asked for."""
    blocks, block = SIDE // 32, 32
    codes = computed([helper.make_node("Identity", ["c"], ["w"])], c=CODES[:, : SIDE * bits // 8])
    scales, zero = (
        computed([helper.make_node("Identity", ["c"], ["w"])], c=c) for c in (REAL[:, :blocks], CODES[:, :blocks])
    )
    return unpacked(codes, scales, zero, inputs=SIDE, units=SIDE, bits=bits, block=block)


def stored(code: int, count: int, *, raw: bool) -> Operand:
    """A tensor of the file, in bytes or as numbers of the message."""
    values = np.ones(count, np.int32)
    proto = TensorProto(name="t", data_type=code, dims=[2 * count if code == TensorProto.INT4 else count])
    if raw:
        proto.raw_data = bytes(count)
    else:
        proto.int32_data.extend(values.tolist())
    return leaf(tensor_from_proto(proto, name="t", folder=None))


def sparse() -> Operand:
    values = helper.make_tensor("v", TensorProto.FLOAT, [100], REAL[0, :100])
    indices = helper.make_tensor("i", TensorProto.INT64, [100], range(100))
    proto = onnx.SparseTensorProto(values=values, indices=indices, dims=[SIDE, SIDE])
    return leaf(sparse_tensor(proto, name="s", folder=None))


ROUTES: dict[str, Callable[[], Operand]] = {
    "scaled": lambda: one("DequantizeLinear", of={"c": CODES, "s": np.float32(0.1), "z": np.uint8(3)}),
    "scaled by channel": lambda: one("DequantizeLinear", of={"c": CODES, "s": REAL[0], "z": CODES[0]}),
    "scaled by block": lambda: one(
        "DequantizeLinear", of={"c": CODES, "s": SHARES, "z": CODES[:, :8]}, block_size=SIDE // 8
    ),
    "scaled one by one": lambda: one("DequantizeLinear", of={"c": CODES, "s": REAL, "z": CODES}, block_size=1),
    "scaled to float16": lambda: one(
        "DequantizeLinear", of={"c": CODES, "s": SHARES.astype(np.float16)}, block_size=SIDE // 8
    ),
    "quantised": lambda: one("QuantizeLinear", of={"c": REAL, "s": SHARES, "z": CODES[:, :8]}, block_size=SIDE // 8),
    "8 bits": lambda: packed(8),
    "4 bits": lambda: packed(4),
    "2 bits": lambda: packed(2),
    "int4": lambda: stored(TensorProto.INT4, 1 << 17, raw=True),
    "typed": lambda: stored(TensorProto.INT8, 1 << 17, raw=False),
    "sparse": sparse,
    "expanded": lambda: expanded(helper.make_node("Identity", ["wide"], ["w"])),
    "expanded and reshaped": lambda: expanded(helper.make_node("Reshape", ["wide", "flat"], ["w"])),
    "expanded and joined": lambda: expanded(helper.make_node("Concat", ["wide", "wide"], ["w"], axis=0)),
    "tiled": lambda: one("Tile", of={"c": REAL[:8], "r": np.array([SIDE // 8, 1])}),
    "padded": lambda: one("Pad", of={"c": REAL, "p": np.array([8, 8, 8, 8])}),
    "gathered": lambda: one("Gather", of={"c": REAL, "i": np.arange(2 * SIDE, dtype=np.int32) % SIDE}),
    "cast": lambda: one("Cast", of={"c": REAL}, to=TensorProto.DOUBLE),
    "multiplied": lambda: one("Mul", of={"a": REAL, "b": REAL + 1}),
    "divided": lambda: one("Div", of={"a": CODES, "b": CODES + 1}),
    "chosen": lambda: one("Where", of={"c": REAL > 1, "a": REAL, "b": REAL + 1}),
    "softmax": lambda: one("Softmax", of={"a": REAL}),
    "normalised": lambda: one("LayerNormalization", of={"a": REAL, "s": REAL[0]}),
    "summed": lambda: one("ReduceSum", of={"a": REAL}),
    "multiplied as matrices": lambda: one("MatMul", of={"a": REAL, "b": REAL + 1}),
    "triangular": lambda: one("Trilu", of={"a": REAL}),
    "cumulated": lambda: one("CumSum", of={"a": REAL, "i": np.array(0)}),
}


@pytest.mark.parametrize("route", ROUTES)
def test_no_more_memory_is_held_than_was_foretold(route: str):
    operand = ROUTES[route]()
    operand.array()  # imports, and what they keep
    tracemalloc.start()

    operand.array()

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= operand.memory.peak + SLACK
    assert operand.memory.peak <= 8 * peak + SLACK


def huge(*further: NodeProto) -> onnx.ModelProto:
    """A layer whose weight a file of a few hundred bytes asks gigabytes for."""
    nodes = [
        helper.make_node("Expand", ["e", "s"], ["wide"]),
        *further,
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    stored = {"e": np.ones((1, 1)), "s": np.array([1 << 14, 1 << 14]), "t": np.array([1 << 13, 1 << 15])}
    return model(nodes, {"x": ["N", "M"]}, ["y"], stored)


@pytest.mark.parametrize(
    "further",
    [
        [helper.make_node("Reshape", ["wide", "t"], ["w"])],
        [helper.make_node("Tile", ["e", "s"], ["w"])],
    ],
    ids=["reshaped", "tiled"],
)
def test_what_would_take_gigabytes_is_refused_before_it_is_allocated_and_listed(further: list[NodeProto]):
    graph = build_graph(huge(*further), None)
    operand = Constants(graph, {"": 17}).get(graph.values["w"])
    assert operand is not None
    tracemalloc.start()

    with pytest.raises(UnsupportedWeight, match=r"MiB at once"):
        operand.array()

    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    skipped = audit(huge(*further), Config(probe="none")).skipped
    assert any("MiB at once" in s.reason for s in skipped)
