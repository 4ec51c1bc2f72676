"""Obstacle: what re-initialising mends, and what it does not."""

from __future__ import annotations

import html
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.findings import Remedy
from initaudit.format import FormatOptions, find_format
from initaudit.judgement.outlook import outlook_of
from tests.networks import he, mlp, model, normal, xavier

if TYPE_CHECKING:
    from onnx import ModelProto

    from initaudit.report.report import Report
    from tests.networks import Draw


def fresh(proto: ModelProto) -> Report:
    """The report on a network that is known to be fresh."""
    return audit(proto, Config(context="fresh"))


@cache
def chain(width: int, depth: int, activation: str, draw: Draw) -> Report:
    """The report on so many layers of one law, which several tests look at."""
    return fresh(mlp([width] * depth + [4], activation, draw))


TINY = normal(0.01)
NARROW = (4, 24)
"""Units and layers of a network that is too deep for its width."""


@pytest.mark.parametrize(
    ("width", "depth", "activation", "draw", "expected"),
    [
        (*NARROW, "Relu", he, "width"),
        (*NARROW, "Relu", TINY, "width"),
        (32, 10, "Relu", TINY, "scale"),
        (24, 8, "Relu", normal(0.8), "scale"),
        (16, 12, "Sigmoid", xavier, "activation"),
        (16, 8, "Sigmoid", TINY, "activation"),
    ],
)
def test_what_is_in_the_way_has_one_of_three_names(
    width: int, depth: int, activation: str, draw: Draw, expected: str
) -> None:
    """Chance adds up in 24 layers of 4 units at any scale; sigmoid forgets within a layer; N(0, 0.01) is mended by a new draw."""
    report = chain(width, depth, activation, draw)

    assert report.verdict.obstacle is not None
    assert report.verdict.obstacle.name == expected
    assert report.verdict.obstacle.message in report.verdict.reason


@pytest.mark.parametrize("proto", [mlp([64] * 6 + [4]), mlp([64] * 15 + [4], "Tanh", xavier)])
def test_nothing_is_in_the_way_of_a_healthy_network(proto: ModelProto) -> None:
    """Tanh at its edge of chaos forgets by a power of the depth only, and 64 units are enough for 15 layers."""
    assert fresh(proto).verdict.obstacle is None


def test_where_all_layers_are_alike_none_is_blamed() -> None:
    """The layer at which chance has killed the signal is another one in the next draw."""
    report = chain(*NARROW, "Relu", he)

    limiting = [f for f in report.findings if f.code.startswith(("INI4", "INI5"))]
    assert limiting
    assert {f.layer for f in limiting} == {None}
    assert report.verdict.first_lost is None


def test_a_new_draw_is_not_offered_where_it_would_not_help() -> None:
    """Of 24 layers of 4 units at a seventieth of their scale the recommended draw would not learn either; the page and the terminal do without `fix`."""
    report = chain(*NARROW, "Relu", TINY)

    text = find_format("text").render(report.to_dict(), FormatOptions())

    assert report.verdict.obstacle is not None
    assert not report.verdict.obstacle.fix_helps
    assert report.verdict.obstacle.redrawn == pytest.approx(0.0, abs=0.01)
    assert {f.remedy for f in report.findings if f.code == "INI401"} == {Remedy.CHECK}
    assert "too deep for its width" in text
    assert "initaudit fix" not in text
    assert "initaudit fix" not in report.to_html().split("The rules behind")[0]


def test_a_single_layer_off_scale_is_still_blamed() -> None:
    """One layer a million times too small among He's, in a network that is too deep for its width besides."""
    report = fresh(mlp([8] * 24 + [4], change={"fc5.weight": lambda w: w / 1e6}))

    assert report.verdict.obstacle is not None
    assert not report.verdict.obstacle.is_everywhere
    assert report.verdict.first_lost is not None
    assert report.verdict.first_lost[0] == "/fc5/Gemm"


