"""Masks made of random draws are taken at their expectation; other random numbers stay."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, helper

from initaudit.probe.adapt import adapt
from initaudit.probe.masks import EXPECTED
from tests.networks import he, model
from tests.probe.probing import probed

WIDTH = 64
KEEP = 0.8
UNIFORM = helper.make_node("RandomUniformLike", ["h"], ["u"], "draw", dtype=onnx.TensorProto.FLOAT)

MASKS = {
    "less": [  # torch's stochastic depth, and its Dropout written out
        UNIFORM,
        helper.make_node("Less", ["u", "keep"], ["below"]),
        helper.make_node("Cast", ["below"], ["kept"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Div", ["kept", "keep"], ["mask"]),
    ],
    "floor": [  # timm and transformers
        UNIFORM,
        helper.make_node("Add", ["keep", "u"], ["above"]),
        helper.make_node("Floor", ["above"], ["kept"]),
        helper.make_node("Div", ["kept", "keep"], ["mask"]),
    ],
    "not": [  # Keras
        UNIFORM,
        helper.make_node("Less", ["u", "drop"], ["below"]),
        helper.make_node("Not", ["below"], ["over"]),
        helper.make_node("Cast", ["over"], ["kept"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["inverse", "kept"], ["mask"]),
    ],
    "shape": [
        helper.make_node("RandomUniform", [], ["u"], "draw", shape=[1, WIDTH]),
        helper.make_node("Add", ["keep", "u"], ["above"]),
        helper.make_node("Floor", ["above"], ["kept"]),
        helper.make_node("Div", ["kept", "keep"], ["mask"]),
    ],
    "bernoulli": [
        helper.make_node("Bernoulli", ["keep"], ["kept"], "draw"),
        helper.make_node("Div", ["kept", "keep"], ["mask"]),
    ],
}


def residual(mask: list[NodeProto], join: str = "Mul", *, outputs: tuple[str, ...] = ("y",)):
    """A branch that a mask is multiplied into, beside what passes it by."""
    rng = np.random.default_rng(0)
    tensors = {
        "w": he((WIDTH, WIDTH), rng),
        "v": he((WIDTH, WIDTH), rng),
        "head": he((8, WIDTH), rng),
        "keep": np.float32(KEEP),
        "drop": np.float32(1 - KEEP),
        "inverse": np.float32(1 / KEEP),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"], "first", transB=1),
        helper.make_node("Relu", ["h"], ["a"], "act"),
        helper.make_node("Gemm", ["a", "v"], ["b"], "second", transB=1),
        *(NodeProto.FromString(node.SerializeToString()) for node in mask),
        helper.make_node(join, ["b", "mask"] if mask else ["b", "one"], ["m"], "join"),
        helper.make_node("Add", ["m", "h"], ["s"], "add"),
        helper.make_node("Gemm", ["s", "head"], ["y"], "head", transB=1),
    ]
    tensors["one"] = np.float32(1.0)
    return model(nodes, {"x": ["N", WIDTH]}, list(outputs), {n: np.asarray(a, np.float32) for n, a in tensors.items()})


@pytest.mark.parametrize("form", MASKS)
def test_a_mask_over_its_keep_probability_is_one(form: str) -> None:
    """However it is written, signals and gradients are those of the network without it."""
    adapted, notes = adapt(residual(MASKS[form]))
    found, expected = probed(adapted), probed(residual([]))

    assert notes == [EXPECTED]
    for here, there in zip(found.signals, expected.signals, strict=True):
        assert here.mean_square == pytest.approx(there.mean_square, rel=1e-3)
        assert here.gradient_rms == pytest.approx(there.gradient_rms, rel=1e-3)
    assert not any("random" in note for note in found.answer["notes"])


def test_a_mask_that_is_not_divided_keeps_its_share() -> None:
    """Who divides the value instead of the mask, or neither, has the expectation of what the file computes."""
    bare = [*MASKS["floor"][:-1], helper.make_node("Identity", ["kept"], ["mask"])]
    adapted, _ = adapt(residual(bare, outputs=("y", "m", "b")))

    session = onnxruntime.InferenceSession(adapted.SerializeToString())
    _, masked, value = session.run(None, {"x": np.random.default_rng(1).normal(size=(3, WIDTH)).astype(np.float32)})

    assert masked == pytest.approx(KEEP * value, rel=1e-3)


OTHERS = {
    "noise that scales": [helper.make_node("RandomNormalLike", ["b"], ["mask"])],
    "noise of one sign": [helper.make_node("RandomUniformLike", ["b"], ["mask"], dtype=onnx.TensorProto.FLOAT)],
    "random signs": [
        UNIFORM,
        helper.make_node("Less", ["u", "keep"], ["below"]),
        helper.make_node("Cast", ["below"], ["kept"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Sub", ["kept", "drop"], ["mask"]),
    ],
    "samples of what is computed": [
        helper.make_node("Sigmoid", ["h"], ["chance"]),
        helper.make_node("Bernoulli", ["chance"], ["mask"]),
    ],
    "thresholds that are computed": [
        UNIFORM,
        helper.make_node("Less", ["u", "h"], ["below"]),
        helper.make_node("Cast", ["below"], ["mask"], to=onnx.TensorProto.FLOAT),
    ],
}


@pytest.mark.parametrize("form", OTHERS)
def test_what_is_no_mask_is_still_drawn(form: str) -> None:
    """Its expectation is not what the network learns with: that of a latent variable's noise is nothing at all."""
    adapted, notes = adapt(residual(OTHERS[form]))

    assert notes == []
    assert any(node.op_type.startswith(("Random", "Bernoulli")) for node in adapted.graph.node)
    assert "gradients were not measured: the network draws random numbers" in probed(adapted).answer["notes"]


def test_a_mask_that_is_added_or_given_out_is_still_drawn() -> None:
    """It does more than to multiply."""
    assert adapt(residual(MASKS["less"], "Add"))[1] == []
    assert adapt(residual(MASKS["less"], outputs=("y", "kept")))[1] == []


def test_a_product_of_masks_of_one_draw_is_still_drawn() -> None:
    """A mask times itself has the expectation of the one, not its square."""
    twice = [
        *MASKS["floor"][:-1],
        helper.make_node("Div", ["kept", "keep"], ["scaled"]),
        helper.make_node("Mul", ["kept", "scaled"], ["mask"]),
    ]

    assert adapt(residual(twice))[1] == []
