"""Dynamics: what follows from the signals for the first steps of learning."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from onnx import helper

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.judgement.dynamics import Dynamics, MeasuredLayer, dynamics_of
from tests.networks import mlp, model, normal


def layer(**changes: object) -> MeasuredLayer:
    """A healthy layer."""
    return replace(
        MeasuredLayer(
            is_head=False,
            name="fc",
            kernel=10.0,
            weight_square=10.0,
            count=1000,
            contrast=1.0,
            input_variance=1.0,
            gradient=1.0,
            reach=1.0,
            elements=64,
            ends_shortcut=False,
        ),
        **changes,
    )


def network(*layers: MeasuredLayer, **changes: object) -> Dynamics:
    """A network of these layers with healthy outputs."""
    healthy = Dynamics(layers=layers, answer_scale=1.0, dimension=8.0, answer_variance=1.0, tied=0.0, finite=True)
    return replace(healthy, **changes)


def measured(proto: object) -> Dynamics:
    """The dynamics of a model, as the probe finds them."""
    report = audit(proto, Config(context="fresh"))
    assert report.audit is not None
    found = dynamics_of(report.audit.layers)
    assert found is not None
    return found


def test_a_linear_network_has_the_kernel_of_its_closed_form() -> None:
    """For y = W2 W1 x with E|x|^2 = n the squared weight gradients of one output are |W2|^2 n / m and E|W1 x|^2 = |W1|^2."""
    proto = mlp([40, 30, 12], "Identity", normal(0.2), seed=3)
    first, second = (np.frombuffer(t.raw_data, np.float32) for t in proto.graph.initializer if "weight" in t.name)

    found = measured(proto)

    assert found.layers[0].kernel == pytest.approx(np.square(second).sum() * 40 / 12, rel=0.4)
    assert found.layers[1].kernel == pytest.approx(np.square(first).sum(), rel=0.4)
    assert found.layers[0].weight_square == pytest.approx(np.square(first).sum(), rel=1e-3)
    assert [part.contrast for part in found.layers] == pytest.approx([1.0, 1.0], abs=0.1)


def test_a_linear_network_is_as_rough_as_a_line() -> None:
    """For a linear map, the change to first order is the difference: the roughness is 1."""
    found = measured(mlp([40, 30, 20, 12], "Identity", normal(0.2)))

    assert found.roughness == pytest.approx(1.0, abs=0.5)


def test_a_tanh_network_beyond_the_edge_of_chaos_is_rough() -> None:
    """With weights of std 3/sqrt(n), neighbours separate exponentially in depth while the outputs stay bounded (Poole et al. 2016)."""
    chaotic = measured(mlp([40] * 10 + [12], "Tanh", normal(3 / math.sqrt(40))))

    assert chaotic.roughness > 50


def test_units_tied_on_both_sides_are_counted() -> None:
    """Constant weights throughout tie every hidden unit to the others."""
    found = measured(mlp([20, 16, 16, 10], draw=lambda shape, rng: np.full(shape, 1 / shape[1])))

    assert found.tied == 1.0


def test_one_constant_layer_ties_nothing() -> None:
    """Behind a constant layer random weights send different gradients back to its units, which then part."""
    found = measured(mlp([20, 16, 16, 10], change={"fc1.weight": lambda w: np.full_like(w, 0.1)}))

    assert found.tied == 0.0


def test_a_relu_at_exactly_zero_learns_nothing() -> None:
    """The derivative of ReLU at 0 is 0 in every framework, although a perturbation finds a slope on one side."""
    found = measured(mlp([20, 16, 16, 10], change={"fc1.weight": np.zeros_like}))

    assert found.layers[1].kernel == 0.0
    assert found.contrast_kernel == 0.0


def test_one_tiny_weight_hardly_changes_the_relative_step() -> None:
    """A weight 1e-4 of its size changes by 1e4 times itself in one step, once; the geometric mean of 20 layers barely sees it."""
    healthy = [layer() for _ in range(19)]

    with_tiny = network(*healthy, layer(weight_square=1e-7)).relative_step

    assert network(*healthy, layer()).relative_step == pytest.approx(20.0)
    assert with_tiny < 40.0


def test_the_contrast_kernel_counts_what_differs_between_inputs() -> None:
    """Each layer's kernel counts by the share of its input that varies."""
    found = network(layer(kernel=8.0, contrast=0.5), layer(kernel=1.0, contrast=0.0))

    assert found.kernel == 9.0
    assert found.contrast_kernel == 4.0


def test_a_measured_contrast_of_the_kernel_stands_before_that_of_the_input() -> None:
    """A gain whose inputs differ at places that nobody reads does not move answers apart."""
    dynamics = network(layer(kernel=8.0, is_factor=True, kernel_contrast=0.25), layer(kernel=2.0, contrast=0.5))

    assert dynamics.contrast_kernel == pytest.approx(8.0 * 0.25 + 2.0 * 0.5)


