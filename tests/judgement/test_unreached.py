"""An output that no input reaches is the exporter's fault, and no layer's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import ModelProto, helper

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.findings import Severity
from tests.networks import he, model

if TYPE_CHECKING:
    from initaudit.report.report import Report

op = helper.make_node
SHAPES = {"w": (24, 16), "v": (16, 24), "u": (10, 16), "p": (24, 16), "q": (5, 24)}


def network(
    start: list, entering: str, *, end: str = "y", outputs: tuple[str, ...] = ("y",), more: tuple = ()
) -> ModelProto:
    """Three layers with ReLUs that read the value `entering`, which `start` makes of the input x."""
    rng = np.random.default_rng(0)
    tensors = {name: he(shape, rng).astype(np.float32) for name, shape in SHAPES.items()}
    tensors |= {"example": rng.standard_normal((1, 16)).astype(np.float32), "zero": np.float32(0.0)}
    nodes = [
        *start,
        op("Gemm", [entering, "w"], ["z0"], "/first", transB=1),
        op("Relu", ["z0"], ["a0"]),
        op("Gemm", ["a0", "v"], ["z1"], "/second", transB=1),
        op("Relu", ["z1"], ["a1"]),
        op("Gemm", ["a1", "u"], [end], "/last", transB=1),
        *more,
    ]
    used = {name for node in nodes for name in node.input}
    return model(nodes, {"x": ["N", 16]}, outputs, {name: a for name, a in tensors.items() if name in used})


UNUSED = network([], "example", end="h", more=(
    op("ReduceSum", ["x"], ["s"], keepdims=0), op("Mul", ["s", "zero"], ["n"]), op("Add", ["h", "n"], ["y"]),
))  # fmt: skip
SHAPE_ONLY = network([op("Shape", ["x"], ["size"]), op("Expand", ["example", "size"], ["e"])], "e")
WIPED_OUT = network([op("Mul", ["x", "zero"], ["n"]), op("Add", ["n", "example"], ["e"])], "e")
HALF = network([], "x", outputs=("y", "z"), more=(
    op("Gemm", ["example", "p"], ["o0"], "/other", transB=1), op("Relu", ["o0"], ["o1"]), op("Gemm", ["o1", "q"], ["o2"], "/end", transB=1),
    op("Softmax", ["o2"], ["z"]),
))  # fmt: skip
HEALTHY = network([], "x")
BIASED = network(
    [], "example", end="h", more=(op("ReduceMean", ["h"], ["m"], keepdims=0), op("Add", ["x", "m"], ["y"]))
)


def collapsed(report: Report) -> list[tuple[Severity, str | None]]:
    return [(f.severity, f.layer) for f in report.findings if f.code == "INI405"]


@pytest.mark.parametrize("context", ["fresh", "trained"])
@pytest.mark.parametrize("baked", [UNUSED, SHAPE_ONLY], ids=["unused", "shape_only"])
def test_a_baked_in_example_is_an_error_of_the_model(baked: ModelProto, context: str):
    """The layers compute with a constant: the only error, about no layer, and nothing is said of learning."""
    report = audit(baked, Config(context=context))

    errors = [f for f in report.findings if f.severity is Severity.ERROR]
    assert [(f.code, f.layer) for f in errors] == [("INI405", None)]
    assert "'y' is the same for all inputs" in errors[0].message
    assert "3 layers" in errors[0].message
    assert report.verdict.trainability is None
    assert report.verdict.first_lost is None


def test_a_baked_in_example_shows_without_a_probe():
    """Where nothing but the shape of the input is read, the graph alone tells."""
    assert collapsed(audit(SHAPE_ONLY, Config(probe="none"))) == [(Severity.ERROR, None)]


def test_a_model_without_inputs_has_none_to_ignore():
    """All of it is known beforehand, and the probe says so."""
    sealed = network([], "example")
    del sealed.graph.input[:]

    assert collapsed(audit(sealed, Config(context="fresh"))) == []


def test_an_input_that_is_multiplied_by_zero_is_a_warning():
    """There is a way, on which nothing came through in the probe: real data may tell otherwise."""
    report = audit(WIPED_OUT, Config(context="fresh"))

    assert collapsed(report) == [(Severity.WARNING, None)]
    assert report.verdict.status == "warn"


def test_one_of_two_outputs_is_a_warning():
    """The other answers to the input."""
    report = audit(HALF, Config(context="fresh"))

    assert collapsed(report) == [(Severity.WARNING, None)]
    assert report.verdict.trainability is not None


@pytest.mark.parametrize("healthy", [HEALTHY, BIASED], ids=["plain", "constant_addend"])
def test_outputs_that_depend_on_the_input_are_let_pass(healthy: ModelProto):
    """Also where layers make a constant that is added to what comes from the input, as relative positions do."""
    assert collapsed(audit(healthy, Config(context="trained"))) == []
