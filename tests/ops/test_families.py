"""Operators of onnxruntime and others that hold weights in forms of their own; and the contract of operator families."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from onnx import TensorProto, helper

from initaudit.extraction.find import operators
from tests.extracting import extract, only_layer, run
from tests.networks import model

rng = np.random.default_rng(7)
MICROSOFT = "com.microsoft"


def weight(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "family", sorted({type(f) for fs in operators().values() for f in fs}, key=lambda f: f.__name__)
)
def test_every_operator_family_says_what_it_is(family):
    """A class with a docstring, its operators, and a documented method; what is in a file of `ops/` is found."""
    assert inspect.getdoc(family)
    assert inspect.getdoc(family.find)
    assert family.types


def test_packed_attention_is_three_projections():
    """Attention holds [inputs, q + k + v] with sizes that may differ."""
    node = helper.make_node(
        "Attention", ["x", "w", "b"], ["y"], "attn", domain=MICROSOFT, num_heads=2, qkv_hidden_sizes=[8, 8, 4]
    )
    tensors = {"w": weight(6, 20), "b": weight(20)}
    layers = extract(model([node], {"x": ["N", 5, 6]}, ["y"], tensors, domains=[MICROSOFT])).layers

    assert [(layer.weight.part, layer.fan_in, layer.fan_out, layer.bias_slice) for layer in layers] == [
        ("q", 6, 8, (0, 8)),
        ("k", 6, 8, (8, 16)),
        ("v", 6, 4, (16, 20)),
    ]
    np.testing.assert_array_equal(layers[1].weight.array(), tensors["w"][:, 8:16])


def test_the_bias_of_multi_head_attention_belongs_to_the_projections_before_it():
    """One vector, a third for each of the products that made query, key and value."""
    nodes = [helper.make_node("MatMul", ["x", f"w{n}"], [n], f"/{n}_proj/MatMul") for n in "qkv"]
    nodes.append(helper.make_node("MultiHeadAttention", [*"qkv", "b"], ["y"], "attn", domain=MICROSOFT, num_heads=2))
    tensors = {f"w{n}": weight(6, 8) for n in "qkv"} | {"b": weight(24)}

    layers = extract(model(nodes, {"x": ["N", 5, 6]}, ["y"], tensors, domains=[MICROSOFT])).layers

    assert [layer.bias_slice for layer in layers] == [(0, 8), (8, 16), (16, 24)]
    assert {layer.bias.name for layer in layers} == {"b"}


def test_skip_normalisation_gives_its_last_input_to_the_layer_before():
    """SkipLayerNormalization (input, skip, gamma, beta, bias)."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "/fc/MatMul"),
        helper.make_node("SkipLayerNormalization", ["h", "x", "g", "e", "b"], ["y"], "/norm", domain=MICROSOFT),
    ]
    tensors = {"w": weight(6, 6), "g": weight(6), "e": weight(6), "b": weight(6)}

    layers = {
        layer.kind: layer
        for layer in extract(model(nodes, {"x": ["N", 6]}, ["y"], tensors, domains=[MICROSOFT])).layers
    }

    assert layers["linear"].bias.name == "b"
    assert layers["norm"].bias.name == "e"


def test_embed_layer_normalization_is_three_tables_and_a_norm():
    """Words, positions and segments are embeddings; ids are no weights."""
    names = ["ids", "segments", "words", "positions", "kinds", "gamma", "beta"]
    node = helper.make_node("EmbedLayerNormalization", names, ["y", "mask"], "embed", domain=MICROSOFT)
    tensors = {
        "words": weight(30, 8),
        "positions": weight(16, 8),
        "kinds": weight(2, 8),
        "gamma": weight(8),
        "beta": weight(8),
    }
    proto = model([node], {}, ["y"], tensors, domains=[MICROSOFT])
    for name in names[:2]:
        proto.graph.input.append(helper.make_tensor_value_info(name, TensorProto.INT32, ["N", "T"]))

    extraction = extract(proto)

    assert [(layer.kind, layer.fan_in) for layer in extraction.layers] == [
        ("embedding", 30), ("embedding", 16), ("embedding", 2), ("norm", 1),
    ]  # fmt: skip
    assert extraction.audited == extraction.parameters == 48 * 8 + 16


