"""INI106: a norm whose scale is off is named by what it does to the network, and `fix` sets it to 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import initaudit
from tests.networks import model, save, xavier


def transformer(scale: float, *, blocks: int = 4, post: bool = True, dtype: type = np.float32) -> onnx.ModelProto:
    """Residual blocks of two layers, LayerNorm with this scale behind the sum (`post`) or at the end of the branch, and a head."""
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {"head.weight": xavier((10, 64), rng), "zero": np.zeros(64)}
    nodes, value = [], "x"
    for i in range(blocks):
        tensors |= {f"b{i}.up.weight": xavier((128, 64), rng), f"b{i}.down.weight": xavier((64, 128), rng)}
        tensors[f"b{i}.norm.weight"] = np.full(64, scale)
        nodes.append(helper.make_node("Gemm", [value, f"b{i}.up.weight"], [f"u{i}"], f"up{i}", transB=1))
        nodes.append(helper.make_node("Relu", [f"u{i}"], [f"r{i}"]))
        nodes.append(helper.make_node("Gemm", [f"r{i}", f"b{i}.down.weight"], [f"d{i}"], f"down{i}", transB=1))
        added, normed = (f"d{i}", f"s{i}") if post else (f"n{i}", f"d{i}")
        add = helper.make_node("Add", [added, value], [f"s{i}"])
        norm = helper.make_node("LayerNormalization", [normed, f"b{i}.norm.weight", "zero"], [f"n{i}"], f"norm{i}")
        nodes += [add, norm] if post else [norm, add]
        value = f"n{i}" if post else f"s{i}"
    nodes.append(helper.make_node("Gemm", [value, "head.weight"], ["y"], "head", transB=1))
    stored = {name: array.astype(dtype) for name, array in tensors.items()}
    proto = model(nodes, {"x": ["N", 64]}, ["y"], stored)
    if dtype is np.float16:
        for port in (*proto.graph.input, *proto.graph.output):
            port.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    return proto


def findings(proto: onnx.ModelProto, **options: str) -> list[str]:
    """Severities of what INI106 says of a fresh network."""
    report = initaudit.audit(proto, context="fresh", **options)  # type: ignore[arg-type]
    return [f.severity.value for f in report.findings if f.code == "INI106"]


def test_a_norm_that_shrinks_the_only_way_is_a_fault():
    """Behind each sum of a post-norm transformer it meets skip and branch alike: a thousandth is left of every signal."""
    shrunk = findings(transformer(1e-3, blocks=6))

    assert len(shrunk) == 6
    assert set(shrunk) <= {"warning", "error"}
    assert findings(transformer(0.0)) == ["error"] * 4


@pytest.mark.parametrize("scale", [0.0, 1e-5, 0.05])
def test_a_small_scale_at_the_end_of_a_branch_is_deliberate(scale: float):
    """Zero gamma and LayerScale: the skip carries the signal, and the scale grows."""
    assert findings(transformer(scale, post=False)) == []


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_a_scale_of_about_one_is_not_named(scale: float):
    """RepVGG draws scales of 0.14, and schemes of transformers stay within a factor of a few."""
    assert findings(transformer(scale), probe="none") == []


def test_what_the_network_learns_with_is_information():
    """In one block a scale of 0.05 costs nothing: the layers behind still tell the inputs apart."""
    assert findings(transformer(0.05, blocks=1)) == ["info"]


def test_the_norm_of_a_weight_is_no_norm_of_the_signal():
    """NFNet standardises its kernels by a norm whose scale is 1 / sqrt(fan_in)."""
    rng = np.random.default_rng(0)
    tensors = {"w": xavier((64, 64), rng), "scale": np.full(64, 1e-2), "zero": np.zeros(64), "v": xavier((64, 10), rng)}
    nodes = [
        helper.make_node("LayerNormalization", ["w", "scale", "zero"], ["n"], "norm"),
        helper.make_node("MatMul", ["x", "n"], ["h"], "fc"),
        helper.make_node("MatMul", ["h", "v"], ["y"], "head"),
    ]
    proto = model(nodes, {"x": ["N", 64]}, ["y"], {n: a.astype(np.float32) for n, a in tensors.items()})

    assert findings(proto, probe="none") == []


def test_a_trained_norm_is_left_alone():
    """Whatever training made of the scale is what the layers behind expect."""
    report = initaudit.audit(transformer(1e-3), context="trained", probe="none")

    assert [f for f in report.findings if f.code == "INI106"] == []


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_fix_sets_the_scale_to_one_in_its_own_type(dtype: type, tmp_path: Path):
    """The scales alone change, and the network learns."""
    path = save(transformer(1e-3, dtype=dtype), tmp_path / "m.onnx")
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}

    result = initaudit.fix(path, tmp_path / "out.onnx", select=("INI106",))
    after = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "out.onnx").graph.initializer}

    scales = {name for name in before if name.endswith("norm.weight")}
    assert {name for name in before if not np.array_equal(before[name], after[name])} == scales
    assert all(after[name].dtype == dtype and (after[name] == 1).all() for name in scales)
    assert result.after is not None
    assert result.after.verdict.trainability > max(0.9, result.before.verdict.trainability)
    assert "INI106" not in {f.code for f in result.after.findings}
