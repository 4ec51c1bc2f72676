"""Networks of integers are measured in the real numbers that they stand for: as the networks that they were made from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper

from tests.networks import he, mlp, model
from tests.probe.probing import Probed, probed

WIDTHS = (64, 96, 64, 10)
ACTIVATION_STEP = 0.04
"""Of codes of 8 bits: they reach 5, beyond nearly all activations of unit variance."""


def weights() -> list[np.ndarray]:
    """He normal, [inputs, units]."""
    rng = np.random.default_rng(0)
    return [he((after, before), rng).T.astype(np.float32) for before, after in pairwise(WIDTHS)]


def plain() -> onnx.ModelProto:
    """The network in float32."""
    nodes: list[NodeProto] = []
    value, tensors = "x", {}
    for i, w in enumerate(weights()):
        tensors[f"w{i}"] = w
        nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [f"z{i}"], f"fc{i}"))
        nodes.append(helper.make_node("Relu", [f"z{i}"], [f"a{i}"], f"relu{i}"))
        value = f"a{i}"
    return model(nodes[:-1], {"x": ["N", WIDTHS[0]]}, [f"z{len(WIDTHS) - 2}"], tensors)


def coded(w: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Codes of 8 bits and their scale."""
    scale = np.float32(np.abs(w).max() / 127)
    return np.rint(w / scale).astype(np.int8), scale


def of_codes() -> onnx.ModelProto:
    """QLinearMatMul after QLinearMatMul; the zero point of its output cuts off what ReLU would."""
    step = np.float32(ACTIVATION_STEP)
    tensors: dict[str, np.ndarray] = {
        "step": np.asarray(step), "middle": np.int8(0), "lowest": np.int8(-128), "in": np.asarray(step), "none": np.int8(0)
    }  # fmt: skip
    nodes = [helper.make_node("QuantizeLinear", ["x", "in", "middle"], ["q"], "quantise")]
    value, zero = "q", "middle"
    for i, w in enumerate(weights()):
        tensors[f"w{i}"], scale = coded(w)
        tensors[f"s{i}"] = np.asarray(scale)
        last = i == len(WIDTHS) - 2
        out = "middle" if last else "lowest"
        inputs = [value, "step", zero, f"w{i}", f"s{i}", "none", "step", out]
        nodes.append(helper.make_node("QLinearMatMul", inputs, [f"z{i}"], f"fc{i}"))
        value, zero = f"z{i}", out
    nodes.append(helper.make_node("DequantizeLinear", [value, "step", zero], ["y"], "dequantise"))
    return model(nodes, {"x": ["N", WIDTHS[0]]}, ["y"], tensors)


def of_dynamic_codes() -> onnx.ModelProto:
    """MatMulInteger on inputs that are quantised as they come."""
    nodes: list[NodeProto] = []
    tensors: dict[str, np.ndarray] = {}
    value = "x"
    for i, w in enumerate(weights()):
        tensors[f"w{i}"], scale = coded(w)
        tensors[f"s{i}"] = np.asarray(scale)
        nodes += [
            helper.make_node("DynamicQuantizeLinear", [value], [f"q{i}", f"d{i}", f"o{i}"], f"quantise{i}"),
            helper.make_node("MatMulInteger", [f"q{i}", f"w{i}", f"o{i}"], [f"i{i}"], f"fc{i}"),
            helper.make_node("Cast", [f"i{i}"], [f"f{i}"], f"cast{i}", to=1),
            helper.make_node("Mul", [f"d{i}", f"s{i}"], [f"m{i}"], f"scale{i}"),
            helper.make_node("Mul", [f"f{i}", f"m{i}"], [f"z{i}"], f"back{i}"),
            helper.make_node("Relu", [f"z{i}"], [f"a{i}"], f"relu{i}"),
        ]
        value = f"a{i}"
    return model(nodes[:-1], {"x": ["N", WIDTHS[0]]}, [f"z{len(WIDTHS) - 2}"], tensors)


def of_qonnx() -> onnx.ModelProto:
    """Quant of 8 bits on weights and activations."""
    domain = "qonnx.custom_op.general"
    tensors: dict[str, np.ndarray] = {"zero": np.float32(0), "bits": np.float32(8), "step": np.float32(ACTIVATION_STEP)}
    nodes: list[NodeProto] = []
    value = "x"
    for i, w in enumerate(weights()):
        tensors[f"w{i}"], tensors[f"s{i}"] = w, np.asarray(np.float32(np.abs(w).max() / 127))
        nodes += [
            helper.make_node("Quant", [value, "step", "zero", "bits"], [f"q{i}"], f"quant{i}", domain=domain),
            helper.make_node("Quant", [f"w{i}", f"s{i}", "zero", "bits"], [f"v{i}"], f"weight{i}", domain=domain),
            helper.make_node("MatMul", [f"q{i}", f"v{i}"], [f"z{i}"], f"fc{i}"),
            helper.make_node("Relu", [f"z{i}"], [f"a{i}"], f"relu{i}"),
        ]
        value = f"a{i}"
    return model(nodes[:-1], {"x": ["N", WIDTHS[0]]}, [f"z{len(WIDTHS) - 2}"], tensors, domains=[domain])


