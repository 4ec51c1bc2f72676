"""A forget gate adds two biases, and their sum decides what it forgets."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

import initaudit
from tests.networks import model, xavier


@pytest.mark.parametrize(
    ("entered", "recurrent", "named"), [(1.0, 0.0, False), (0.5, 0.5, False), (1.0, -1.0, True), (0.0, 0.0, True)]
)
def test_the_sum_of_both_biases_is_judged(entered: float, recurrent: float, named: bool) -> None:
    """ONNX keeps a bias for the input weights and one for the recurrent weights; one alone says nothing. One finding a gate."""
    rng = np.random.default_rng(0)
    bias = np.zeros((1, 2, 4, 16), np.float32)
    bias[0, :, 2] = [[entered], [recurrent]]
    stored = {
        "w": xavier((64, 32), rng).astype(np.float32)[None],
        "r": xavier((64, 16), rng).astype(np.float32)[None],
        "b": bias.reshape(1, 128),
    }
    lstm = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], "lstm", hidden_size=16)

    report = initaudit.audit(model([lstm], {"x": ["T", "N", 32]}, ["y"], stored), context="fresh", probe="none")
    found = [f for f in report.findings if f.code == "INI301"]

    assert [f.evidence["measured"] for f in found] == ([pytest.approx(entered + recurrent)] if named else [])


@pytest.mark.parametrize(("bias", "severity"), [(0.0, "info"), (-6.0, "warning")])
def test_a_gate_that_starts_shut_is_a_warning(bias: float, severity: str) -> None:
    """At 0 half of the state is left, as in torch; at -6 a four-hundredth, and the gate hardly learns to open."""
    rng = np.random.default_rng(0)
    values = np.zeros((1, 2, 4, 16), np.float32)
    values[0, 0, 2] = bias
    stored = {
        "w": xavier((64, 32), rng).astype(np.float32)[None],
        "r": xavier((64, 16), rng).astype(np.float32)[None],
        "b": values.reshape(1, 128),
    }
    lstm = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], "lstm", hidden_size=16)

    report = initaudit.audit(model([lstm], {"x": ["T", "N", 32]}, ["y"], stored), context="fresh", probe="none")

    assert [f.severity.value for f in report.findings if f.code == "INI301"] == [severity]
