"""INI302: in a trained network a norm or gain that still is what it starts at was not restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper

import initaudit
from tests.networks import model, trained_like

if TYPE_CHECKING:
    from initaudit.findings import Finding

DEPTH = 4
WIDTH = 32
START = {"weight": np.ones(WIDTH), "bias": np.zeros(WIDTH)}


def network(
    *, values: Mapping[str, np.ndarray | float] | None = None, gains: float | None = None, dtype: type = np.float32
) -> onnx.ModelProto:
    """Residual blocks of LayerNorm `b<i>.norm` and Gemm, times the gain `b<i>.gamma` where `gains` are given, all trained but for `values`."""
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {"head.weight": trained_like((10, WIDTH), rng)}
    nodes, stream = [], "x"
    for i in range(DEPTH):
        tensors[f"b{i}.norm.weight"] = 1 + rng.normal(0, 0.1, WIDTH)
        tensors[f"b{i}.norm.bias"] = rng.normal(0, 0.1, WIDTH)
        tensors[f"b{i}.fc.weight"] = trained_like((WIDTH, WIDTH), rng)
        norm = [stream, f"b{i}.norm.weight", f"b{i}.norm.bias"]
        nodes.append(helper.make_node("LayerNormalization", norm, [f"n{i}"], f"norm{i}"))
        nodes.append(helper.make_node("Gemm", [f"n{i}", f"b{i}.fc.weight"], [f"z{i}"], f"fc{i}", transB=1))
        branch = f"z{i}"
        if gains is not None:
            tensors[f"b{i}.gamma"] = gains + rng.normal(0, 0.1, WIDTH)
            nodes.append(helper.make_node("Mul", [branch, f"b{i}.gamma"], [f"g{i}"], f"gain{i}"))
            branch = f"g{i}"
        nodes.append(helper.make_node("Add", [branch, stream], [f"s{i}"], f"add{i}"))
        stream = f"s{i}"
    nodes.append(helper.make_node("Gemm", [stream, "head.weight"], ["y"], "head", transB=1))
    for name, value in (values or {}).items():
        tensors[name] = np.broadcast_to(value, tensors[name].shape)
    proto = model(nodes, {"x": ["N", WIDTH]}, ["y"], {n: np.array(a, dtype) for n, a in tensors.items()})
    if dtype is np.float16:
        for port in (*proto.graph.input, *proto.graph.output):
            port.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    return proto


def reset(*blocks: int, to: float = 1.0) -> dict[str, float]:
    """Scale and bias of the norms of these blocks."""
    return {f"b{i}.norm.weight": to for i in blocks} | {f"b{i}.norm.bias": 0.0 for i in blocks}


def found(proto: onnx.ModelProto, probe: str = "none", context: str = "trained") -> list[Finding]:
    """What INI302 says of it."""
    report = initaudit.audit(proto, context=context, probe=probe)
    return [f for f in report.findings if f.code == "INI302"]


def test_a_norm_that_stayed_behind_is_named():
    """Training moves scale and bias of every channel; no chance leaves one norm of four exactly where it was."""
    (finding,) = found(network(values=reset(2)))

    assert (finding.layer, finding.severity, finding.confidence) == ("norm2", "warning", "high")
    assert found(network()) == []
    assert found(network(values=reset(2)), context="fresh") == []


def test_one_finding_names_all_where_none_moved():
    """They may be frozen, so confidence is medium."""
    (finding,) = found(network(values=reset(*range(DEPTH))))

    assert (finding.severity, finding.confidence) == ("warning", "medium")
    assert all(f"norm{i}" in finding.message for i in range(DEPTH))


def test_a_moved_bias_tells_that_the_norm_was_trained():
    """Frameworks leave the scale out on request, and exporters put ones there."""
    assert found(network(values={"b1.norm.weight": 1.0})) == []


@pytest.mark.parametrize("probe", ["none", "full"])
def test_a_norm_without_parameters_is_nothing(probe: str):
    """Its ones and zeros are constants that the exporter put in."""
    proto = network(values=reset(1))
    for name in ("b1.norm.weight", "b1.norm.bias"):
        tensor = next(t for t in proto.graph.initializer if t.name == name)
        proto.graph.initializer.remove(tensor)
        proto.graph.node.insert(0, helper.make_node("Constant", [], [name], value=tensor))

    assert found(proto, probe=probe) == []


def test_a_norm_that_no_output_depends_on_is_nothing():
    """A pruned path gives no gradient."""
    proto = network()
    for name, value in START.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value.astype(np.float32), f"aux.{name}"))
    proto.graph.node.append(helper.make_node("LayerNormalization", ["s0", "aux.weight", "aux.bias"], ["u"], "aux"))
    proto.graph.node.append(helper.make_node("Relu", ["u"], ["v"]))

    assert found(proto) == []


def test_a_norm_of_zeros_lets_nothing_pass():
    """It is a fault of its own, and no deliberate start after training."""
    (finding,) = found(network(values=reset(1, to=0.0)))

    assert (finding.layer, finding.severity) == ("norm1", "warning")
    assert "next to nothing passes" in finding.message


@pytest.mark.parametrize("value", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("blocks", [(2,), tuple(range(DEPTH))])
def test_a_gain_back_at_its_start_is_named(value: float, blocks: tuple[int, ...]):
    """LayerScale that was not restored switches its branch off, or fully on."""
    findings = found(network(gains=0.5, values={f"b{i}.gamma": value for i in blocks}))

    assert [(f.layer, f.severity.value) for f in findings] == [(f"gain{blocks[0]}", "warning")]
    assert found(network(gains=0.5)) == []


def test_half_precision_rounds_a_scale_that_hardly_moved_to_one():
    """A bias near zero stays what it is, so that one of exactly zeros tells; a scale alone does not."""
    slight = {f"b{i}.norm.weight": np.where(np.arange(WIDTH) % 2, 1.0, 1.002) for i in range(DEPTH)}
    unbiased = network(values=slight | {"b1.norm.weight": 1.0}, dtype=np.float16)
    for node in unbiased.graph.node:
        if node.op_type == "LayerNormalization":
            del node.input[2]

    assert [f.severity.value for f in found(network(values=slight | reset(1), dtype=np.float16))] == ["warning"]
    assert [f.severity.value for f in found(unbiased)] == ["info"]


def test_batch_norm_statistics_that_share_their_tensors_with_scale_and_bias_are_seen():
    """An exporter that stores equal tensors once does so exactly where ones and zeros were never updated."""
    rng = np.random.default_rng(0)
    tensors = {"fc.weight": trained_like((WIDTH, WIDTH), rng), "head.weight": trained_like((10, WIDTH), rng)}
    tensors |= {f"norm.{name}": value for name, value in START.items()}
    nodes = [
        helper.make_node("Identity", ["norm.weight"], ["variance"]),
        helper.make_node("Identity", ["norm.bias"], ["mean"]),
        helper.make_node("Gemm", ["x", "fc.weight"], ["z"], "fc", transB=1),
        helper.make_node("BatchNormalization", ["z", "norm.weight", "norm.bias", "mean", "variance"], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["a"]),
        helper.make_node("Gemm", ["a", "head.weight"], ["y"], "head", transB=1),
    ]
    proto = model(nodes, {"x": ["N", WIDTH]}, ["y"], {n: a.astype(np.float32) for n, a in tensors.items()})

    (finding,) = found(proto)

    assert finding.layer == "norm"
    assert "running statistics" in finding.message


def folded(zero: int | None) -> onnx.ModelProto:
    """Four trained convolutions with the biases of folded norms, as torch's older exporter names them; the one at `zero` holds zeros."""
    rng = np.random.default_rng(0)
    tensors, nodes, value = {}, [], "x"
    for i in range(4):
        tensors[f"onnx::Conv_{2 * i}"] = trained_like((8, 8, 3, 3), rng).astype(np.float32)
        bias = np.zeros(8) if i == zero else rng.normal(0, 0.3, 8)
        tensors[f"onnx::Conv_{2 * i + 1}"] = bias.astype(np.float32)
        inputs = [value, f"onnx::Conv_{2 * i}", f"onnx::Conv_{2 * i + 1}"]
        nodes.append(helper.make_node("Conv", inputs, [f"c{i}"], f"/c{i}/Conv", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        value = f"r{i}"
    return model(nodes, {"x": ["N", 8, 6, 6]}, [value], tensors)


@pytest.mark.parametrize("zero", [None, 2])
def test_a_folded_norm_that_shifts_nothing_was_not_restored(zero: int | None):
    """mean 0 and bias 0 leave a bias of zeros behind; training moves both."""
    findings = initaudit.audit(folded(zero), context="trained", probe="none").findings

    assert [f.layer for f in findings if f.code == "INI302"] == ([] if zero is None else [f"/c{zero}/Conv"])