def test_skip_connections_cut_a_network_into_short_stretches() -> None:
    """Chance and the activation count between one sum and the next only: 20 blocks of two layers of 16 units are no deep chain."""
    rng = np.random.default_rng(0)
    nodes, tensors, value = [], {}, "x"
    for i in range(20):
        for part in ("a", "b"):
            tensors[f"{part}{i}"] = rng.normal(0, 0.2, (16, 16)).astype(np.float32)
        nodes += [
            helper.make_node("MatMul", [value, f"a{i}"], [f"z{i}"], f"a{i}.node"),
            helper.make_node("Relu", [f"z{i}"], [f"r{i}"]),
            helper.make_node("MatMul", [f"r{i}", f"b{i}"], [f"u{i}"], f"b{i}.node"),
            helper.make_node("Add", [value, f"u{i}"], [f"s{i}"]),
        ]
        value = f"s{i}"
    found = audit(model(nodes, {"x": ["N", 16]}, [value], tensors), Config(probe="forward")).audit

    assert found is not None
    outlook = outlook_of(found.model.graph, found.layers)
    assert outlook is not None
    assert len(outlook.layers) == 2


def test_a_norm_takes_scatter_and_batch_norm_the_likeness_out_of_a_chain() -> None:
    """Behind a normalisation each layer starts from a signal of unit size; batch statistics take out what inputs share."""
    rng = np.random.default_rng(0)
    nodes, tensors, value = [], {"one": np.ones(32, np.float32), "zero": np.zeros(32, np.float32)}, "x"
    for i in range(20):
        tensors[f"w{i}"] = rng.normal(0, 0.2, (32, 32)).astype(np.float32)
        nodes += [
            helper.make_node("MatMul", [value, f"w{i}"], [f"z{i}"], f"w{i}.node"),
            helper.make_node("BatchNormalization", [f"z{i}", "one", "zero", "zero", "one"], [f"n{i}"]),
            helper.make_node("Relu", [f"n{i}"], [f"r{i}"]),
        ]
        value = f"r{i}"
    found = audit(model(nodes, {"x": ["N", 32]}, [value], tensors), Config(probe="forward")).audit

    assert found is not None
    outlook = outlook_of(found.model.graph, found.layers)
    assert outlook is not None
    assert outlook.scatter == 0.0
    assert outlook.contrast > 0.5


def test_a_scale_that_all_layers_share_is_no_layer_s_fault() -> None:
    """Fifteen layers from one law: headline, place of the loss and findings name none of them, and say the same."""
    report = fresh(mlp([64] * 15 + [4], "Relu", normal(0.05)))

    obstacle, headline = report.verdict.obstacle, report.verdict.headline
    assert obstacle is not None
    assert headline is not None
    assert (obstacle.name, obstacle.is_everywhere, obstacle.layer) == ("scale", True, None)
    assert "all 15 layers" in obstacle.message
    assert (headline.cause, headline.layer, headline.action) == (obstacle.message, None, obstacle.advice)
    assert report.verdict.first_lost is None
    limiting = [f for f in report.findings if f.code in ("INI401", "INI405", "INI501")]
    assert limiting
    assert {(f.layer, f.suggestion) for f in limiting} == {(None, obstacle.advice)}


def test_a_scale_that_one_layer_has_is_its_fault_in_every_format() -> None:
    """One layer at a millionth of its scale in a chain of He's: text, page and JSON name it first."""
    report = fresh(mlp([64] * 12 + [4], change={"fc5.weight": lambda w: w / 1e6}))

    headline, lost = report.verdict.headline, report.verdict.first_lost
    assert headline is not None
    assert headline.layer == "/fc5/Gemm"
    assert lost is not None
    assert lost[0] == headline.layer
    text = find_format("text").render(report.to_dict(), FormatOptions(width=400))
    for told in (text, html.unescape(report.to_html())):
        assert headline.cause in told
        assert headline.action in told
