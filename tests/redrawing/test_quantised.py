"""Weights stored as integers get new codes and new scales, each value to half a step, and nothing else of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper

from initaudit.errors import FixRefused
from initaudit.extraction.extract import extract_layers
from initaudit.model.load import load_model
from initaudit.redrawing.contents import Contents
from initaudit.redrawing.placing import place
from initaudit.redrawing.positions import set_values
from tests.networks import model

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

UNITS, INPUTS = 6, 8
CODES = np.ones((UNITS, INPUTS), np.int8)
ONES = np.ones(UNITS, np.float32)


def dequantised(
    stored: Mapping[str, np.ndarray], *behind: NodeProto, result: str = "w", **attributes: int
) -> ModelProto:
    """y = x W with W [INPUTS, UNITS], what the nodes behind the DequantizeLinear make of the codes `q`."""
    names = [name for name in ("q", "s", "z") if name in stored]
    nodes = [
        helper.make_node("DequantizeLinear", names, ["w"], "dq", **attributes),
        *behind,
        helper.make_node("MatMul", ["x", result], ["y"], "fc"),
    ]
    return model(nodes, {"x": ["N", INPUTS]}, ["y"], stored, opset=21)


TRANSPOSED = helper.make_node("Transpose", ["w"], ["t"])
CAST = helper.make_node("Cast", ["w"], ["c"], to=TensorProto.FLOAT)
STORED: Mapping[str, tuple[Mapping[str, np.ndarray], Sequence[NodeProto], str, Mapping[str, int]]] = {
    "per tensor": ({"q": CODES.T, "s": np.float32(0.5)}, [], "w", {}),
    "per unit": ({"q": CODES.T, "s": ONES, "z": np.zeros(UNITS, np.int8)}, [], "w", {"axis": 1}),
    "transposed": ({"q": CODES, "s": ONES}, [TRANSPOSED], "t", {"axis": 0}),
    "in blocks": ({"q": CODES.T, "s": np.ones((2, UNITS), np.float32)}, [], "w", {"axis": 0, "block_size": 4}),
    "unsigned": ({"q": CODES.T.astype(np.uint8), "s": np.float32(1), "z": np.uint8(128)}, [], "w", {}),
    "asymmetric": (
        {"q": CODES.T, "s": ONES, "z": np.arange(-60, 60, 20).astype(np.int8)}, [], "w", {"axis": 1},
    ),
    "16 bits": ({"q": CODES.T.astype(np.int16), "s": np.float32(1)}, [], "w", {}),
    "half-precision scale": ({"q": CODES.T, "s": np.float16(1)}, [CAST], "c", {}),
    "zero scale": ({"q": CODES.T, "s": 0 * ONES}, [], "w", {"axis": 1}),
}  # fmt: skip


def placed(proto: ModelProto, values: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The operand with these values put into the file, and what is stored."""
    held = load_model(proto)
    layer, contents = extract_layers(held).layers[0], Contents()
    place(layer, held, values, contents)
    for key, new in contents.values.items():
        set_values(contents.tensors[key], new)
    return np.asarray(layer.weight.array(), np.float64), {t.name: t.array() for _, t in held.graph.tensors()}


