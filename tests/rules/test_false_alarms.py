"""Sound networks that look odd: each was once taken for faulty."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

import initaudit
from tests.networks import he, mlp, model, normal, trained_like


def serious(network: onnx.ModelProto, **options: str) -> set[str]:
    """Codes of the warnings and errors."""
    report = initaudit.audit(network, probe="none", **options)
    return {f.code for f in report.findings if f.severity.value in ("warning", "error")}


def test_a_published_small_scheme_is_no_fault_before_the_probe_says_so() -> None:
    """N(0, 0.02) in narrow layers is how BERT starts; a scale that nobody published is another matter."""
    assert "INI101" not in serious(mlp((16, 64, 64, 64, 10), draw=normal(0.02)), context="fresh")
    assert "INI101" in serious(mlp((16, 64, 64, 64, 10), draw=normal(0.0037)), context="fresh")


def test_xavier_with_the_fans_of_a_framework_fits_a_strided_convolution() -> None:
    """Frameworks leave the stride out of the fans; a quarter of the target's variance in the backward direction is no other scheme."""
    weight = np.random.default_rng(0).normal(0, (2 / (9 * 16 + 9 * 32)) ** 0.5, (32, 16, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], "conv", strides=[2, 2]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Conv", ["t", "v"], ["y"], "next"),
    ]
    last = he((8, 32, 3, 3), np.random.default_rng(1)).astype(np.float32)
    network = model(nodes, {"x": ["N", 16, 9, 9]}, ["y"], {"w": weight, "v": last})

    report = initaudit.audit(network, probe="none")

    assert report.audit.layers[0].provenance.law == "xavier_normal"
    assert "INI103" not in {f.code for f in report.findings if f.layer == "conv"}


def gate(context: str) -> set[str]:
    """u * (W v + 1) with a tiny W behind a norm, as the spatial gating unit of gMLP starts."""
    rng = np.random.default_rng(0)
    tensors = {
        "wu": he((64, 32), rng).astype(np.float32),
        "w": rng.uniform(-0.001, 0.001, (64, 32)).astype(np.float32),
        "b": np.ones(64, np.float32),
        "scale": rng.normal(1, 0.1, 32).astype(np.float32),
    }
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale"], ["n"], "norm"),
        helper.make_node("Gemm", ["n", "wu"], ["u"], "up", transB=1),
        helper.make_node("Gemm", ["n", "w", "b"], ["g"], "gate", transB=1),
        helper.make_node("Mul", ["u", "g"], ["y"]),
    ]
    return serious(model(nodes, {"x": ["N", 32]}, ["y"], tensors), context=context)


def test_a_gate_may_start_at_a_constant() -> None:
    """The bias of one decides alone at the start, so that the other factor passes; after training it should not."""
    assert not {"INI101", "INI301"} & gate("fresh")
    assert "INI301" in gate("trained")


def test_one_bell_shaped_layer_does_not_make_a_trained_network_mixed() -> None:
    """Between layers that were clearly trained, one that passes for a normal draw by accident proves nothing."""
    network = mlp((64, 64, 48, 48, 10), draw=trained_like, change={"fc1.weight": lambda w: bell(w.shape)})

    report = initaudit.audit(network, probe="none")

    assert report.verdict.context == "trained"


def bell(shape: tuple[int, ...]) -> np.ndarray:
    """LeCun normal: one of the commonest laws, and the shape that training leaves most often."""
    return np.random.default_rng(3).normal(0, shape[1] ** -0.5, shape)


