"""Two versions of a model side by side: layers find their partners, and the change between them is measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from initaudit.judgement.compare import LayerChange, compare, earlier_layers, untouched_layers
from initaudit.measuring.measure import measure
from tests.extracting import extract
from tests.networks import mlp, model, save


def changes(before: onnx.ModelProto, after: onnx.ModelProto) -> tuple[LayerChange, ...]:
    """The changes from one model to the other."""
    return compare(extract(before).layers, extract(after).layers)


def edited(edit: Callable[[np.ndarray], np.ndarray], *names: str) -> onnx.ModelProto:
    """Three layers, the named weights of them edited."""
    return mlp([6, 6, 6, 6], change={f"{name}.weight": edit for name in names})


def renamed(proto: onnx.ModelProto, *, nodes: str = "", tensors: str = "") -> onnx.ModelProto:
    """As another exporter writes it: names of nodes or of stored tensors get a beginning, and the node its place in the list."""
    for tensor in proto.graph.initializer:
        tensor.name = tensors + tensor.name
    for place, node in enumerate(proto.graph.node):
        node.name = nodes + str(place) if nodes else node.name
        for i, name in enumerate(node.input):
            if name.startswith("fc"):
                node.input[i] = tensors + name
    return proto


@settings(max_examples=25)
@given(factor=st.floats(-4, 4).filter(lambda f: abs(f - 1) > 1e-3))
def test_the_change_is_relative_to_the_norm_before(factor: float) -> None:
    """|f W - W| / |W| = |f - 1|, and nothing is said of the layers beside it."""
    found = changes(edited(lambda w: w), edited(lambda w: w * factor, "fc1"))

    assert [c.change for c in found] == [0.0, pytest.approx(abs(factor - 1), rel=1e-4), 0.0]


def test_the_change_of_one_weight_is_not_overlooked() -> None:
    """Equal means equal in every bit; what arose from nothing changed without bound."""

    def nudged(weight: np.ndarray) -> np.ndarray:
        weight[2, 3] += 1e-3
        return weight

    (first, second, _) = changes(edited(np.zeros_like, "fc0"), edited(nudged, "fc1"))

    assert first.change == math.inf
    assert second.change is not None
    assert 0 < second.change < 1e-3


def narrowed(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with its tensors in float16."""
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    return proto


@pytest.mark.parametrize("values", [lambda w: np.round(w * 8) / 8, np.zeros_like], ids=["eighths", "zeros"])
def test_a_change_of_type_alone_is_no_change(values: Callable[[np.ndarray], np.ndarray]) -> None:
    """Values that both types hold exactly are the same values."""
    names = ("fc0", "fc1", "fc2")

    assert [c.change for c in changes(edited(values, *names), narrowed(edited(values, *names)))] == [0.0, 0.0, 0.0]


def test_broken_weights_that_stayed_as_they_were_are_unchanged() -> None:
    """NaN is not equal to itself, but its bits are."""
    broken = edited(lambda w: w * np.nan, "fc1")

    assert [c.change for c in changes(broken, broken)] == [0.0, 0.0, 0.0]


def test_the_difference_of_large_half_precision_weights_does_not_overflow() -> None:
    """40000 and -40000 are float16, 80000 is not."""
    names = ("fc0", "fc1", "fc2")
    plus, minus = (narrowed(edited(lambda w, v=v: np.full_like(w, v), *names)) for v in (4e4, -4e4))

    assert [c.change for c in changes(plus, minus)] == pytest.approx([2.0, 2.0, 2.0])


@pytest.mark.parametrize("names", [{"nodes": "node_"}, {"tensors": "module."}, {"nodes": "n", "tensors": "model/"}])
def test_another_export_of_the_same_weights_is_unchanged(names: dict[str, str]) -> None:
    """Partners are found by title, by stored name, or by shape and order, whichever the exporter left."""
    found = changes(mlp([6, 6, 6, 6]), renamed(mlp([6, 6, 6, 6]), **names))

    assert [c.change for c in found] == [0.0, 0.0, 0.0]
    assert all(c.before and c.after for c in found)


def test_titles_go_before_order() -> None:
    """Layers of one shape that changed places are compared with themselves."""
    rng = np.random.default_rng(0)
    tensors = {name: rng.normal(size=(4, 4)).astype(np.float32) for name in ("a.weight", "b.weight")}
    nodes = [helper.make_node("MatMul", ["x", f"{n}.weight"], [n], f"/{n}/MatMul") for n in "ab"]

    forth = model(nodes, {"x": ["N", 4]}, ["a", "b"], tensors)
    back = model(nodes[::-1], {"x": ["N", 4]}, ["a", "b"], tensors)
    found = changes(forth, back)

    assert [(c.before, c.after, c.change) for c in found] == [
        ("/b/MatMul", "/b/MatMul", 0.0),
        ("/a/MatMul", "/a/MatMul", 0.0),
    ]


def test_layers_of_another_shape_are_gone_and_new() -> None:
    """A head for another number of classes is another layer; the rest pairs as before."""
    found = changes(mlp([6, 6, 10]), mlp([6, 6, 4, 4]))

    assert [(c.before, c.after, c.change, c.parameters) for c in found] == [
        ("/fc0/Gemm", "/fc0/Gemm", 0.0, 36),
        ("/fc1/Gemm", None, None, 60),
        (None, "/fc1/Gemm", None, 24),
        (None, "/fc2/Gemm", None, 16),
    ]


def test_weights_that_cannot_be_read_are_paired_without_a_figure() -> None:
    """Nothing is claimed of values that are too many to hold."""
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"], "fc")], {"x": ["N", 1 << 20]}, ["y"], {})
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [2.5])
    place = helper.make_tensor("w_index", TensorProto.INT64, [1], [7])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, place, [1 << 20, 1 << 10]))

    (found,) = changes(proto, proto)

    assert (found.before, found.after, found.change) == ("fc", "fc", None)


def test_the_untouched_layers_are_those_with_equal_values(tmp_path: Path) -> None:
    """By their names in both models; a changed layer and one without a partner are not among them."""
    before = save(renamed(mlp([6, 6, 6, 6, 3]), nodes="old"), tmp_path / "before.onnx")
    after = mlp([6, 6, 6, 6, 4], change={"fc1.weight": lambda w: w * 1.5})
    layers, _ = measure(extract(after).layers)

    assert untouched_layers(layers, earlier_layers(before, layers)) == {"/fc0/Gemm": "old0", "/fc2/Gemm": "old4"}
