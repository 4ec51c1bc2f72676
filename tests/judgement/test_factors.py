"""Factors: causes under names that a reader can tell apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.judgement import factors
from initaudit.judgement.dynamics import dynamics_of
from initaudit.judgement.factors import BOTH, LARGE_ANSWER, limits
from tests.networks import mlp, normal

if TYPE_CHECKING:
    import pytest

    from initaudit.judgement.dynamics import Dynamics


def measured(std: float, activation: str = "Tanh") -> Dynamics:
    """Dynamics of a network of ten layers of 32 units with weights of this std."""
    found = audit(mlp([32] * 10 + [4], activation, normal(std)), Config(context="fresh")).audit
    assert found is not None
    dynamics = dynamics_of(found.layers)
    assert dynamics is not None
    return dynamics


def test_answers_of_ordinary_size_are_no_explosion() -> None:
    """What moves them too little is then called by its own name."""
    faint = measured(0.01)
    ordinary = replace(faint, answer_scale=1.0)

    assert "INI402" not in {factor.rule for factor in limits(ordinary)}
    assert ordinary.answer_scale < LARGE_ANSWER


def test_vanishing_and_exploding_gradients_explain_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both may hold, of weights and of answers; alone neither needs a word on the other."""
    faint = measured(0.01)
    calm = limits(faint)
    monkeypatch.setattr(factors, "smooth", lambda _: 0.1)
    rough = limits(faint)

    assert "INI501" in {factor.rule for factor in calm}
    assert not any(BOTH in factor.message for factor in calm)
    assert {"INI501", "INI502"} <= {factor.rule for factor in rough}
    assert all((BOTH in factor.message) == (factor.rule == "INI502") for factor in rough)
