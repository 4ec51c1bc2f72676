"""The chain as a whole: what each layer is to hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.extraction.extract import extract_layers
from initaudit.findings import Reader
from initaudit.fixing.rungs.chain import head_factors
from initaudit.measuring.measure import measure
from initaudit.model.load import load_model
from initaudit.redrawing.chain import gates_without_bias, links
from tests.networks import gated, mlp, normal

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit


def weighed(proto: onnx.ModelProto) -> tuple[LayerAudit, ...]:
    """The layers, without signals."""
    return measure(extract_layers(load_model(proto)).layers)[0]


def sines(depth: int, factor: float) -> onnx.ModelProto:
    """Hidden layers sin(factor (W x + b)), 64 units wide, their weights from N(0, 0.005), and a head that keeps the variance."""
    proto = mlp([64, *[64] * depth, 10], "Sin", normal(0.005), change={f"fc{depth}.weight": lambda w: 25.0 * w})
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(factor), "factor"))
    nodes = []
    for node in proto.graph.node:
        if node.op_type == "Sin":
            scaled = f"{node.input[0]}_scaled"
            nodes.append(helper.make_node("Mul", [node.input[0], "factor"], [scaled]))
            node.input[0] = scaled
        nodes.append(node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def test_a_factor_in_front_of_the_activation_is_taken_off_the_weights() -> None:
    """sin(30 (W x + b)) sees what sin(W x + b) sees if W and b are 30 times smaller; the head has nothing behind it."""
    plain, scaled = (links(weighed(sines(4, factor))) for factor in (1.0, 30.0))

    assert [a.std / b.std for a, b in zip(plain, scaled, strict=True)] == pytest.approx([30.0] * 4 + [1.0])
    assert all(
        link.shape.variance == pytest.approx((1 - math.exp(-2 * link.shape.spread**2)) / 2) for link in scaled[:4]
    )


def test_a_head_is_small_where_a_step_would_move_all_before_it_too_far() -> None:
    """A factor of 30 in front of each sine multiplies its gradients by 30: trained at 0.001, eight such layers learn behind a small head alone."""
    report = audit(sines(2, 30.0), Config(context="fresh"))
    (factor,) = head_factors(report, whole=True).values()

    assert factor < 0.1
    assert head_factors(report) != {"/fc2/Gemm": factor}


def test_gates_that_nothing_holds_constant_are_told() -> None:
    """A product of two signals without biases squares the size of its input; behind a bias a gate can be all bias."""
    bare, held = gated(2, "Sigmoid", 16), gated(2, "Sigmoid", 16)
    for node in held.graph.node:
        if node.op_type == "Gemm":
            node.input.append(f"{node.name}.bias")
            units = 10 if node.name == "head" else 16
            held.graph.initializer.append(numpy_helper.from_array(np.zeros(units, np.float32), node.input[2]))

    names = [[a.layer.name for a in gates_without_bias(weighed(proto))] for proto in (bare, held)]

    assert names == [["gate0", "gate1"], []]


def test_where_nothing_but_a_shaped_chain_learns_nothing_else_is_advised() -> None:
    """Neither that no initialisation helps, nor to draw single layers, which does not."""
    report = audit(sines(4, 300.0), Config(context="fresh"))
    obstacle = report.verdict.obstacle

    assert obstacle is not None
    assert obstacle.shaping_alone
    assert "No initialisation" not in obstacle.message
    assert not {a.reader for f in report.active for a in f.advice if f.code.startswith("INI5")} - {Reader.ONNX}
