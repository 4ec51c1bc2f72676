"""A std that is off its target is judged by what it does to the signal, not by how far it is off."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.findings import Severity
from initaudit.judgement.context import Context
from initaudit.judgement.gain import signal_gain
from initaudit.judgement.scale import effect_of, scale_severity
from initaudit.judgement.score import TRAINABLE
from initaudit.judgement.trainability import Trainability
from initaudit.kind import Kind
from initaudit.probe.signal import Moments, Signal
from initaudit.stats import weigh
from tests.networks import mlp

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

NAMED_BELOW, NAMED_ABOVE = 0.3, 3.0
"""Bounds as a rule gives them: ratios to the target's std."""


@cache
def sound(activation: str = "Relu") -> ModelAudit:
    """The static audit of a network of four layers that fit."""
    report = audit(mlp([64, 64, 64, 64, 10], activation), Config(probe="none", context="fresh"))
    assert report.audit is not None
    return report.audit


def network(context: str = "fresh", score: float | None = None) -> ModelAudit:
    """The same network, in this context, with this trainability where it was probed."""
    learning = None if score is None else Trainability(score=score, factors=(), sgd=score, adam=score)
    return replace(sound(), context=Context(name=context), trainability=learning)


def signal(gain: float = 1.0, *, entering: float = 1.0, saturated: float | None = None, **more: object) -> Signal:
    """What the probe sees at a layer that multiplies the signal's std by `gain`."""
    variance = gain * gain * entering
    return Signal(
        mean_square=variance, variance=variance, similarity=0.0, saturated=saturated,
        input=Moments(mean_square=entering, variance=entering), **more,
    )  # fmt: skip


def layer(
    ratio: float,
    gain: float | None = None,
    *,
    behind: str = "Relu",
    saturated: float | None = None,
    **facts: object,
) -> LayerAudit:
    """A hidden layer whose weights have `ratio` times the std that fits, and the signal that the probe saw, if any."""
    found = sound(behind).layers[1]
    assert found.target is not None
    measured = replace(found.stats, std=found.target.std * ratio)
    seen = None if gain is None else signal(gain, saturated=saturated)
    return replace(found, stats=measured, signal=seen, provenance=None, layer=replace(found.layer, **facts))


def judged(of: LayerAudit, where: ModelAudit) -> Severity | None:
    """The severity of a std below or above its target."""
    assert of.ratio is not None
    smaller = of.ratio < 1
    return scale_severity(of, where, NAMED_BELOW if smaller else NAMED_ABOVE, smaller=smaller)


@pytest.mark.parametrize(("ratio", "named"), [(0.25, True), (0.35, False), (1.0, False), (2.9, False), (3.1, True)])
def test_a_fresh_layer_is_named_beyond_the_bound_only(ratio: float, named: bool) -> None:
    """On either side of its target."""
    assert (judged(layer(ratio), network()) is not None) is named


@pytest.mark.parametrize(
    "harmless",
    [{"normalized_before_use": True}, {"folded_norm": True}, {"ends_residual_branch": True}],
    ids=["before-norm", "folded-norm", "end-of-branch"],
)
@pytest.mark.parametrize("ratio", [0.01, 100.0])
def test_a_scale_that_does_not_matter_is_information(harmless: dict[str, bool], ratio: float) -> None:
    """A normalisation makes up for it, or the stream goes past it, however bad the network."""
    assert judged(layer(ratio, ratio, **harmless), network(score=0.0)) is Severity.INFO


def test_a_small_head_is_information_and_a_large_one_is_not() -> None:
    """What is small adds little; what is large drowns the rest."""
    assert judged(layer(0.01, 0.01, is_head=True), network(score=0.0)) is Severity.INFO
    assert judged(layer(100.0, 100.0, is_head=True), network(score=0.0)) is Severity.ERROR


@pytest.mark.parametrize("ratio", [0.01, 100.0])
def test_a_scale_within_a_residual_branch_multiplies_as_in_a_chain(ratio: float) -> None:
    """The skip goes past the branch, but the end of the branch sees nothing else than what the layers before it give."""
    assert judged(layer(ratio, ratio, in_residual_branch=True), network(score=0.0)) is Severity.ERROR