@pytest.mark.parametrize("how", STORED)
def test_what_is_put_comes_out_to_half_a_step(how: str) -> None:
    """However the scale is shared and whatever moves the weight; types and zero points stay, and no code is beyond what the type has on both sides."""
    stored, behind, result, attributes = STORED[how]
    values = np.random.default_rng(0).normal(0, 0.1, (INPUTS, UNITS)) * np.geomspace(0.01, 1, UNITS)

    read, now = placed(dequantised(stored, *behind, result=result, **attributes), values)
    steps = now["s"].astype(np.float64)
    half = (steps if steps.ndim < 2 else np.repeat(steps, INPUTS // 2, axis=0)) / 2

    assert (abs(read - values) <= half * (1 + 1e-3)).all()
    assert {name: array.dtype for name, array in now.items()} == {n: np.asarray(a).dtype for n, a in stored.items()}
    assert np.array_equal(now.get("z", 0), stored.get("z", 0))
    assert half.max() < abs(values).max() / 100


def test_a_scale_that_shares_nothing_with_what_changes_keeps_its_codes() -> None:
    """One unit of six is drawn anew: the codes and scales of the others are what they were, to the bit."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-90, 90, (INPUTS, UNITS)).astype(np.int8)
    proto = dequantised({"q": codes, "s": ONES / 64}, axis=1)
    values = codes / 64
    values[:, 2] = rng.normal(0, 1, INPUTS)

    _, now = placed(proto, values)

    assert np.flatnonzero((now["q"] != codes).any(axis=0)).tolist() == [2]
    assert np.flatnonzero(now["s"] != ONES / 64).tolist() == [2]


def integer_operator(bias: np.ndarray) -> ModelProto:
    """A QGemm, whose bias counts in steps of the input's scale, 0.1, times the weight's, 1."""
    names = ["x.q", "x.s", "x.z", "q", "s", "z", "b"]
    stored = {"x.s": np.float32(0.1), "x.z": np.int8(0), "q": CODES.T, "s": ONES, "z": np.zeros(UNITS, np.int8)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x.s", "x.z"], ["x.q"]),
        helper.make_node("QGemm", names, ["y"], "fc", domain="com.microsoft"),
    ]
    return model(nodes, {"x": ["N", INPUTS]}, ["y"], {**stored, "b": bias.astype(np.int32)})


def test_a_kept_bias_of_an_integer_operator_is_counted_in_the_new_steps() -> None:
    """It has no scale of its own: its steps are those of the input times those of the weight."""
    held = load_model(integer_operator(np.arange(-250, 350, 100)))
    layer, contents = extract_layers(held).layers[0], Contents()
    bias = layer.auxiliary["bias"]
    before = np.array(bias.array(), np.float64)

    place(layer, held, np.random.default_rng(0).normal(0, 0.1, (INPUTS, UNITS)), contents, keep_bias=True)
    for key, new in contents.values.items():
        set_values(contents.tensors[key], new)
    now = {t.name: t.array() for _, t in held.graph.tensors()}

    assert (now["s"] < 0.01).all()
    assert (abs(bias.array() - before) <= 0.51 * now["s"] * now["x.s"]).all()


def test_a_kept_bias_that_leaves_its_type_forbids_new_weights() -> None:
    """Steps a thousand times smaller take more of them than 32 bits count."""
    held = load_model(integer_operator(np.full(UNITS, 10**8)))
    layer, contents = extract_layers(held).layers[0], Contents()

    with pytest.raises(FixRefused, match="its bias b does not fit into int32"):
        place(layer, held, np.random.default_rng(0).normal(0, 0.1, (INPUTS, UNITS)), contents, keep_bias=True)

    assert not contents.values


def shared_scale() -> ModelProto:
    proto = dequantised({"q": CODES.T, "s": np.float32(1)})
    proto.graph.node.insert(0, helper.make_node("DequantizeLinear", ["other", "s"], ["o"]))
    proto.graph.initializer.add().CopyFrom(helper.make_tensor("other", TensorProto.INT8, [1], [1]))
    proto.graph.output.add().CopyFrom(helper.make_tensor_value_info("o", TensorProto.FLOAT, None))
    return proto


def computed_scale() -> ModelProto:
    proto = dequantised({"q": CODES.T, "s": np.float32(1)})
    proto.graph.node[0].input[1] = "n"
    proto.graph.node.insert(0, helper.make_node("Neg", ["s"], ["n"]))
    return proto


def scaled_behind() -> ModelProto:
    stored = {"q": CODES.T, "s": np.float32(1), "k": np.float32(2)}
    return dequantised(stored, helper.make_node("Mul", ["w", "k"], ["m"]), result="m")


REFUSED = {
    "shared scale": (shared_scale, "scale s is read in 2 places"),
    "computed scale": (computed_scale, "computed in the graph"),
    "scaled behind": (scaled_behind, "computed in the graph .dequantize, mul"),
    "no code below": (
        lambda: dequantised({"q": CODES.T.astype(np.uint8), "s": np.float32(1), "z": np.uint8(0)}), "no code",
    ),
    "negated behind": (
        lambda: dequantised({"q": CODES.T, "s": np.float32(1)}, helper.make_node("Neg", ["w"], ["m"]), result="m"), "computed in the graph",
    ),
    "4 bits": (lambda: dequantised({"q": CODES.T.astype(ml_dtypes.int4), "s": np.float32(1)}), "int4"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_written_alone_is_refused(case: str) -> None:
    """With the reason, and before anything is put."""
    make, reason = REFUSED[case]
    held = load_model(make())
    layer = extract_layers(held).layers[0]
    contents = Contents()

    with pytest.raises(FixRefused, match=reason):
        place(layer, held, np.random.default_rng(0).normal(size=(INPUTS, UNITS)), contents)

    assert not contents.values
