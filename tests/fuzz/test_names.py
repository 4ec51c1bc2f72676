"""Names, shapes and attributes of any kind in an otherwise sound model."""

from __future__ import annotations

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.model.parameter_names import module_of
from tests.fuzz.mutation.attributes import USUAL
from tests.fuzz.outcome import check_report
from tests.fuzz.strategies import names, refused
from tests.networks import mlp, model

WEIGHT = np.random.default_rng(0).normal(0, 1.0, (4, 4)).astype(np.float32)
STATIC = Config(probe="none")
OPERATORS = (
    "Conv",
    "Transpose",
    "Reshape",
    "Slice",
    "Split",
    "Concat",
    "Softmax",
    "LSTM",
    "Gather",
    "Pad",
    "Cast",
    "Flatten",
    "Einsum",
)


def check(proto: onnx.ModelProto) -> None:
    """A report that every format can show, or a refusal in words."""
    said = refused(lambda: check_report(audit(proto.SerializeToString(), STATIC)))

    assert said is None or said.startswith("<memory>: ")


@settings(max_examples=25)
@given(given_names=st.lists(names(), min_size=6, max_size=6))
def test_a_name_is_text_and_nothing_else_in_every_format(given_names: list[str]):
    """Of a node, a tensor, an input, a domain, the producer, the graph: no format hides a character of it or obeys it."""
    node, tensor, port, domain, producer, graph = given_names
    proto = mlp([4, 4, 4])
    proto.graph.node[0].name = node
    proto.graph.node[0].input[1] = proto.graph.initializer[0].name = tensor or "w"
    proto.graph.node[0].input[0] = proto.graph.input[0].name = port or "x"
    proto.graph.node.add(op_type="Own", domain=domain or "own", input=["y"], output=["z"])
    proto.producer_name, proto.graph.name = producer, graph

    check(proto)


@given(name=st.one_of(names(), st.text("ab01._:/'[]", max_size=200)))
def test_the_module_of_a_tensor_is_found_in_any_name(name: str):
    """Without stepping back and forth: two hundred characters take no time."""
    module_of(name)


@settings(max_examples=60)
@given(dims=st.lists(st.integers(-2, 1 << 62) | st.integers(0, 5), max_size=6), stored=st.integers(0, 80))
def test_a_shape_is_one_that_the_bytes_fill_or_refused(dims: list[int], stored: int):
    """Nothing is allocated for what is not there."""
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 4]}, ["y"], {"w": WEIGHT})
    del proto.graph.initializer[0].dims[:]
    proto.graph.initializer[0].dims.extend(dims)
    proto.graph.initializer[0].raw_data = bytes(stored)

    check(proto)


@settings(max_examples=60)
@given(
    operator=st.sampled_from(OPERATORS),
    name=st.sampled_from(USUAL),
    value=st.one_of(
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.floats(width=32),
        st.lists(st.integers(-5, 1 << 62), min_size=1, max_size=6),
        st.binary(max_size=12),
        st.lists(st.binary(max_size=5), min_size=1, max_size=3),
    ),
    on_weight=st.booleans(),
)
def test_an_attribute_of_any_value_is_followed_or_refused(operator: str, name: str, value: object, on_weight: bool):
    """On the way of the data, or of the weight: the layer is listed with the reason."""
    inputs = {
        "Reshape": ["s"],
        "Slice": ["s", "s"],
        "LSTM": ["w", "w"],
        "Gather": ["s"],
        "Pad": ["s"],
        "Conv": ["w"],
    }.get(operator, [])
    node = helper.make_node(operator, ["w" if on_weight else "x", *inputs], ["h"])
    node.attribute.append(helper.make_attribute(name, value))
    product = ["x", "h"] if on_weight else ["h", "w"]
    nodes = [node, helper.make_node("MatMul", product, ["y"])]

    check(model(nodes, {"x": ["N", 4]}, ["y"], {"w": WEIGHT, "s": np.array([0, 1])}))
