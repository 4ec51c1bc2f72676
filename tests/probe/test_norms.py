"""BatchNorms are probed as training runs them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.networks import he, model, normal
from tests.probe.probing import probed

WIDTH = 32
DEPTH = 4


def normalised_mlp(norm: str, *, bias: float = 0.0, zero: int | None = None, statistics: list[str] | None = None):
    """Gemm, BatchNorm, ReLU, in a row; `norm`: evaluation, training, or folded (its weights grow the signal by 3 a layer).

    The bias stands in each layer; the weight of layer `zero` is zero; `statistics` become outputs of the model.
    """
    rng = np.random.default_rng(0)
    tensors = {"one": np.ones(WIDTH), "zero": np.zeros(WIDTH), "bias": np.full(WIDTH, bias)}
    nodes, value = [], "x"
    for i in range(DEPTH):
        tensors[f"w{i}"] = he((WIDTH, WIDTH), rng) * (0 if i == zero else 3)
        raw, out = (f"n{i}", f"n{i}") if norm == "folded" else (f"z{i}", f"n{i}")
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", "bias"], [raw], f"fc{i}", transB=1))
        if norm == "folded":
            nodes[-1].metadata_props.add(key="pkg.onnxscript.rewriter.rule_name", value="FuseBatchNormIntoGemm")
        else:
            training = norm == "training"
            outputs = [out, f"mean{i}", f"variance{i}"] if training else [out]
            attributes = {"training_mode": 1} if training else {}
            inputs = [raw, "one", "zero", "zero", "one"]
            nodes.append(helper.make_node("BatchNormalization", inputs, outputs, f"bn{i}", **attributes))
        nodes.append(helper.make_node("Relu", [out], [f"a{i}"], f"act{i}"))
        value = f"a{i}"
    tensors["head"] = normal(0.1)((8, WIDTH), rng)
    nodes.append(helper.make_node("Gemm", [value, "head"], ["y"], "head", transB=1))
    stored = {name: array.astype(np.float32) for name, array in tensors.items()}
    return model(nodes, {"x": ["N", WIDTH]}, ["y", *(statistics or ())], stored)


@pytest.mark.parametrize("norm", ["training", "folded"])
def test_however_it_was_exported_the_norm_acts_as_in_training(norm: str) -> None:
    """Forward and backward signals are those of the same network with its norms in evaluation mode at their defaults."""
    expected = probed(normalised_mlp("evaluation"))

    found = probed(normalised_mlp(norm))

    assert found.answer["batch_norm"] == "batch"
    assert found.answer["norms_restored"] is (norm == "folded")
    assert [layer.name for layer in found.layers] == [layer.name for layer in expected.layers]
    for here, there in zip(found.signals, expected.signals, strict=True):
        assert here.mean_square == pytest.approx(there.mean_square, rel=1e-5)
        assert here.variance == pytest.approx(there.variance, rel=1e-5)
        assert here.gradient_rms == pytest.approx(there.gradient_rms, rel=0.5)  # other draws
        assert here.weight_gradient == pytest.approx(there.weight_gradient, rel=0.5)


@pytest.mark.parametrize("norm", ["evaluation", "training", "folded"])
def test_a_norm_leaves_unit_variance(norm: str) -> None:
    """A batch of one would leave nothing, the running statistics would leave the scale of the weights."""
    result = probed(normalised_mlp(norm), mode="forward")

    assert [signal.mean_square for signal in result.signals[:-1]] == pytest.approx([1.0] * DEPTH, rel=1e-3)


@pytest.mark.parametrize(("bias", "restored"), [(0.0, True), (0.17, True), (0.2, False)])
def test_a_folded_norm_was_fresh_if_the_bias_is_as_drawn(bias: float, restored: bool) -> None:
    """Frameworks draw biases within 1 / sqrt(fan_in), here 0.177; learned statistics leave more in the fold."""
    result = probed(normalised_mlp("folded", bias=bias), mode="forward")

    assert result.answer["norms_restored"] is restored
    assert (result.answer["batch_norm"] == "batch") is restored


def test_a_layer_of_zeros_had_a_norm_of_scale_zero() -> None:
    """It passes neither signal nor gradient, as in training: dividing by a standard deviation of 0 would make a gradient of 300."""
    zero = DEPTH - 1

    result = probed(normalised_mlp("folded", zero=zero))

    assert result.answer["norms_restored"]
    assert result.signals[zero].mean_square == 0.0
    assert result.signals[zero].gradient_rms < 1.0


def cross_stage(norm: str, taken: str = "Split"):
    """A convolution whose output is taken apart, each half with layers of its own, as in CSP networks; its norm is `evaluation` or folded.

    The halves differ in scale. `taken`: the operator that takes them, or Reshape, behind which a half is no longer channels.
    """
    rng = np.random.default_rng(0)
    weight = he((32, 8, 1, 1), rng) * np.repeat([5.0, 0.5], 16)[:, None, None, None]
    tensors = {"one": np.ones(32), "zero": np.zeros(32), "w": weight, "bias": np.zeros(32), "head": he((8, 32), rng)}
    raw = "h" if norm == "folded" else "z"
    nodes = [helper.make_node("Conv", ["x", "w", "bias"], [raw], "conv")]
    if norm == "folded":
        nodes[0].metadata_props.add(key="pkg.onnxscript.rewriter.rule_name", value="FuseBatchNormIntoConv")
    else:
        nodes.append(helper.make_node("BatchNormalization", ["z", "one", "zero", "zero", "one"], ["h"], "bn"))
    if taken == "Slice":
        integers = {"first": [0], "middle": [16], "last": [32], "axis": [1]}
        nodes += [
            helper.make_node("Slice", ["h", "first", "middle", "axis"], ["h0"], "slice0"),
            helper.make_node("Slice", ["h", "middle", "last", "axis"], ["h1"], "slice1"),
        ]
    elif taken == "Split":
        integers = {"sizes": [16, 16]}
        nodes.append(helper.make_node("Split", ["h", "sizes"], ["h0", "h1"], "split", axis=1))
    else:
        integers = {"sizes": [16, 16], "axis": [0]}
        nodes += [
            helper.make_node("Unsqueeze", ["h", "axis"], ["u"], "unsqueeze"),
            helper.make_node("Split", ["u", "sizes"], ["u0", "u1"], "split", axis=2),
            *(helper.make_node("Squeeze", [f"u{i}", "axis"], [f"h{i}"], f"squeeze{i}") for i in range(2)),
        ]
    for i in range(2):
        tensors[f"w{i}"] = he((16, 16, 1, 1), rng)
        nodes.append(helper.make_node("Relu", [f"h{i}"], [f"a{i}"], f"act{i}"))
        nodes.append(helper.make_node("Conv", [f"a{i}", f"w{i}"], [f"b{i}"], f"branch{i}"))
    nodes += [
        helper.make_node("Concat", ["b0", "b1"], ["c"], "concat", axis=1),
        helper.make_node("GlobalAveragePool", ["c"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "head"], ["y"], "head", transB=1),
    ]
    stored = {name: array.astype(np.float32) for name, array in tensors.items()}
    stored |= {name: np.array(numbers, np.int64) for name, numbers in integers.items()}
    return model(nodes, {"x": ["N", 8, 6, 6]}, ["y"], stored)


@pytest.mark.parametrize("taken", ["Split", "Slice"])
def test_a_folded_norm_whose_channels_are_taken_apart_is_put_behind_each_part(taken: str) -> None:
    """A BatchNorm treats each channel alone: one norm before the split and one behind each part are the same network."""
    expected = probed(cross_stage("evaluation", taken))
    found = probed(cross_stage("folded", taken))

    assert found.answer["norms_restored"]
    ours, theirs = (
        {layer.name: signal for layer, signal in zip(p.layers, p.signals, strict=True)} for p in (found, expected)
    )
    assert {"w[1/2]", "w[2/2]"} <= ours.keys()
    assert ours["w[1/2]"].mean_square == pytest.approx(1.0, rel=1e-3)
    assert ours["w[2/2]"].mean_square == pytest.approx(1.0, rel=1e-3)
    for name in ("branch0", "branch1", "head"):
        assert ours[name].mean_square == pytest.approx(theirs[name].mean_square, rel=1e-5)
        assert ours[name].gradient_rms == pytest.approx(theirs[name].gradient_rms, rel=0.5)  # other draws
    both = np.hypot(ours["w[1/2]"].weight_gradient, ours["w[2/2]"].weight_gradient)
    assert both == pytest.approx(theirs["w"].weight_gradient, rel=0.5)
    assert ours["w[2/2]"].gradient_rms > 5 * ours["w[1/2]"].gradient_rms  # the norm divides by the scale


def test_no_norm_is_put_behind_parts_that_lie_otherwise() -> None:
    """Behind a further axis the norm would take the batch for its channels."""
    result = probed(cross_stage("folded", "Reshape"), mode="forward")

    assert result.answer["norms_restored"] is False


def test_statistics_that_somebody_reads_are_still_given() -> None:
    """A model that hands out the new statistics of a norm runs on, as it is."""
    result = probed(normalised_mlp("training", statistics=["mean0"]), mode="forward")

    assert len(result.signals) == DEPTH + 1


def test_no_norm_is_put_behind_weights_that_are_no_plain_float32() -> None:
    """The statistics would have another type than the values."""
    network = normalised_mlp("folded")
    for tensor in network.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float16), tensor.name))
    for info in (*network.graph.input, *network.graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16

    result = probed(network, mode="forward")

    assert result.answer["norms_restored"] is False
    assert result.signals