def test_shortcuts_divide_the_network_into_stretches() -> None:
    """Ten layers in a chain learn in concert; with a shortcut around every second one, two do."""
    chain = network(*[layer() for _ in range(10)])
    residual = network(*[layer(ends_shortcut=bool(i % 2)) for i in range(10)])

    assert chain.stretch == 10
    assert residual.stretch == 2
    assert chain.narrowness == pytest.approx(9 / 64)
    assert residual.narrowness == pytest.approx(2 / 64)


def test_answers_that_do_not_vary_are_not_rough() -> None:
    """A zero head gives one answer to all: there is nothing to compare the slope with."""
    assert network(layer(reach=5.0), answer_variance=0.0).roughness == 1.0


def test_factors_stand_beside_the_way() -> None:
    """The scale of a norm learns as any weight does, and makes the way no longer."""
    found = network(layer(), layer(kernel=5.0, is_factor=True), layer())

    assert found.kernel == 25.0
    assert found.stretch == 2
    assert found.drawn == (found.layers[0], found.layers[2])


def test_the_gates_of_a_cell_are_one_layer() -> None:
    """An RNN's W and R are two weights; an LSTM's, of four gates each, are no more."""
    rng = np.random.default_rng(0)
    tensors = {
        "W": rng.normal(0, 0.3, (1, 32, 6)),
        "R": rng.normal(0, 0.3, (1, 32, 8)),
        "head": rng.normal(0, 0.3, (8, 5)),
    }
    nodes = [
        helper.make_node("LSTM", ["x", "W", "R"], ["", "last"], hidden_size=8),
        helper.make_node("Squeeze", ["last", "axis"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["y"]),
    ]
    stored = {name: array.astype(np.float32) for name, array in tensors.items()} | {"axis": np.array([0])}

    found = measured(model(nodes, {"x": [6, "N", 6]}, ["y"], stored))

    assert [layer.count for layer in found.layers] == [32 * 6, 32 * 8, 8 * 5]


def test_norms_are_counted_behind_all_layers_and_not_behind_those_that_were_measured() -> None:
    """Which few layers of a large network are measured is chance, and no property of the network."""
    rng = np.random.default_rng(0)
    tensors = {"one": np.ones(16), "zero": np.zeros(16), "head": normal(0.1)((4, 16), rng)}
    nodes, value = [], "x"
    for i in range(4):
        tensors[f"w{i}"] = normal(0.3)((16, 16), rng)
        nodes.append(helper.make_node("Gemm", [value, f"w{i}"], [f"z{i}"], f"fc{i}", transB=1))
        norm = [f"z{i}", "one", "zero", "zero", "one"]
        nodes.append(helper.make_node("BatchNormalization", norm, [f"n{i}"], f"bn{i}"))
        nodes.append(helper.make_node("Relu", [f"n{i}"], [f"a{i}"], f"act{i}"))
        value = f"a{i}"
    nodes.append(helper.make_node("Gemm", [value, "head"], ["y"], "last", transB=1))
    stored = {name: array.astype(np.float32) for name, array in tensors.items()}
    layers = audit(model(nodes, {"x": ["N", 16]}, ["y"], stored), Config(probe="full")).audit.layers

    few = [
        replace(a, signal=replace(a.signal, weight_gradient=None)) if a.layer.normalized_by and a.signal else a
        for a in layers
    ]

    for some in (layers, few):
        found = dynamics_of(some)
        assert found is not None
        assert found.by_batch


def test_a_skip_around_most_layers_is_seen() -> None:
    """Four blocks x + fc(norm(fc(x))) lie in branches, stem and head do not; the same layers without the sums are a chain."""
    assert measured(_blocks(skips=True)).bypassed
    assert not measured(_blocks(skips=False)).bypassed


def _blocks(*, skips: bool) -> object:
    rng = np.random.default_rng(0)
    tensors = {"ones": np.ones(16), "zeros": np.zeros(16), "stem": rng.normal(0, 0.3, (8, 16))}
    nodes, value = [helper.make_node("MatMul", ["x", "stem"], ["stream"])], "stream"
    for i in range(4):
        tensors |= {f"{part}{i}": rng.normal(0, 0.3, (16, 16)) for part in "ab"}
        nodes += [
            helper.make_node("MatMul", [value, f"a{i}"], [f"u{i}"]),
            helper.make_node("BatchNormalization", [f"u{i}", "ones", "zeros", "zeros", "ones"], [f"n{i}"]),
            helper.make_node("Relu", [f"n{i}"], [f"r{i}"]),
            helper.make_node("MatMul", [f"r{i}", f"b{i}"], [f"v{i}"]),
            helper.make_node(*(("Add", [value, f"v{i}"]) if skips else ("Tanh", [f"v{i}"])), [f"s{i}"]),
        ]
        value = f"s{i}"
    tensors["head"] = rng.normal(0, 0.3, (16, 5))
    nodes.append(helper.make_node("MatMul", [value, "head"], ["y"]))
    stored = {name: array.astype(np.float32) for name, array in tensors.items()}
    return model(nodes, {"x": ["N", 8]}, ["y"], stored)