@pytest.mark.parametrize(
    ("mean", "facts", "open_"),
    [(1.0, {}, True), (-1.0, {}, True), (0.3, {}, False), (1.0, {"feeds": ("layer",)}, False),
     (1.0, {"activation": "relu"}, False)],
)  # fmt: skip
def test_a_gate_held_open_by_its_bias_may_be_small(mean: float, facts: dict[str, object], open_: bool) -> None:
    """gMLP starts its gates at one with tiny weights (Liu et al. 2021, section 2.1)."""
    gate = layer(0.01, 0.01, **{"activation": None, "feeds": ("gate",), **facts})
    bias = weigh(sound().layers[1].stats.sample[:64] * 0 + mean)

    assert judged(replace(gate, bias=bias), network(score=0.0)) is (Severity.INFO if open_ else Severity.ERROR)


@pytest.mark.parametrize(("ratio", "against"), [(0.2, 1.2), (5.0, 0.8)])
def test_a_layer_that_drives_the_network_into_failure_is_an_error(ratio: float, against: float) -> None:
    """It must move the signal in the direction of its scale; one that moves it the other way is not to blame."""
    hopeless, fine = network(score=TRAINABLE / 2), network(score=TRAINABLE)

    assert judged(layer(ratio, ratio), hopeless) is Severity.ERROR
    assert judged(layer(ratio, against), hopeless) is Severity.INFO
    assert judged(layer(ratio, ratio), fine) is Severity.INFO


@pytest.mark.parametrize(
    ("ratio", "score", "severity"),
    [
        (0.09, None, Severity.WARNING),
        (0.11, None, Severity.INFO),
        (0.09, 0.85, Severity.WARNING),
        (0.05, 0.99, Severity.WARNING),
        (0.11, 0.99, Severity.INFO),
    ],
)
def test_weights_that_are_ten_times_too_small_slow_a_plain_chain(
    ratio: float, score: float | None, severity: Severity
) -> None:
    """Two layers at 0.05 of He's std cost two to five times the steps of a network that learns all the same."""
    assert judged(layer(ratio, ratio), network(score=score)) is severity


@pytest.mark.parametrize(
    "facts",
    [{"in_residual_branch": True}, {"feeds": ("gate",)}, {"feeds": ("attention",)}, {"kind": Kind.LSTM}],
    ids=["branch", "gate", "attention", "cell"],
)
def test_outside_of_a_plain_chain_small_weights_need_the_probe_to_harm(facts: dict[str, object]) -> None:
    """A shortcut, a gate or a cell keeps the signal up: N(0, 0.02) in a narrow transformer."""
    assert judged(layer(0.05, 0.05, **facts), network(score=0.99)) is Severity.INFO
    assert judged(layer(0.05, 0.05, **facts), network(score=0.85)) is Severity.WARNING


def test_small_weights_that_the_signal_does_not_feel_are_information() -> None:
    """The input may have the size that makes up for them."""
    assert judged(layer(0.05, 0.6), network(score=0.99)) is Severity.INFO


def test_a_scheme_of_the_whole_network_is_chosen_and_that_of_one_layer_is_not() -> None:
    """One small layer fits some published law by accident."""
    law = replace(sound().layers[1].provenance, law="normal_0.02")  # type: ignore[type-var]
    published = replace(layer(0.05, 0.05), provenance=law)
    learns = network(score=0.99)

    assert judged(published, learns) is Severity.WARNING
    assert judged(published, replace(learns, layers=(published,) * 3)) is Severity.INFO


def test_a_published_scale_is_no_fault_until_the_probe_says_so() -> None:
    """N(0, 0.02) may be a tenth of what fits and was chosen knowingly."""
    published = replace(layer(0.05), provenance=replace(sound().layers[1].provenance, law="normal_0.02"))  # type: ignore[type-var]

    assert judged(published, network()) is Severity.INFO
    assert judged(published, network(score=0.85)) is Severity.WARNING
    assert judged(layer(0.05), network()) is Severity.WARNING


