"""The layer that gives a deformable convolution its offsets starts at zero, and moves taps by pixels where it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import initaudit
from tests.networks import he, model

RUNS = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 25)
measured = pytest.mark.skipif(not RUNS, reason="onnxruntime has no kernel for DeformConv before 1.25")


def deformable(scale: float, *, taken_apart: bool = False) -> onnx.ModelProto:
    """Conv, a deformable convolution whose offsets a He-drawn Conv times `scale` gives, and a head."""
    rng = np.random.default_rng(0)
    tensors = {
        "stem": he((8, 3, 3, 3), rng),
        "offset": he((18, 8, 3, 3), rng) * scale,
        "taps": he((16, 8, 3, 3), rng),
        "head": he((10, 16), rng),
    }
    nodes = [
        helper.make_node("Conv", ["x", "stem"], ["s"], "stem", pads=[1] * 4),
        helper.make_node("Relu", ["s"], ["r"]),
        helper.make_node("Conv", ["r", "offset"], ["o"], "offset", pads=[1] * 4),
        helper.make_node("DeformConv", ["r", "taps", "moves" if taken_apart else "o"], ["d"], "taps", pads=[1] * 4),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "head"], ["y"], "head", transB=1),
    ]
    if taken_apart:
        nodes.insert(3, helper.make_node("Split", ["o"], ["o1", "o2"], axis=1, num_outputs=2))
        nodes.insert(4, helper.make_node("Concat", ["o1", "o2"], ["moves"], axis=1))
    stored = {n: a.astype(np.float32) for n, a in tensors.items()}
    return model(nodes, {"x": ["N", 3, 8, 8]}, ["y"], stored, opset=19)


def loud(proto: onnx.ModelProto, context: str = "fresh") -> set[tuple[str, str | None]]:
    """Warnings and errors, with their layers."""
    report = initaudit.audit(proto, context=context, probe="full")
    return {(f.code, f.layer) for f in report.findings if f.severity.value != "info"}


@measured
@pytest.mark.parametrize("taken_apart", [False, True])
def test_drawn_offsets_move_the_taps_at_random(taken_apart: bool):
    """He's scale moves them by more than a pixel; zero, or next to it, is how Dai et al. 2017 start."""
    found = loud(deformable(1.0, taken_apart=taken_apart))

    assert {(code, layer[:6]) for code, layer in found if layer} == {("INI102", "offset")}
    assert loud(deformable(0.0, taken_apart=taken_apart)) == set()
    assert loud(deformable(1e-3, taken_apart=taken_apart)) == set()


def test_trained_offsets_may_be_of_any_size():
    """What training made of them is what it needed."""
    assert "INI102" not in {code for code, _ in loud(deformable(1.0), context="trained")}


def test_fix_sets_offsets_to_zero(tmp_path: Path):
    """A new draw would move the taps again."""
    initaudit.fix(deformable(1.0), tmp_path / "out.onnx", select=("INI102",))
    after = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "out.onnx").graph.initializer}

    assert not after["offset"].any()
    assert after["taps"].any()
