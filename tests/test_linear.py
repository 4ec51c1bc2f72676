"""Work grows as the file does, whatever it has much of: a file of a few megabytes is read within seconds."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import islice

import numpy as np
import onnx
from onnx import TensorProto, helper

from initaudit.activations import follow
from initaudit.activations.surroundings import leads_to_output_only
from initaudit.advising.modules import Modules
from initaudit.advising.parameters import weight_of
from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.extraction.extract import extract_layers
from initaudit.formats.page.anchors import layer_anchors
from initaudit.judgement.entrance import entrance_layers
from initaudit.judgement.input_scale import is_linear_in_the_input
from initaudit.model.build import build_graph
from initaudit.model.graph import Graph, Node
from initaudit.model.load import load_model
from initaudit.model.scope import Scope
from initaudit.probe.inputs.dimensions import layout_of
from initaudit.probe.inputs.facts import Facts
from initaudit.probe.inputs.follow import facts_of
from initaudit.probe.inputs.search import assignments
from initaudit.probe.inputs.states import mark_states
from initaudit.probe.real_numbers import is_rounded
from initaudit.probe.segments import Network
from tests.counting import growth
from tests.extracting import extract
from tests.networks import model
from tests.planning import plan

Work = Callable[[], object]
LINEAR = 2.3
"""Twice the work for twice the size, and room for sorting."""
SIZE = 60


def test_rows_of_layers_that_are_all_called_alike_get_addresses_in_linear_time():
    def work(count: int) -> Work:
        layers = [{"name": f"fc#{i}", "title": "fc"} for i in range(count)]
        return lambda: layer_anchors(layers)

    assert growth(work, SIZE) < LINEAR


def test_the_parameters_of_layers_whose_names_were_lost_are_found_in_linear_time():
    def work(count: int) -> Work:
        nodes = [
            helper.make_node("MatMul", [f"h{i}", f"onnx::MatMul_{i}"], [f"h{i + 1}"], f"/layers.{i}/MatMul")
            for i in range(count)
        ]
        stored = {f"onnx::MatMul_{i}": np.eye(2, dtype=np.float32) + i for i in range(count)}
        layers = extract(model(nodes, {"h0": ["N", 2]}, [f"h{count}"], stored)).layers

        def find() -> None:
            modules = Modules.of(layers)
            paths = [weight_of(layer, modules, from_torch=True) for layer in layers]
            assert [p and p.path for p in paths] == [f"layers.{i}.weight" for i in range(count)]

        return find

    assert growth(work, SIZE) < LINEAR


def test_the_constant_nodes_of_each_layer_are_found_in_linear_time():
    def work(count: int) -> Work:
        nodes = []
        for i in range(count):
            nodes += [
                helper.make_node("Neg", [f"w{i}"], [f"n{i}"]),
                helper.make_node("MatMul", [f"h{i}", f"n{i}"], [f"h{i + 1}"]),
            ]
        stored = {f"w{i}": np.eye(2, dtype=np.float32) for i in range(count)}
        network = Network(model(nodes, {"h0": ["N", 2]}, [f"h{count}"], stored))
        return lambda: [network.constant_part([f"n{i}"]) for i in range(count)]

    assert growth(work, SIZE) < LINEAR


def added(count: int) -> onnx.ModelProto:
    """Constants added in a row, each of which may be learned."""
    nodes = [helper.make_node("Add", [f"h{i}", f"c{i}"], [f"h{i + 1}"]) for i in range(count)]
    stored = {f"c{i}": np.arange(2, dtype=np.float32) + i for i in range(count)}
    return model(nodes, {"h0": ["N", 2]}, [f"h{count}"], stored)


def test_the_ways_behind_layers_in_a_row_are_gone_in_linear_time():
    def work(count: int) -> Work:
        values = build_graph(added(count), None).values
        return lambda: [follow(values[f"h{i}"]) for i in range(count)]

    assert growth(work, 3 * SIZE) < LINEAR


def test_the_ways_that_meet_in_one_node_are_gone_in_linear_time():
    def work(count: int) -> Work:
        nodes = [helper.make_node("Neg", ["x"], [f"h{i}"]) for i in range(count)]
        nodes += [helper.make_node("Concat", [f"h{i}" for i in range(count)], ["y"], axis=1)]
        values = build_graph(model(nodes, {"x": ["N", 2]}, ["y"], {}), None).values
        return lambda: [follow(values[f"h{i}"]) for i in range(count)]

    assert growth(work, 3 * SIZE) < LINEAR


def test_the_ways_to_the_outputs_are_gone_in_linear_time_where_they_branch():
    def work(count: int) -> Work:
        nodes = [helper.make_node("Concat", [f"h{i}", f"h{i}"], [f"h{i + 1}"], axis=0) for i in range(count)]
        values = build_graph(model(nodes, {"h0": ["N", 2]}, [f"h{count}"], {}), None).values

        def ask() -> None:
            assert all(leads_to_output_only(values[f"h{i}"]) for i in range(count))

        return ask

    assert growth(work, SIZE) < LINEAR


def linear_layers(count: int) -> onnx.ModelProto:
    """Layers with nothing between them."""
    nodes = [helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"h{i + 1}"]) for i in range(count)]
    stored = {f"w{i}": np.random.default_rng(i).standard_normal((2, 2)).astype(np.float32) for i in range(count)}
    return model(nodes, {"h0": ["N", 2]}, [f"h{count}"], stored)


def test_the_input_in_front_of_layers_in_a_row_is_found_in_linear_time():
    def entrance(count: int) -> Work:
        layers = audit(linear_layers(count), Config(probe="none")).audit.layers

        def find() -> None:
            assert {v.name for v in entrance_layers(layers).values()} == {"h0"}

        return find

    def scale(count: int) -> Work:
        whole = audit(linear_layers(count), Config(probe="none")).audit

        def find() -> None:
            whole.remembered.clear()
            assert all(is_linear_in_the_input(layer, whole) for layer in whole.layers)

        return find

    for work in (entrance, scale):
        assert growth(work, SIZE) < LINEAR


def test_the_probe_is_planned_in_linear_time():
    """And its graphs are built: all that it does in front of its sessions."""

    def work(count: int) -> Work:
        nodes = []
        for i in range(count):
            nodes += [
                helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"m{i}"]),
                helper.make_node("Relu", [f"m{i}"], [f"h{i + 1}"]),
            ]
        stored = {f"w{i}": np.eye(2, dtype=np.float32) + i for i in range(count)}
        loaded = load_model(model(nodes, {"h0": ["N", 2]}, [f"h{count}"], stored))
        layers = extract_layers(loaded).layers
        return lambda: plan(loaded, layers)

    assert growth(work, SIZE) < LINEAR


def test_a_body_sees_the_names_around_it_without_a_copy_of_them():
    """There may be as many bodies as names."""
    outer = Scope(graph=Graph("main"))
    values = {name: outer.define(name) for name in "ab"}
    node = Node(onnx.NodeProto(op_type="If"), outer.graph, "if", {})

    inner = outer.body("then", node).body("then", node)
    shadow = inner.define("b")

    assert (inner.resolve("a", "here"), inner.resolve("b", "here")) == (values["a"], shadow)
    assert inner.names == {"b": shadow}


def test_staircases_in_a_row_are_looked_through_in_linear_time():
    def work(count: int) -> Work:
        nodes = [helper.make_node("Floor", [f"h{i}"], [f"h{i + 1}"]) for i in range(count)]
        network = Network(model([*nodes, helper.make_node("Tanh", [f"h{count}"], ["y"])], {"h0": ["N", 2]}, ["y"], {}))
        return lambda: is_rounded(network)

    assert growth(work, SIZE) < LINEAR


def joined(operator: str, count: int) -> onnx.ModelProto:
    """Inputs and constants by turns, joined by one node."""
    names = [f"{kind}{i}" for i in range(count) for kind in "ic"]
    attributes = {"axis": 0} if operator == "Concat" else {}
    stored = {f"c{i}": np.ones((1, 2), np.float32) for i in range(count)}
    shapes = {f"i{i}": [1, 2] for i in range(count)}
    return model([helper.make_node(operator, names, ["y"], **attributes)], shapes, ["y"], stored)


def test_inputs_and_constants_that_one_node_joins_are_followed_in_linear_time():
    for operator in ("Sum", "Concat"):

        def work(count: int, operator: str = operator) -> Work:
            graph = build_graph(joined(operator, count), None)
            return lambda: [facts_of(graph.values[f"i{i}"], 2) for i in range(count)]

        assert growth(work, SIZE) < LINEAR


def test_states_are_told_from_outputs_of_the_same_name_in_linear_time():
    """Sizes that contradict each other keep all of them from being a state."""

    def work(count: int) -> Work:
        nodes = [helper.make_node("Relu", [f"h{i}_in"], [f"h{i}_out"]) for i in range(count)]
        proto = model(nodes, {f"h{i}_in": [1, 2] for i in range(count)}, [], {})
        proto.graph.output.extend(
            helper.make_tensor_value_info(f"h{i}_out", TensorProto.FLOAT, [1, 3]) for i in range(count)
        )
        graph = build_graph(proto, None)
        facts = {value.name: Facts() for value in graph.inputs}

        def mark() -> None:
            mark_states(graph, facts)
            assert not any(found.roles for found in facts.values())

        return mark

    assert growth(work, SIZE) < LINEAR


def test_the_sizes_of_many_free_dimensions_are_tried_in_linear_memory():
    """And the likeliest come first: the one that keeps the first sizes longest, then those before it."""

    def peak(count: int) -> int:
        layout = layout_of(
            {f"i{k}": ("N", f"size_{k}") for k in range(count)},
            {f"i{k}": Facts() for k in range(count)},
            {f"i{k}": False for k in range(count)},
            3,
            {},
        )
        tracemalloc.start()
        first, second, third = islice(assignments(layout), 3)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert second == first | {f"size_{count - 1}": second[f"size_{count - 1}"]} != first
        assert third == first | {f"size_{count - 2}": third[f"size_{count - 2}"]} != first
        return most

    peak(200)

    assert peak(400) / peak(200) < LINEAR