@pytest.mark.parametrize(
    ("ratio", "gain", "severity"),
    [
        (11.0, None, Severity.WARNING),
        (11.0, 1.1, Severity.WARNING),
        (11.0, 0.9, Severity.INFO),
        (9.0, 9.0, Severity.INFO),
    ],
)
def test_large_weights_harm_where_the_signal_that_leaves_is_large(
    ratio: float, gain: float | None, severity: Severity
) -> None:
    """The std that fits the head of a large vocabulary is tiny; what counts is what leaves the layer."""
    assert judged(layer(ratio, gain), network(score=0.95)) is severity


@pytest.mark.parametrize(
    ("activation", "share", "severity"),
    [
        ("Tanh", 0.6, Severity.WARNING),
        ("Tanh", 0.4, Severity.INFO),
        ("Tanh", None, Severity.INFO),
        ("Relu", 0.6, Severity.INFO),
    ],
)
def test_weights_that_saturate_a_sigmoidal_activation_harm(
    activation: str, share: float | None, severity: Severity
) -> None:
    """Half of the units in the flat parts; half a rectifier's units are off by design."""
    assert judged(layer(4.0, 4.0, behind=activation, saturated=share), network(score=0.95)) is severity


@pytest.mark.parametrize("facts", [{"untrainable": "a fixed table"}, {"kind": Kind.EMBEDDING}])
def test_what_has_no_scale_to_be_judged_by_is_not_judged(facts: dict[str, str]) -> None:
    """Tables are read, not multiplied by; what nobody learns nobody draws."""
    assert judged(layer(100.0, 100.0, **facts), network(score=0.0)) is None


def test_constant_and_broken_weights_are_not_judged_by_their_scale() -> None:
    """Other rules name them."""
    off = layer(100.0, 100.0)

    assert (
        scale_severity(replace(off, stats=replace(off.stats, std=0.0)), network(), NAMED_BELOW, smaller=False) is None
    )
    assert judged(replace(off, stats=replace(off.stats, nonfinite=1)), network(score=0.0)) is None
    assert scale_severity(replace(off, target=None), network(), NAMED_ABOVE, smaller=False) is None


def test_the_gain_is_that_of_the_std_over_inputs() -> None:
    """The layer's own output counts where a norm stands behind it, but not behind the constants of a BatchNorm at inference."""
    behind = signal(1.0, entering=4.0, own=Moments(mean_square=36.0, variance=36.0))
    normed = replace(layer(1.0, normalized_by="layer_norm"), signal=behind)
    batch_normed = replace(layer(1.0, normalized_by="batch_norm"), signal=behind)

    assert signal_gain(layer(1.0, 3.0)) == pytest.approx(3.0)
    assert signal_gain(normed) == pytest.approx(3.0)
    assert signal_gain(batch_normed) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "unknown",
    [None, replace(signal(), input=None), signal(entering=0.0), signal(math.inf), signal(entering=math.inf)],
    ids=["not-probed", "no-input", "no-signal", "overflow", "overflow-before"],
)
def test_without_a_finite_signal_there_is_no_gain(unknown: Signal | None) -> None:
    """Nothing is divided by nothing or by infinity."""
    assert signal_gain(replace(layer(1.0), signal=unknown)) is None


def test_the_effect_is_said_in_words() -> None:
    """What makes up for it, or what was measured, or what is to be expected."""
    assert "folded" in effect_of(layer(0.1, 0.1, folded_norm=True), smaller=True)
    assert "normalisation behind it" in effect_of(layer(0.1, 0.1, normalized_before_use=True), smaller=True)
    assert effect_of(layer(0.1), smaller=True) == "it shrinks the signal"
    assert effect_of(layer(10.0), smaller=False) == "it inflates the signal"
    assert effect_of(layer(10.0, 12.0), smaller=False) == "the signal's std is multiplied by 12 here"
