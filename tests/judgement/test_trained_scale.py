"""The scale of a trained layer is judged by that of trained layers, by the layer's bias and by what the inputs may be."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.findings import Severity
from initaudit.judgement.trained_scale import BEYOND, ORDINARY, bulk_ratio, reads_inputs, trained_severity
from initaudit.kind import Kind
from initaudit.probe.signal import Moments, Signal
from initaudit.stats import weigh
from tests.networks import he, mlp, model

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

SMALL, LARGE = ORDINARY[0] / BEYOND, ORDINARY[1] * BEYOND


@cache
def perceptron() -> ModelAudit:
    """Four layers, audited without the probe."""
    found = audit(mlp([64, 64, 64, 64, 10]), Config(probe="none", context="trained")).audit
    assert found is not None
    return found


@cache
def convolutions(channels: int) -> ModelAudit:
    """Two convolutions; the first one reads `channels`."""
    rng = np.random.default_rng(0)
    tensors = {"w": he((16, channels, 3, 3), rng), "v": he((16, 16, 3, 3), rng)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], "first"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["y"], "next"),
    ]
    network = model(nodes, {"x": ["N", channels, 9, 9]}, ["y"], {k: w.astype(np.float32) for k, w in tensors.items()})
    found = audit(network, Config(probe="none", context="trained")).audit
    assert found is not None
    return found


def layer(
    ratio: float,
    gain: float | None,
    *,
    at: int = 1,
    bias: float = 0.0,
    where: ModelAudit | None = None,
    **facts: object,
) -> LayerAudit:
    """A layer with `ratio` times the std of its target, of which the probe saw this gain, and a bias of this size."""
    found = (where or perceptron()).layers[at]
    assert found.target is not None
    stats = weigh((found.layer.weight.array() * (ratio / found.ratio)).astype(np.float32))
    seen = None
    if gain is not None:
        seen = Signal(
            mean_square=gain**2, variance=gain**2, similarity=0.0, input=Moments(mean_square=1.0, variance=1.0)
        )
    biased = weigh(np.full(64, bias, np.float32)) if bias else None
    return replace(found, stats=stats, signal=seen, bias=biased, layer=replace(found.layer, **facts), trained=True)


def judged(of: LayerAudit, where: ModelAudit | None = None) -> Severity | None:
    """The severity of its std, whichever side of the target it is on."""
    assert of.ratio is not None
    return trained_severity(of, where or perceptron(), smaller=of.ratio < 1)


@pytest.mark.parametrize(
    ("gain", "severity"), [(None, None), (1.0, None), (7.0, None), (9.0, Severity.WARNING), (1 / 9, None)]
)
def test_a_trained_layer_is_suspected_where_the_signal_grows_eightfold(gain: float | None, severity: object) -> None:
    """Training moves scales at will; only what multiplies the signal as well is worth a word."""
    assert judged(layer(1.05 * LARGE, gain)) is severity


@pytest.mark.parametrize(("gain", "severity"), [(1 / 9, Severity.WARNING), (1 / 7, None), (9.0, None)])
def test_a_trained_layer_is_suspected_where_the_signal_shrinks_to_an_eighth(gain: float, severity: object) -> None:
    """The same downwards; a gain in the other direction confirms nothing."""
    assert judged(layer(SMALL / 1.05, gain)) is severity


@pytest.mark.parametrize(("ratio", "gain", "named"), [(19.0, 100.0, False), (90.0, 2.1, True), (6000.0, 1.9, False)])
def test_what_is_further_off_needs_less_to_confirm_it(ratio: float, gain: float, named: bool) -> None:
    """At 90 times the std a doubling of the signal is enough, and less never is; within twice the ordinary range nothing is."""
    assert (judged(layer(ratio, gain)) is not None) is named


def test_a_recurrent_cell_hides_its_scale_from_the_probe() -> None:
    """Its outputs are bounded, so nothing can be confirmed."""
    assert judged(layer(1.05 * LARGE, 1.0, kind=Kind.LSTM)) is Severity.WARNING
    assert judged(layer(0.9 * LARGE, 1.0, kind=Kind.GRU)) is None


@pytest.mark.parametrize(
    ("ratio", "gain", "bias", "named"),
    [(45.0, 50.0, 10.0, False), (45.0, 50.0, 0.1, True), (0.01, 0.01, 0.1, True), (0.01, 0.01, 0.001, False)],
    ids=["bias-as-large", "bias-drowned", "bias-drowns", "bias-as-small"],
)
def test_a_scale_that_the_bias_shares_was_learned(ratio: float, gain: float, bias: float, named: bool) -> None:
    """Weights that were scaled after training leave their bias behind; a folded norm or a large target takes it along."""
    assert (judged(layer(ratio, gain, bias=bias)) is not None) is named


def test_a_few_large_weights_are_no_scale() -> None:
    """A channel whose variance was tiny is folded into huge weights; the rest of the layer is as it was."""
    found = layer(1.0, 100.0)
    spiked = found.layer.weight.array().astype(np.float32)
    spiked[0] *= 1000
    found = replace(found, stats=weigh(spiked))

    assert found.ratio is not None
    assert found.ratio > LARGE
    assert bulk_ratio(found) == pytest.approx(1.0, rel=0.2)
    assert judged(found) is None


def test_behind_a_norm_a_scale_is_nothing_and_behind_a_folded_one_hardly_ever_something() -> None:
    """The norm takes the scale away; a fold leaves what the norm learned, which is no factor of fifty."""
    assert judged(layer(100.0, 100.0, normalized_before_use=True)) is None
    assert judged(layer(100.0, 40.0, folded_norm=True)) is None
    assert judged(layer(100.0, 60.0, folded_norm=True)) is Severity.WARNING


@pytest.mark.parametrize(
    ("channels", "how", "severity"),
    [
        (3, "0 to 255, as the first layers show", Severity.INFO),
        (1, "0 to 255, as the first layers show", Severity.INFO),
        (3, "N(0, 1)", Severity.WARNING),
        (8, "0 to 255, as the first layers show", Severity.WARNING),
    ],
)
def test_pixels_explain_small_weights_of_the_first_layer(channels: int, how: str, severity: Severity) -> None:
    """Pixels of 0 to 255 call for weights a hundredth as large, where the network shows that it takes them; other features do not."""
    where = convolutions(channels)
    where = replace(where, probe=replace(where.probe, inputs=({"name": "x", "how": how},)))

    assert judged(layer(0.005, 0.01, at=0, where=where), where) is severity
    assert judged(layer(0.005, 0.01, at=1, where=where), where) is Severity.WARNING


def test_small_inputs_explain_large_weights_of_the_first_layer() -> None:
    """A tenth of unit size is ordinary; a hundredth is not, nor is any where the probe was given the data."""
    given = replace(perceptron(), probe=replace(perceptron().probe, inputs=({"name": "x", "how": "from x.npy"},)))

    assert judged(layer(100.0, 100.0, at=0)) is Severity.INFO
    assert judged(layer(300.0, 300.0, at=0)) is Severity.WARNING
    assert judged(layer(100.0, 100.0, at=0), given) is Severity.WARNING


def test_the_first_layer_is_the_one_that_no_other_stands_before() -> None:
    """Whatever lies between it and the inputs."""
    assert [reads_inputs(a, perceptron()) for a in perceptron().layers] == [True, False, False, False]


def test_a_first_layer_that_shows_no_pixels_asks_for_the_inputs() -> None:
    """Its bias makes up for no mean pixel: its weights may have been scaled, and real inputs decide."""
    rng = np.random.default_rng(0)
    tensors = {
        "w": (0.003 * rng.standard_t(3, (16, 3, 3, 3))).astype(np.float32),
        "b": rng.standard_normal(16).astype(np.float32),
        "v": rng.standard_t(3, (16, 16, 3, 3)).astype(np.float32) / 20,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["h"], "first"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["y"], "next"),
    ]
    network = model(nodes, {"x": ["N", 3, 9, 9]}, ["y"], tensors)

    found = [f for f in audit(network, Config(context="trained", probe="forward")).findings if f.code == "INI101"]

    assert [(f.layer, f.severity) for f in found] == [("first", Severity.WARNING)]
    assert "--input-data" in found[0].suggestion
