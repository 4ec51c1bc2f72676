"""Which outputs of a model are the same whatever it is fed, and what it costs to know."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from initaudit.probe import outputs
from initaudit.probe.outputs import constant_outputs
from initaudit.probe.runs import Runs
from tests.networks import model
from tests.probe.probing import probed

FEEDS = Runs(feeds=[{"x": np.full((1, 4), k, np.float32)} for k in (0.0, 0.0, 1.0)])


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list that grows with every run of the model that is made to compare its outputs."""
    counted: list[object] = []
    run = outputs.run_session
    monkeypatch.setattr(outputs, "run_session", lambda *given: counted.append(given) or run(*given))
    return counted


def test_an_output_is_constant_that_is_alike_in_every_run(runs: list[object]):
    """One that differs only in the third run is not; one that is wiped out is."""
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("Mul", ["x", "zero"], ["nothing"]),
    ]
    proto = model(nodes, {"x": ["N", 4]}, ["same", "nothing"], {"zero": np.zeros(4, np.float32)})

    assert constant_outputs(proto, None, FEEDS, {}) == ["nothing"]
    assert len(runs) == 3


@pytest.mark.parametrize(("head", "expected"), [(0.0, ["y"]), (1.0, [])])
def test_an_output_of_a_probed_layer_takes_no_further_run(runs: list[object], head: float, expected: list[str]):
    """Behind a silent branch the head's output was looked at with the layers, where it is all zero and where it is not."""
    nodes = [
        helper.make_node("Gemm", ["x", "silent"], ["branch"], "/branch"),
        helper.make_node("Add", ["x", "branch"], ["sum"]),
        helper.make_node("Gemm", ["sum", "head"], ["y"], "/head"),
    ]
    weights = {"silent": np.zeros((4, 4), np.float32), "head": np.full((4, 2), head, np.float32)}

    answer = probed(model(nodes, {"x": ["N", 4]}, ["y"], weights), mode="forward").answer

    assert answer["constant_outputs"] == expected
    assert not runs
