"""The weights of a model under the names and in the layout of the PyTorch module, as both exporters write it; no PyTorch is needed."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper

from initaudit.exporting import signature
from initaudit.exporting.state import State, state_of
from initaudit.extraction.extract import FOLDED_NORM, REWRITES
from initaudit.model.load import load_model
from tests.networks import model

RNG = np.random.default_rng(0)


def state(proto: onnx.ModelProto, *lines: str, producer: str = "pytorch") -> State:
    """What is found in a model, whose newer exporter told these parameters."""
    proto.producer_name = producer
    if lines:
        proto.graph.metadata_props.add(key=signature.KEY, value="\n# inputs\n" + "\n".join(lines) + "\nx: USER_INPUT\n")
    return state_of(load_model(proto))


def parameters(*names: str) -> list[str]:
    """Lines of a signature."""
    return [f"p_{name.replace('.', '_')}: PARAMETER target='{name}'" for name in names]


def drawn(*shape: int) -> np.ndarray:
    """Values no two of which are equal."""
    return RNG.normal(0, 0.3, shape).astype(np.float32)


def linear(name: str, source: str, target: str, weight: str, bias: str) -> list[onnx.NodeProto]:
    """A layer as exporters write it for inputs of more than two axes, in the module `name`."""
    return [
        helper.make_node("MatMul", [source, weight], [f"{target}.m"], f"/{name}/MatMul"),
        helper.make_node("Add", [bias, f"{target}.m"], [target], f"/{name}/Add"),
    ]


def test_a_transposed_matrix_is_turned_back() -> None:
    """`onnx::MatMul_12` is `fc.weight`, by the bias beside it, units first."""
    stored = {"onnx::MatMul_12": drawn(6, 4), "fc.bias": drawn(4)}
    proto = model(linear("fc", "x", "y", "onnx::MatMul_12", "fc.bias"), {"x": ["N", 3, 6]}, ["y"], stored)

    found = state(proto)

    assert found.values.keys() == {"fc.weight", "fc.bias"}
    assert np.array_equal(found.values["fc.weight"], stored["onnx::MatMul_12"].T)
    assert found.missing == ()


def test_gates_are_put_into_the_order_of_torch() -> None:
    """ONNX has input, output, forget, cell; PyTorch input, forget, cell, output; and two biases."""
    gates = {gate: (drawn(4, 3), drawn(4, 4), drawn(4), drawn(4)) for gate in "iofc"}
    weight, recurrent, first, second = (np.concatenate([gates[gate][k] for gate in "iofc"]) for k in range(4))
    stored = {
        "onnx::LSTM_1": weight[None],
        "onnx::LSTM_2": recurrent[None],
        "onnx::LSTM_3": np.concatenate([first, second])[None],
    }
    node = helper.make_node("LSTM", ["x", *stored], ["y"], "/cell/LSTM", hidden_size=4)

    found = state(model([node], {"x": ["T", "N", 3]}, ["y"], stored))

    for k, name in enumerate(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")):
        expected = np.concatenate([gates[gate][k] for gate in "ifco"])
        assert np.array_equal(found.values[f"cell.{name}"], expected), name


def test_what_was_stored_once_has_both_names() -> None:
    """The older exporter writes a parameter that equals another one as its copy."""
    stored = {"a.weight": drawn(4, 4), "a.bias": np.zeros(4, np.float32), "b.weight": drawn(4, 4)}
    nodes = [
        helper.make_node("Identity", ["a.bias"], ["b.bias"]),
        helper.make_node("Gemm", ["x", "a.weight", "a.bias"], ["h"], "/a/Gemm", transB=1),
        helper.make_node("Gemm", ["h", "b.weight", "b.bias"], ["y"], "/b/Gemm", transB=1),
    ]

    found = state(model(nodes, {"x": ["N", 4]}, ["y"], stored))

    assert found.values.keys() == {"a.weight", "a.bias", "b.weight", "b.bias"}


def scoped(node: onnx.NodeProto, module: str) -> onnx.NodeProto:
    """The node with the scopes that the newer exporter writes."""
    node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=f"['', '{module}', 'op']")
    return node


def test_what_the_newer_exporter_left_out_is_known_from_its_signature() -> None:
    """A bias of zeros is put back and told; a parameter that is nowhere is missing; a buffer that is not saved is none."""
    stored = {"fc.weight": drawn(4, 6)}
    node = scoped(helper.make_node("Gemm", ["x", "fc.weight"], ["y"], "node_Gemm_1", transB=1), "fc")
    lines = [*parameters("fc.weight", "fc.bias", "token"), "b_table: BUFFER target='table' persistent=False"]

    found = state(model([node], {"x": ["N", 6]}, ["y"], stored), *lines)

    assert list(found.values) == ["fc.weight", "fc.bias"]
    assert not found.values["fc.bias"].any()
    assert any("fc.bias" in note for note in found.notes)
    assert [line.split(":")[0] for line in found.missing] == ["token"]


def test_a_norm_that_was_folded_away_does_nothing() -> None:
    """The convolution has its factors; its shift is the norm's bias, as the module's convolution has none."""
    stored = {"stem.weight": drawn(5, 3, 3, 3), "stem.weight_bias": drawn(5)}
    conv = helper.make_node("Conv", ["x", "stem.weight", "stem.weight_bias"], ["y"], "node_Conv_1")
    scoped(conv, "norm").metadata_props.add(key=REWRITES, value=FOLDED_NORM)
    names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    lines = parameters("stem.weight", *(f"norm.{name}" for name in names[:2]))
    lines += [f"b_{name}: BUFFER target='norm.{name}' persistent=True" for name in names[2:]]

    found = state(model([conv], {"x": ["N", 3, 8, 8]}, ["y"], stored), *lines)

    assert found.missing == ()
    assert [found.values[f"norm.{name}"].dtype.name for name in names] == ["float32"] * 4 + ["int64"]
    assert np.array_equal(found.values["norm.bias"], stored["stem.weight_bias"])
    assert np.array_equal(found.values["norm.weight"], np.ones(5))
    assert np.array_equal(found.values["norm.running_var"], np.ones(5))
    assert not found.values["norm.running_mean"].any()


def test_without_a_signature_a_folded_norm_is_said_to_be_missing() -> None:
    """The older exporter does not tell what the norm was called."""
    stored = {"onnx::Conv_1": drawn(5, 3, 3, 3), "onnx::Conv_2": drawn(5)}  # computed by the exporter, both
    conv = helper.make_node("Conv", ["x", *stored], ["y"], "/stem/Conv")

    found = state(model([conv], {"x": ["N", 3, 8, 8]}, ["y"], stored))

    assert list(found.values) == ["stem.weight"]
    assert [line for line in found.missing if "norm behind stem" in line]


def test_parts_of_a_packed_weight_are_one_parameter() -> None:
    """Query, key and value of torch.nn.MultiheadAttention, transposed by the exporter."""
    stored = {"val_0": drawn(8, 24), "attn.in_proj_bias": drawn(24), "s": np.array([8, 8, 8])}
    nodes = [
        *linear("attn", "x", "qkv", "val_0", "attn.in_proj_bias"),
        helper.make_node("Split", ["qkv", "s"], ["q", "k", "v"], axis=-1),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "v"], ["y"]),
    ]

    found = state(model(nodes, {"x": ["N", 5, 8]}, ["y"], stored))

    assert np.array_equal(found.values["attn.in_proj_weight"], stored["val_0"].T)
    assert np.array_equal(found.values["attn.in_proj_bias"], stored["attn.in_proj_bias"])
    assert found.missing == ()


def test_a_quantised_weight_is_missing_and_why() -> None:
    """Its codes are no weights."""
    nodes = [
        helper.make_node("DequantizeLinear", ["fc.weight_quantized", "scale"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"], "/fc/MatMul"),
    ]
    stored = {"fc.weight_quantized": RNG.integers(-99, 99, (6, 4)).astype(np.int8), "scale": np.array(0.1, np.float32)}

    found = state(model(nodes, {"x": ["N", 6]}, ["y"], stored))

    assert [line for line in found.missing if "int8" in line]


@pytest.mark.parametrize("text", ["", "p: PARAMETER", "x: USER_INPUT", "p: PARAMETER target='a\u0000b"])
def test_a_signature_of_something_else_tells_nothing(text: str) -> None:
    """Then the names in the file decide."""
    proto = onnx.ModelProto()
    proto.graph.metadata_props.add(key=signature.KEY, value=text)

    assert signature.signature(proto) is None


def test_values_keep_their_type() -> None:
    """Half precision stays half."""
    stored = {"fc.weight": drawn(4, 6).astype(ml_dtypes.bfloat16)}
    proto = model(
        [helper.make_node("Gemm", ["x", "fc.weight"], ["y"], "/fc/Gemm", transB=1)], {"x": ["N", 6]}, ["y"], stored
    )

    assert state(proto).values["fc.weight"].dtype == ml_dtypes.bfloat16


def test_equal_factors_of_alike_blocks_have_all_names() -> None:
    """The newer exporter stores them once, under the name of the first; what each block reads is its own."""
    stored = {"blocks.0.gain": np.full(6, 0.1, np.float32), "a.weight": drawn(6, 6), "b.weight": drawn(6, 6)}
    nodes = []
    for block, source, target, weight in ((0, "x", "h", "a.weight"), (1, "h", "y", "b.weight")):
        nodes.append(helper.make_node("Gemm", [source, weight], [f"{target}.z"], transB=1))
        nodes.append(scoped(helper.make_node("Mul", [f"{target}.z", "blocks.0.gain"], [target]), f"blocks.{block}"))

    found = state(model(nodes, {"x": ["N", 6]}, ["y"], stored), *parameters(*stored, "blocks.1.gain", "blocks.2.gain"))

    assert np.array_equal(found.values["blocks.1.gain"], stored["blocks.0.gain"])
    assert [line.split(":")[0] for line in found.missing] == ["blocks.2.gain"]