def binary(depth: int) -> onnx.ModelProto:
    """Signs times signs, normalised: a layer of a binary network."""
    rng = np.random.default_rng(0)
    width = 128
    tensors: dict[str, np.ndarray] = {"n": np.float32(width**-0.5)}
    nodes: list[NodeProto] = []
    value = "x"
    for i in range(depth):
        tensors[f"w{i}"] = rng.normal(0, 0.1, (width, width)).astype(np.float32)
        nodes += [
            helper.make_node("Sign", [value], [f"s{i}"], f"sign{i}"),
            helper.make_node("Sign", [f"w{i}"], [f"v{i}"], f"weight{i}"),
            helper.make_node("MatMul", [f"s{i}", f"v{i}"], [f"p{i}"], f"fc{i}"),
            helper.make_node("Mul", [f"p{i}", "n"], [f"z{i}"], f"scale{i}"),
        ]
        value = f"z{i}"
    return model(nodes, {"x": ["N", width]}, [value], tensors)


def gradients(found: Probed) -> list[float]:
    """By layer."""
    return [s.gradient_rms or 0.0 for s in found.signals]


@pytest.mark.parametrize("make", [of_codes, of_dynamic_codes], ids=["codes", "dynamic"])
def test_a_network_of_codes_has_the_signal_and_the_gradient_of_the_one_it_was_made_from(make):
    """Eight bits round by a per cent or so; what a quantiser cuts off is in the tails."""
    expected, found = probed(plain()), probed(make())

    for here, there in zip(found.signals, expected.signals, strict=True):
        assert here.mean_square == pytest.approx(there.mean_square, rel=0.05)
    assert gradients(found) == pytest.approx(gradients(expected), rel=0.15)


def test_products_of_codes_have_a_weight_gradient():
    """That of the plain product."""
    expected, found = probed(plain()), probed(of_codes())

    for here, there in zip(found.signals, expected.signals, strict=True):
        assert here.weight_gradient == pytest.approx(there.weight_gradient, rel=0.2)


def test_quantisers_of_qonnx_are_run_and_have_a_gradient():
    """No runtime has kernels for them."""
    import initaudit

    expected = probed(plain())
    report = initaudit.audit(of_qonnx(), probe="full")

    assert report.audit.probe.status == "complete"
    found = [a.signal for a in report.audit.layers]
    for here, there in zip(found, expected.signals, strict=True):
        assert here is not None
        assert here.mean_square == pytest.approx(there.mean_square, rel=0.05)
        assert here.gradient_rms == pytest.approx(there.gradient_rms, rel=0.15)


def test_a_binary_network_is_not_chaotic():
    """Its gradient is that of the hard tanh in the place of each sign, which lets 68 % of N(0, 1) through and all of what is smaller."""
    slopes = np.asarray(gradients(probed(binary(8))))

    ratios = slopes[:-1] / slopes[1:]
    assert ratios.min() > 0.68**0.5 * 0.9
    assert ratios.max() < 1.1


def test_a_sign_that_makes_an_absolute_value_keeps_its_own_gradient():
    """x sign(x) = |x| has slope one everywhere: as large a gradient as the identity."""
    rng = np.random.default_rng(0)
    w = {f"w{i}": rng.normal(0, 0.125, (64, 64)).astype(np.float32) for i in range(2)}

    def network(middle: list[NodeProto], value: str) -> onnx.ModelProto:
        nodes = [helper.make_node("MatMul", ["x", "w0"], ["z"], "first"), *middle]
        nodes.append(helper.make_node("MatMul", [value, "w1"], ["y"], "second"))
        return model(nodes, {"x": ["N", 64]}, ["y"], w)

    sign = helper.make_node("Sign", ["z"], ["s"], "sign")
    absolute = network([sign, helper.make_node("Mul", ["z", "s"], ["a"], "absolute")], "a")

    assert gradients(probed(absolute)) == pytest.approx(gradients(probed(network([], "z"))), rel=0.1)


def test_float_networks_are_left_alone():
    """No note, no other numbers."""
    assert probed(mlp((16, 16, 4))).answer["notes"] == []
