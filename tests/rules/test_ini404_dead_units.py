"""Dead units are as bad as what they do to the network: fatal in a chain, a branch less beside a skip, no fault behind silence."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

import initaudit
from tests.networks import he, model


def network(*, skip: bool, bias: float = 0.0, stem: float = 1.0) -> onnx.ModelProto:
    """Four ReLU layers of 32 units: a stem (its weights times `stem`), two in a block with or without a skip, a head.

    `bias` is that of the first layer in the block.
    """
    rng = np.random.default_rng(0)
    tensors = {name: he((32, 32), rng).astype(np.float32) for name in ("stem.w", "a.w", "b.w", "head.w")}
    tensors["stem.w"] *= np.float32(stem)
    tensors["a.b"] = np.full(32, bias, np.float32)
    nodes = [
        helper.make_node("Gemm", ["x", "stem.w"], ["s"], "stem", transB=1),
        helper.make_node("Relu", ["s"], ["t"]),
        helper.make_node("Gemm", ["t", "a.w", "a.b"], ["p"], "a", transB=1),
        helper.make_node("Relu", ["p"], ["q"]),
        helper.make_node("Gemm", ["q", "b.w"], ["h"], "b", transB=1),
        helper.make_node("Add", ["h", "t"], ["u"]) if skip else helper.make_node("Relu", ["h"], ["u"]),
        helper.make_node("Gemm", ["u", "head.w"], ["y"], "head", transB=1),
    ]
    return model(nodes, {"x": ["N", 32]}, ["y"], tensors)


def found(of: onnx.ModelProto, code: str = "INI404", probe: str = "full") -> dict[str | None, str]:
    """Layers that the rule names in a fresh network, with the severity."""
    report = initaudit.audit(of, context="fresh", probe=probe)
    return {f.layer: f.severity.value for f in report.findings if f.code == code}


def test_a_dead_layer_in_a_chain_is_an_error_at_that_layer_alone() -> None:
    """No signal and no gradient passes it. The layers behind it get zeros, which is not their doing."""
    assert found(network(skip=False, bias=-100.0)) == {"a": "error"}


def test_a_dead_layer_in_a_branch_of_a_network_that_learns_is_a_warning() -> None:
    """The branch is lost, the stream goes past it."""
    assert found(network(skip=True, bias=-100.0)) == {"a": "warning"}


def test_a_dead_layer_in_a_branch_is_an_error_where_nobody_saw_the_network_learn() -> None:
    """The forward probe says nothing of the gradient."""
    assert found(network(skip=True, bias=-100.0), probe="forward") == {"a": "error"}


def test_a_layer_that_gets_only_zeros_is_not_dead() -> None:
    """Behind a stem of zero weights every ReLU rests until the stem has its first gradient: the stem is what is named."""
    silent = network(skip=True, stem=0.0)

    assert found(silent) == {}
    assert set(found(silent, "INI003")) == {"stem"}


def squeeze(*, common: float, negative: int = 0) -> onnx.ModelProto:
    """A ReLU layer of 64 units whose inputs have the mean `common` beside unit variance; the weights of `negative` units are below zero."""
    rng = np.random.default_rng(0)
    weight = he((64, 64), rng).astype(np.float32)
    weight[:negative] = -np.abs(weight[:negative])
    tensors = {"mean": np.float32(common), "a.w": weight, "head.w": he((8, 64), rng).astype(np.float32)}
    nodes = [
        helper.make_node("Add", ["x", "mean"], ["m"]),
        helper.make_node("Gemm", ["m", "a.w"], ["p"], "a", transB=1),
        helper.make_node("Relu", ["p"], ["q"]),
        helper.make_node("Gemm", ["q", "head.w"], ["y"], "head", transB=1),
    ]
    return model(nodes, {"x": ["N", 64]}, ["y"], tensors)


def test_units_that_chance_puts_on_one_side_of_alike_inputs_are_not_dead() -> None:
    """At similarity .988, 42 % of the units are off for all of 16 inputs in the mean over draws: half of them is within the error."""
    report = initaudit.audit(squeeze(common=8.0), context="fresh")
    signal = next(layer.signal for layer in report.audit.layers if layer.layer.name == "a")

    assert (signal.dead, signal.similarity) == (pytest.approx(0.516, abs=0.01), pytest.approx(0.988, abs=0.001))
    assert found(squeeze(common=8.0)) == {}


def test_more_than_chance_is_named_where_inputs_are_alike() -> None:
    """With half of the weights turned against the common part, three quarters of the units are off."""
    assert found(squeeze(common=8.0, negative=40)) == {"a": "warning"}