@pytest.mark.parametrize(("shape", "fans"), [((3, 10, 6), (6, 10)), ((3, 6, 10), (6, 10))])
def test_experts_are_independent_copies_in_either_layout(shape, fans):
    """[experts, out, in] and [experts, in, out] are both in use; the bias tells which."""
    node = helper.make_node("MoE", ["x", "router", "fc1", "b1", "fc2"], ["y"], "moe", domain=MICROSOFT)
    second = (3, 6, 10) if shape == (3, 10, 6) else (3, 10, 6)
    tensors = {"fc1": weight(*shape), "b1": weight(3, 10), "fc2": weight(*second)}
    proto = model([node], {"x": ["N", 6], "router": ["N", 3]}, ["y"], tensors, domains=[MICROSOFT])

    first, last = extract(proto).layers

    assert (first.fan_in, first.fan_out) == fans
    assert (last.fan_in, last.fan_out) == fans[::-1]


def test_a_quantised_convolution_has_real_weights_and_bias():
    """QLinearConv: what onnxruntime computes is the convolution with the dequantised weight and bias."""
    # 7 bits: the kernel of a processor without VNNI adds pairs of products in 16 bits
    codes, bias = rng.integers(-63, 64, (4, 3, 2)).astype(np.int8), rng.integers(-900, 900, 4).astype(np.int32)
    names = ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        helper.make_node("QLinearConv", names, ["p"], "conv"),
        helper.make_node("DequantizeLinear", ["p", "ys", "yz"], ["y"]),
    ]
    tensors = {
        "w": codes, "b": bias, "xs": np.float32(0.02), "ws": rng.uniform(0.005, 0.02, 4).astype(np.float32),
        "xz": np.uint8(128), "wz": np.zeros(4, np.int8), "ys": np.float32(0.1), "yz": np.uint8(128),
    }  # fmt: skip
    proto = model(nodes, {"x": ["N", 3, 2]}, ["y"], tensors)
    x = rng.uniform(-1, 1, (5, 3, 2)).astype(np.float32)

    layer = only_layer(proto)
    (y,) = run(proto, {"x": x}, ["y"])

    flat = layer.weight.array().reshape(4, -1)
    expected = x.reshape(5, -1) @ flat.T + layer.auxiliary["bias"].array()
    np.testing.assert_allclose(np.clip(expected, -12.8, 12.7), y.reshape(5, 4), atol=0.25)
    assert layer.input.name == "x"


def test_slopes_of_prelu_are_scales():
    """One learned slope per channel, or one for all."""
    node = helper.make_node("PRelu", ["x", "slope"], ["y"], "act")

    layer = only_layer(model([node], {"x": ["N", 4, 6, 6]}, ["y"], {"slope": weight(4, 1, 1)}))

    assert (layer.kind, layer.fan_in, layer.fan_out) == ("scale", 1, 1)


@pytest.mark.parametrize(
    "name", ["blocks.0.gain", "alpha", "net/re_zero/mul/ReadVariableOp:0", "resweights.3", "logit_scale"]
)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_a_scalar_with_the_name_of_a_parameter_is_a_learned_gain(name: str, shape: tuple[int, ...]):
    """ReZero and SkipInit learn one number for a whole branch; it counts as one parameter."""
    nodes = [helper.make_node("Sin", ["x"], ["s"]), helper.make_node("Mul", ["s", name], ["y"], "gain")]

    extraction = extract(model(nodes, {"x": ["N", 4]}, ["y"], {name: np.full(shape, 0.5, np.float32)}))

    assert [(layer.kind, layer.parameters) for layer in extraction.layers] == [("scale", 1)]
    assert (extraction.parameters, extraction.audited, extraction.skipped) == (1, 1, ())


@pytest.mark.parametrize(
    "name",
    ["onnx::Mul_123", "mul1_init", "scalar_tensor_default_1", "block/mul/x:0", "/act/Constant_output_0", "fc.weight_scale",
     "embed.embed_scale", "c_lifted_tensor_0"],
)  # fmt: skip
def test_a_scalar_that_an_exporter_named_is_fixed(name: str):
    """The 1/sqrt(d) of attention, the half of a GELU, the scales of a quantiser: no parameters."""
    nodes = [helper.make_node("Sin", ["x"], ["s"]), helper.make_node("Mul", ["s", name], ["y"], "half")]

    extraction = extract(model(nodes, {"x": ["N", 4]}, ["y"], {name: np.array(0.5, np.float32)}))

    assert (extraction.layers, extraction.parameters) == ((), 0)
    assert [s.reason for s in extraction.skipped] == ["a scalar"]


