"""INI601: untrained layers of trained networks, and what cannot be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import initaudit
from initaudit.findings import Severity
from tests.networks import he, mlp, normal, trained_like

if TYPE_CHECKING:
    from initaudit.findings import Finding

WIDTHS = (64, 96, 96, 96, 4)
BODY = normal(0.3)


def found(**options: object) -> list[Finding]:
    """What INI601 says of a network, static."""
    report = initaudit.audit(mlp(WIDTHS, **options), probe="none")  # type: ignore[arg-type]
    return [f for f in report.findings if f.code == "INI601"]


def drawn(w: np.ndarray) -> np.ndarray:
    """N(0, 0.02)."""
    return np.random.default_rng(3).normal(0, 0.02, w.shape)


def test_a_new_head_is_named_although_its_weights_alone_prove_nothing() -> None:
    """384 normal values, and a bias of zero where all others have moved."""
    (finding,) = found(draw=trained_like, bias=BODY, change={"fc3.weight": drawn, "fc3.bias": np.zeros_like})

    assert finding.severity is not Severity.INFO
    assert "fc3" in (finding.layer or "")
    assert "its bias is one constant" in finding.message


def test_a_fit_that_decides_nothing_is_a_note_with_its_reason() -> None:
    """The same weights inside the network, with a bias that moved: they may be drawn or trained."""
    change = {"fc3.weight": drawn, "fc3.bias": lambda b: np.random.default_rng(1).uniform(-0.09, 0.09, b.shape)}

    (finding,) = found(draw=trained_like, bias=BODY, change=change)

    assert finding.severity is Severity.INFO
    assert "may still be as normal_0.02 draws them" in finding.message
    assert finding.evidence["odds"] is not None


def test_of_a_network_that_training_hardly_moved_one_note_speaks_for_all_layers() -> None:
    """Its weights fit He's law as at the start, its biases have left zero: no layer is named."""
    (finding,) = found(draw=he, bias=lambda shape, rng: rng.exponential(3e-4, shape))

    assert finding.layer is None
    assert finding.severity is Severity.INFO
    assert "the weights of 3 layers still fit" in finding.message


def test_a_trained_network_is_not_named() -> None:
    """Nothing fits."""
    assert found(draw=trained_like, bias=BODY) == []
