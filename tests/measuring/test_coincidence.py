"""Beside trained weights a fit has to be good, and a part of a trained tensor is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.measuring.coincidence import without_coincidences
from initaudit.stats.provenance import CERTAIN_SCALE_FREE
from tests.networks import he, mlp, model, trained_like

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit


def measured(*draws: object, width: int = 64) -> list[LayerAudit]:
    """The layers of a network whose layers are drawn so, one after the other."""
    rng = np.random.default_rng(3)
    change = {f"fc{i}.weight": (lambda w, d=d: d(w.shape, rng)) for i, d in enumerate(draws)}  # type: ignore[misc]
    report = audit(mlp((width,) * (len(draws) + 1), change=change), Config(probe="none"))
    assert report.audit is not None
    return list(report.audit.layers)


def with_p_value(layer: LayerAudit, p_value: float) -> LayerAudit:
    """The same, as if its law fitted so well."""
    assert layer.provenance is not None
    return replace(layer, provenance=replace(layer.provenance, p_value=p_value))


@pytest.mark.parametrize(("p_value", "untrained"), [(0.003, None), (0.04, True)])
def test_a_poor_fit_beside_trained_layers_is_chance(p_value: float, untrained: bool | None) -> None:
    """Of six weights one fits with p = 0.003 about once in fifty networks; alone it would pass."""
    layers = measured(he, *[trained_like] * 5)
    layers[0] = with_p_value(layers[0], p_value)

    corrected = without_coincidences(layers)[0].provenance

    assert corrected is not None
    assert corrected.untrained is untrained


def test_a_poor_fit_among_draws_stands() -> None:
    """One of many draws has to fit worst."""
    layers = measured(*[he] * 6)
    layers[0] = with_p_value(layers[0], 0.003)

    corrected = without_coincidences(layers)[0].provenance

    assert corrected is not None
    assert corrected.untrained is True


def test_a_large_weight_needs_no_correction() -> None:
    """Whatever training did to so many values would show."""
    layers = measured(he, *[trained_like] * 5, width=128)
    layers[0] = with_p_value(layers[0], 0.003)

    corrected = without_coincidences(layers)[0].provenance

    assert layers[0].stats.count >= CERTAIN_SCALE_FREE
    assert corrected is not None
    assert corrected.untrained is True


def test_a_gate_that_kept_a_uniform_shape_beside_trained_ones_was_trained() -> None:
    """The gates are one tensor, which an optimiser moves as a whole; a bound of no scheme is what is left of torch's."""
    rng = np.random.default_rng(0)
    gates = [rng.uniform(-0.0693, 0.0693, (256, 4)) for _ in range(3)]
    gates[0] = trained_like((256, 4), rng)
    tensors = {
        "w": np.concatenate(gates)[None].astype(np.float32),
        "r": rng.normal(0, 0.06, (1, 768, 256)).astype(np.float32),
    }
    node = helper.make_node("GRU", ["x", "w", "r"], ["y"], "gru", hidden_size=256)

    report = audit(model([node], {"x": [5, "N", 4]}, ["y"], tensors), Config(probe="none"))

    assert report.audit is not None
    reset = next(a for a in report.audit.layers if a.layer.role == "W" and "reset" in (a.layer.weight.part or ""))
    assert reset.provenance is not None
    assert reset.provenance.distribution == "uniform"
    assert reset.provenance.untrained is None


def lstm(recurrent: np.ndarray, hidden: int) -> list[LayerAudit]:
    """The gates of the recurrent weights of an LSTM."""
    rng = np.random.default_rng(0)
    tensors = {
        "w": rng.uniform(-0.1, 0.1, (1, 4 * hidden, 8)).astype(np.float32),
        "r": recurrent[None].astype(np.float32),
    }
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], "lstm", hidden_size=hidden)
    report = audit(model([node], {"x": [5, "N", 8]}, ["y"], tensors), Config(probe="none"))
    assert report.audit is not None
    return [a for a in report.audit.layers if a.layer.role == "R"]


def test_the_recurrent_kernel_of_keras_is_one_orthogonal_draw() -> None:
    """Fresh over all gates; after a step it is trained, although each gate looks normal."""
    rng = np.random.default_rng(0)
    kernel = np.linalg.qr(rng.standard_normal((400, 100)))[0]
    step = 0.02 * rng.standard_normal((400, 1)) @ rng.standard_normal((1, 100))

    fresh, moved = lstm(kernel, 100), lstm(kernel + step, 100)

    assert [a.provenance and (a.provenance.law, a.provenance.untrained) for a in fresh] == [("orthogonal", True)] * 4
    assert [a.provenance and a.provenance.untrained for a in moved] == [False] * 4