def test_mixing_factors_behind_a_normalisation_are_no_scale_of_it() -> None:
    """x a + x (1 - a), as RWKV mixes time steps: `a` starts as a ramp, which says nothing of training."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0.01, 0.99, 32).astype(np.float32)
    tensors = {
        "scale": np.ones(32, np.float32),
        "bias": np.zeros(32, np.float32),
        "a": ramp,
        "b": 1 - ramp,
        "w": he((32, 32), rng).astype(np.float32),
    }
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["n"], "norm"),
        helper.make_node("Mul", ["n", "a"], ["l"], "mix1"),
        helper.make_node("Mul", ["n", "b"], ["r"], "mix2"),
        helper.make_node("Add", ["l", "r"], ["s"]),
        helper.make_node("MatMul", ["s", "w"], ["y"], "fc"),
    ]

    report = initaudit.audit(model(nodes, {"x": ["N", 32]}, ["y"], tensors), probe="none")

    assert report.audit is not None
    assert {a.layer.kind for a in report.audit.layers if "mix" in a.layer.name} == {"scale"}
    assert report.verdict.context == "fresh"


def small_weights(folded: bool) -> onnx.ModelProto:
    """A plain chain of twelve layers that shrinks the signal; `folded`: as torch's exporter leaves Linear and BatchNorm."""
    network = mlp((64,) * 13, draw=normal(0.02))
    for node in network.graph.node:
        if folded and node.op_type == "Gemm":
            node.metadata_props.add(key="pkg.onnxscript.rewriter.rule_name", value="FuseBatchNormIntoGemm")
    return network


def test_what_a_folded_norm_makes_up_for_is_no_error() -> None:
    """The norm that the exporter folded acts in training; the file alone would not learn."""
    severities = {
        folded: {f.severity.value for f in initaudit.audit(small_weights(folded), probe="full").findings}
        for folded in (False, True)
    }

    assert "error" in severities[False]
    assert severities[True] <= {"info"}


def depthwise(kernels: np.ndarray) -> set[str]:
    """A depthwise convolution with these kernels [channels, 1, 3, 3] in a network said to be trained."""
    rng = np.random.default_rng(0)
    channels = len(kernels)
    tensors = {"w": kernels.astype(np.float32), "p": he((16, channels, 1, 1), rng).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["d"], "depthwise", group=channels),
        helper.make_node("Conv", ["d", "p"], ["y"], "pointwise"),
    ]
    return serious(model(nodes, {"x": ["N", channels, 8, 8]}, ["y"], tensors), context="trained")


def test_equal_depthwise_kernels_are_a_filter_or_a_fault() -> None:
    """All alike they blur on purpose; half of them alike, or each of them flat at a scale of its own, no training leaves."""
    rng = np.random.default_rng(0)
    learned = rng.standard_t(3, (32, 1, 3, 3))
    blur = np.tile(np.outer([1, 2, 1], [1, 2, 1]) / 16.0, (32, 1, 1, 1))
    copied = learned.copy()
    copied[:16] = copied[0]

    assert not {"INI002", "INI004"} & depthwise(learned)
    assert not {"INI002", "INI004"} & depthwise(blur)
    assert "INI004" in depthwise(copied)
    assert "INI002" in depthwise(np.ones((32, 1, 3, 3)) * rng.uniform(0.5, 2, (32, 1, 1, 1)))


def test_a_head_of_two_classes_has_two_units() -> None:
    """Trained with softmax its rows are w and -w: the two sides of one plane, not one unit twice."""

    def opposed(w: np.ndarray) -> np.ndarray:
        return np.stack([w[0], -w[0]])

    network = mlp((32, 48, 48, 2), draw=trained_like, change={"fc2.weight": opposed})

    assert "INI004" not in serious(network, context="trained")


def test_a_smooth_rectifier_may_start_far_below_zero() -> None:
    """Mamba's step sizes: softplus of a bias of -2 to -7, whatever the weights; at -100 nothing passes."""

    def steps(bias: float) -> set[str]:
        change = {"fc0.weight": lambda w: w * 0.1, "fc0.bias": lambda b: b + bias}
        return serious(mlp((16, 64, 64), "Softplus", change=change), context="fresh")

    assert "INI301" not in steps(-6.0)
    assert "INI301" in steps(-100.0)
