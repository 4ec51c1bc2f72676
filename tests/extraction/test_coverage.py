"""Every stored tensor is accounted for once: by a layer, or with the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from initaudit.auditor import audit
from initaudit.config import Config
from tests.extracting import extract
from tests.networks import mlp, model

if TYPE_CHECKING:
    from onnx import NodeProto

    from initaudit.extraction.layer import Extraction, Skipped


def floats(*shape: int) -> np.ndarray:
    """Some weights."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def found(
    nodes: Sequence[NodeProto], tensors: Mapping[str, np.ndarray], output: str = "y", width: int = 4
) -> Extraction:
    """What is found in a model with the input x [N, width]."""
    return extract(model(nodes, {"x": ["N", width]}, [output], tensors, opset=13, domains=["custom"]))


def only_skipped(extraction: Extraction) -> Skipped:
    """The one tensor that no layer stands for."""
    (skipped,) = extraction.skipped
    return skipped


@given(widths=st.lists(st.integers(2, 9), min_size=2, max_size=6), foreign=st.integers(2, 50))
def test_what_is_audited_and_what_is_not_add_up(widths: list[int], foreign: int) -> None:
    """Weights and biases of the layers, and a tensor that an unknown operator reads."""
    proto = mlp(widths)
    proto.graph.initializer.append(helper.make_tensor("t", TensorProto.FLOAT, [foreign], np.ones(foreign)))
    proto.graph.node.append(helper.make_node("Magic", ["x", "t"], ["u"], domain="custom"))
    proto.opset_import.append(helper.make_opsetid("custom", 1))

    extraction = extract(proto)

    assert extraction.audited == sum(before * after + after for before, after in pairwise(widths))
    assert extraction.parameters == extraction.audited + foreign


def test_a_tensor_of_two_layers_counts_once() -> None:
    """Tied weights are one set of parameters, and so is a bias that is added twice."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], "first"),
        helper.make_node("Gemm", ["h", "w", "b"], ["y"], "second"),
    ]

    extraction = found(nodes, {"w": floats(4, 4), "b": floats(4)})

    assert len(extraction.layers) == 2
    assert extraction.parameters == extraction.audited == 20
    assert extraction.skipped == ()


def test_scales_and_zero_points_are_no_parameters() -> None:
    """They encode the weights; the eight-bit values are what was learned."""
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"], "fc"),
    ]
    tensors = {"q": np.ones((4, 6), np.int8), "scale": floats(6), "zero": np.zeros(6, np.int8)}

    extraction = found(nodes, tensors)

    assert extraction.parameters == extraction.audited == 24
    assert extraction.skipped == ()


def test_both_factors_of_a_weight_normalisation_were_learned() -> None:
    """g v, where the graph multiplies the direction by the magnitude."""
    nodes = [
        helper.make_node("Mul", ["v", "g"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"], "fc"),
    ]

    extraction = found(nodes, {"v": floats(4, 6), "g": floats(1, 6)})

    assert extraction.parameters == extraction.audited == 30


MAGIC = helper.make_node("Magic", ["x", "t"], ["u"], domain="custom")
OTHER = helper.make_node("Abracadabra", ["x", "t"], ["v"], domain="custom")


@pytest.mark.parametrize(
    ("tensor", "nodes", "reason", "learned"),
    [
        (floats(4), [], "no operator reads it", False),
        (floats(4), [helper.make_node("Identity", ["t"], ["u"])], "no operator reads it", False),
        (np.float32(2), [MAGIC], "a scalar", False),
        (np.array([[2.0]], np.float32), [], "a scalar", False),
        (np.arange(4), [MAGIC], "a table of integers", False),
        (np.array(["a", "b"], object), [MAGIC], "text", False),
        (np.array(["a"], object), [], "text", False),
        (floats(4), [MAGIC], "read by Magic, which", True),
        (floats(4), [MAGIC, OTHER], "read by Abracadabra, Magic, which", True),
        (floats(4), [helper.make_node("Magic", ["t"], ["u"], domain="custom")], "Magic of constants cannot", True),
    ],
)
def test_what_is_no_layer_has_its_reason(
    tensor: np.ndarray, nodes: list[NodeProto], reason: str, learned: bool
) -> None:
    """Floats that an operator reads may be learned, whatever it does with them; the rest certainly is not."""
    layer = helper.make_node("MatMul", ["x", "w"], ["y"], "fc")

    extraction = found([layer, *nodes], {"w": floats(4, 6), "t": tensor})
    skipped = only_skipped(extraction)

    assert skipped.initializer == "t"
    assert skipped.reason.startswith(reason)
    assert skipped.is_parameter is learned
    assert skipped.parameters == np.size(tensor)
    assert extraction.parameters == 24 + (np.size(tensor) if learned else 0)


def test_a_constant_that_is_the_answer_is_said_to_be_so() -> None:
    """A table that the model hands out as it is."""
    proto = model([], {"x": ["N", 4]}, ["t"], {"t": floats(4, 2)})

    skipped = only_skipped(extract(proto))

    assert skipped.reason.startswith("an output of the model as it is")
    assert not skipped.is_parameter


@pytest.mark.parametrize(
    ("nodes", "named"),
    [
        ([helper.make_node("Conv", ["x", "w"], ["y"])], True),
        ([helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Conv", ["x", "w"], ["y"])], True),
        ([helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Relu", ["w"], ["y"])], False),
        ([helper.make_node("Conv", ["w", "x"], ["y"])], False),
        ([helper.make_node("MatMul", ["x", "w"], ["y"])], False),
        ([helper.make_node("Relu", ["x"], ["y"])], False),
    ],
    ids=["weight", "weight-of-two", "also-data", "data", "product-of-two-inputs", "unused"],
)
def test_weights_that_the_caller_brings_are_named(nodes: list[NodeProto], named: bool) -> None:
    """Where it stands at places that take nothing but learned values."""
    extraction = extract(model(nodes, {"x": ["N", 3, 5], "w": [7, 3, 2]}, ["y"], {}))
    brought = [(s.initializer, s.parameters, s.is_parameter) for s in extraction.skipped if not s.stored]

    assert (("w", 42, False) in brought) is named
    assert extraction.parameters == 0


def test_a_weight_of_unknown_length_counts_by_the_axes_that_are_known() -> None:
    """How many units it has, the caller decides."""
    node = helper.make_node("Conv", ["x", "w"], ["y"])

    skipped = only_skipped(extract(model([node], {"x": ["N", 3, 5], "w": ["units", 3, 2]}, ["y"], {})))

    assert (skipped.parameters, skipped.stored) == (6, False)


def test_what_is_computed_of_a_tensor_counts_no_more_than_the_tensor() -> None:
    """A scalar spread over 400 million elements is one parameter; it is not audited, by whichever of two layers, and the rules say so."""
    shape = np.array([8, 50_000_000], np.int64)
    nodes = [
        helper.make_node("Expand", ["e", "s"], ["v"]),
        helper.make_node("Exp", ["v"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"], "first"),
        helper.make_node("MatMul", ["x", "w"], ["z"], "second"),
    ]

    report = audit(model(nodes, {"x": ["N", 8]}, ["y", "z"], {"e": np.float32(1), "s": shape}), Config(probe="none"))

    assert (report.audited, report.parameters) == (0, 1)
    assert [(s.initializer, s.parameters) for s in report.skipped if s.is_parameter] == [("e", 1)]
    assert any("1 of 1 parameters" in f.message for f in report.findings if f.code == "INI901")