def test_a_scalar_that_is_added_or_divided_by_is_no_gain():
    """An epsilon, or a temperature that was set."""
    nodes = [
        helper.make_node("Sin", ["x"], ["s"]),
        helper.make_node("Div", ["s", "norm.scale"], ["d"]),
        helper.make_node("Add", ["d", "norm.eps"], ["y"]),
    ]
    tensors = {"norm.scale": np.array(8.0, np.float32), "norm.eps": np.array(1e-5, np.float32)}

    assert extract(model(nodes, {"x": ["N", 4]}, ["y"], tensors)).layers == ()


def test_coefficients_of_classic_models_are_listed_as_no_layers():
    """A linear classifier of ai.onnx.ml keeps its coefficients in attributes."""
    node = helper.make_node(
        "LinearClassifier", ["x"], ["label", "y"], "clf", domain="ai.onnx.ml",
        coefficients=[0.5] * 6, intercepts=[0.0, 1.0], classlabels_ints=[0, 1],
    )  # fmt: skip

    extraction = extract(model([node], {"x": ["N", 3]}, ["y"], {}, domains=["ai.onnx.ml"]))

    assert extraction.layers == ()
    assert [(s.initializer, s.parameters, s.is_parameter) for s in extraction.skipped] == [("clf", 8, False)]


def test_deformable_convolutions_have_the_fans_of_convolutions():
    """Offsets move the taps, they do not change how many there are."""
    node = helper.make_node("DeformConv", ["x", "w", "offset", "b"], ["y"], "deform", kernel_shape=[3, 3])
    inputs = {"x": ["N", 4, 8, 8], "offset": ["N", 18, 6, 6]}

    layer = only_layer(model([node], inputs, ["y"], {"w": weight(5, 4, 3, 3), "b": weight(5)}, opset=19))

    assert (layer.kind, layer.fan_in, layer.fan_out) == ("conv", 36, 45)
    assert layer.bias.name == "b"


def test_rotary_tables_of_fused_attention_are_no_parameters():
    """GroupQueryAttention reads cosines and sines."""
    names = ["q", "k", "v", "", "", "lengths", "total", "cos", "sin"]
    node = helper.make_node("GroupQueryAttention", names, ["y"], "attn", domain=MICROSOFT, num_heads=2, kv_num_heads=2)
    tensors = {"cos": weight(16, 4), "sin": weight(16, 4), "lengths": np.zeros(1, np.int32), "total": np.int32(4)}

    extraction = extract(model([node], {n: ["N", 4, 8] for n in "qkv"}, ["y"], tensors, domains=[MICROSOFT]))

    assert extraction.parameters == 0
    assert {s.initializer for s in extraction.skipped if "rotary" in s.reason} == {"cos", "sin"}


def test_a_training_graph_has_the_layers_of_its_forward_pass():
    """Products of the backward pass use the weight again, and the optimiser has moments: neither is a layer."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], "/fc/MatMul"),
        helper.make_node("Transpose", ["w"], ["wt"]),
        helper.make_node("MatMul", ["g", "wt"], ["gx"], "/fc/MatMul_Grad/MatMul"),
        helper.make_node(
            "Adam", ["rate", "step", "w", "gw", "m", "v"], ["w2", "m2", "v2"], domain="ai.onnx.preview.training"
        ),
    ]
    tensors = {"w": weight(4, 3), "m": weight(4, 3), "v": weight(4, 3), "rate": np.float32(0.1), "step": np.array(1)}
    inputs = {"x": ["N", 4], "g": ["N", 3], "gw": [4, 3]}

    extraction = extract(model(nodes, inputs, ["y", "gx", "w2"], tensors, domains=["ai.onnx.preview.training"]))

    assert [layer.name for layer in extraction.layers] == ["/fc/MatMul"]
    assert extraction.parameters == 12
    assert {s.initializer for s in extraction.skipped if "optimiser" in s.reason} == {"m", "v"}
