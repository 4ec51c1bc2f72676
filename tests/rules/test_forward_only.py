"""Without a gradient a signal that is lost on its way is named all the same."""

from __future__ import annotations

import pytest

import initaudit
from tests.networks import he, mlp, normal


@pytest.mark.parametrize(
    ("draw", "activation", "code"),
    [(normal(0.01), "Tanh", "INI401"), (normal(2.0), "Relu", "INI402"), (he, "Relu", None)],
)
def test_the_way_forward_alone_tells_of_a_lost_signal(draw: object, activation: str, code: str | None):
    """A warning at the last layer, which says that the gradient decides; a verdict without findings says what it rests on."""
    report = initaudit.audit(mlp((64, *(64,) * 5, 10), activation, draw), context="fresh", probe="forward")

    found = [f for f in report.findings if f.code in ("INI401", "INI402")]
    assert [(f.code, f.layer, f.severity.value) for f in found] == ([(code, "/fc5/Gemm", "warning")] if code else [])
    assert report.verdict.trainability is None
    assert code or report.verdict.reason.endswith("The way forward only: no gradient was measured.")


def test_a_head_of_zeros_has_lost_nothing():
    """It is a deliberate start (Zhang et al. 2019): the signal reaches it."""
    network = mlp((64, *(64,) * 5, 10), change={"fc5.weight": lambda w: 0 * w})

    report = initaudit.audit(network, context="fresh", probe="forward")

    assert not [f for f in report.findings if f.code == "INI401"]
