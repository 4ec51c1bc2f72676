"""Without a gradient a signal that is lost on its way is named all the same."""

from __future__ import annotations

from typing import Any

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


def test_gradients_that_took_too_long_turn_no_lost_signal_green(monkeypatch: pytest.MonkeyPatch):
    """On a busy machine the way forward may be all that was measured: that is said, and what it shows is a warning."""
    from initaudit.probe import isolation

    measured = isolation.run_child

    def run_child(job: dict[str, Any], *arguments: Any, **options: Any) -> dict[str, Any]:
        forward = {**job, "options": {**job["options"], "mode": "forward"}}
        return {**measured(forward, *arguments, **options), "interrupted": "took more than 8 s"}

    monkeypatch.setattr(isolation, "run_child", run_child)

    lost = initaudit.audit(mlp((64, *(64,) * 5, 10), "Tanh", normal(0.01)), context="fresh")
    sound = initaudit.audit(mlp((64, *(64,) * 5, 10), "Relu", he), context="fresh")

    assert [f.severity.value for f in lost.findings if f.code in ("INI401", "INI902")] == ["warning", "warning"]
    assert (lost.verdict.status, sound.verdict.status) == ("warn", "warn")
    assert "gradients were not measured: took more than 8 s" in sound.verdict.reason
