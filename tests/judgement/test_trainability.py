"""Trainability: what the score says of networks that are known to learn or not, and what it blames."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.judgement.factors import limits
from initaudit.judgement.optimisers import ADAM, SGD
from initaudit.judgement.score import ADAM_SURE, SUFFICES, TRAINABLE, learns, score_of
from initaudit.judgement.trainability import Trainability, trainability
from tests.judgement.test_dynamics import layer, network
from tests.networks import he, mlp, normal, xavier

if TYPE_CHECKING:
    from initaudit.judgement.dynamics import Dynamics

HEALTHY = network(*[layer() for _ in range(6)])
"""Six layers with the kernel and the weights of a well initialised network."""


def every_layer(dynamics: Dynamics, **changes: object) -> Dynamics:
    """The network with all its layers changed."""
    return replace(dynamics, layers=tuple(replace(part, **changes) for part in dynamics.layers))


def judged(proto: object) -> Trainability:
    """The judgement on a model, as the audit passes it."""
    report = audit(proto, Config(context="fresh"))
    assert report.audit is not None
    assert report.audit.trainability is not None
    return report.audit.trainability


def rules(dynamics: Dynamics) -> set[str]:
    """Codes of the rules that are to report what limits it."""
    return {factor.rule for factor in limits(dynamics)}


def test_a_healthy_network_scores_high_and_nothing_is_blamed() -> None:
    """All five conditions hold with room to spare."""
    assert score_of(HEALTHY) > 0.9
    assert not rules(HEALTHY)


def test_without_contrast_all_inputs_get_the_same_answer() -> None:
    """The kernel is large, but it moves all answers together: the failure of deep sigmoid stacks."""
    collapsed = every_layer(HEALTHY, contrast=1e-9)

    assert score_of(collapsed) < 0.01
    assert rules(collapsed) == {"INI405"}


def test_without_kernel_no_learning_rate_moves_the_answers() -> None:
    """Signal and gradient fall geometrically: both are named, at the layer where 1 % is left."""
    parts = [layer(kernel=1e-12, name=f"fc{i}", input_variance=0.03**i, gradient=0.03 ** (5 - i)) for i in range(6)]
    vanishing = network(*parts)

    factors = {factor.rule: factor for factor in limits(vanishing)}

    assert learns(vanishing, SGD) < 0.01
    assert score_of(vanishing) < 0.05
    assert set(factors) == {"INI401", "INI501"}
    assert factors["INI401"].layer == "fc2"
    assert factors["INI501"].layer == "fc0"


def test_a_step_larger_than_the_weights_throws_the_network_off() -> None:
    """Signal and gradient grow geometrically: at any rate in use one step replaces the network."""
    parts = [layer(kernel=1e9, input_variance=30.0**i, gradient=30.0 ** (5 - i)) for i in range(6)]
    exploding = network(*parts, answer_scale=30.0**3)

    assert learns(exploding, SGD) < 0.01
    assert score_of(exploding) < TRAINABLE
    assert rules(exploding) == {"INI402", "INI502"}


def test_small_weights_behind_normalisation_are_named_as_uneven() -> None:
    """The signal is of unit size everywhere, yet each step of SGD is many times the weights. Adam's are what they are."""
    wild = every_layer(HEALTHY, kernel=1e8)

    assert learns(wild, SGD) < 0.1
    assert learns(wild, ADAM) > ADAM_SURE
    assert TRAINABLE <= score_of(wild) < SUFFICES
    assert rules(wild) == {"INI503"}


def test_no_common_learning_rate_is_named_as_uneven() -> None:
    """Small rates of SGD do not move the differences between inputs, large ones throw the network off."""
    torn = every_layer(HEALTHY, weight_square=1e-3, contrast=5e-4)

    assert learns(torn, SGD) < TRAINABLE
    assert rules(torn) == {"INI503"}


def test_inputs_along_one_line_cannot_be_divided_into_classes() -> None:
    """Narrow deep networks lose all directions but one; wide ones can learn to spread what arrives along a line."""
    line = replace(HEALTHY, dimension=1.0)
    narrow = every_layer(network(*[layer()] * 24), elements=16)

    assert score_of(line) > 0.8
    assert score_of(replace(narrow, dimension=1.0)) < TRAINABLE
    assert rules(replace(narrow, dimension=1.0)) == {"INI405"}


def test_a_chaotic_network_learns_each_input_by_itself() -> None:
    """A gradient far larger than the differences between answers call for."""
    chaotic = every_layer(HEALTHY, reach=1e8)

    assert score_of(chaotic) < 0.05
    assert rules(chaotic) == {"INI502"}


@pytest.mark.parametrize("changes", [{"tied": 1.0}, {"finite": False}])
def test_copies_and_overflow_rule_learning_out(changes: dict[str, object]) -> None:
    """Units that stay equal, and values that are no numbers, leave nothing to learn with."""
    assert score_of(replace(HEALTHY, **changes)) == 0.0
    assert [factor.score for factor in limits(replace(HEALTHY, **changes))] == [0.0]


POSITIVE = st.floats(1e-20, 1e20)


@given(
    kernel=POSITIVE,
    weight=POSITIVE,
    contrast=st.floats(0, 1),
    dimension=st.floats(1, 100),
    reach=POSITIVE,
    depth=st.integers(1, 60),
)
def test_the_score_is_a_probability_and_every_failure_has_a_cause(
    kernel: float, weight: float, contrast: float, dimension: float, reach: float, depth: int
) -> None:
    """Whatever was measured, the score lies in [0, 1], and a network below TRAINABLE is told what limits it."""
    part = layer(kernel=kernel, weight_square=weight, contrast=contrast, reach=reach)
    found = network(*[part] * depth, dimension=dimension)

    score = score_of(found)

    assert 0.0 <= score <= 1.0
    assert score >= TRAINABLE or limits(found)


@given(factor=st.floats(1.0, 1e6), dimension=st.floats(1.0, 50.0))
def test_more_directions_help_and_roughness_harms(factor: float, dimension: float) -> None:
    """The score rises with the dimension and falls with the roughness."""
    assert score_of(replace(HEALTHY, dimension=dimension * factor)) >= score_of(replace(HEALTHY, dimension=dimension))
    assert score_of(every_layer(HEALTHY, reach=factor)) <= score_of(HEALTHY)


def test_batch_norm_lets_a_network_stand_more_roughness() -> None:
    """ResNet-50 starts at 10^4.7 and learns; where nothing mends the scale of the weights, that is chaos. 10^9 is too much for any chain."""

    def score(decades: float, *, by_batch: bool) -> float:
        return score_of(replace(every_layer(HEALTHY, reach=10.0**decades), by_batch=by_batch))

    assert score(4.7, by_batch=True) > SUFFICES
    assert score(4.7, by_batch=False) < TRAINABLE
    assert score(9.0, by_batch=True) < 0.1


def test_residual_branches_with_batch_norm_stand_more_than_a_plain_chain() -> None:
    """ResNet-152 starts at 10^7.5 and is trained every day; a plain chain as rough does not get off the ground. Skips without norms mend nothing."""

    def score(decades: float, *, by_batch: bool = True, bypassed: bool) -> float:
        rough = every_layer(HEALTHY, reach=10.0**decades)
        return score_of(replace(rough, by_batch=by_batch, bypassed=bypassed))

    assert score(7.45, bypassed=True) > SUFFICES
    assert score(7.45, bypassed=False) < 0.1
    assert score(10.0, bypassed=True) < 0.1
    assert score(7.45, by_batch=False, bypassed=True) < 0.1


def test_nothing_is_said_of_what_was_not_probed() -> None:
    """Without a backward probe there is no score, rather than a guess."""
    report = audit(mlp([8, 8, 4]), Config(context="fresh", probe="forward"))

    assert report.audit is not None
    assert trainability(report.audit.layers) is None
    assert report.verdict.trainability is None


def test_he_carries_a_relu_network_and_xavier_does_not_carry_a_sigmoid_one() -> None:
    """He et al. 2015, and Glorot & Bengio 2010, section 3.1: ten layers of either."""
    widths = [48] * 11 + [10]

    good, bad = judged(mlp(widths, "Relu", he)), judged(mlp(widths, "Sigmoid", xavier))

    assert good.score > 0.7
    assert bad.score < 0.01
    assert bad.factors[0].rule == "INI405"


def test_too_small_and_too_large_weights_are_both_found() -> None:
    """A sixth of He's standard deviation loses the signal, six times as much explodes."""
    widths = [48] * 11 + [10]
    std = math.sqrt(2 / 48)

    small, large = (judged(mlp(widths, "Relu", normal(std * factor))) for factor in (1 / 6, 6.0))

    assert small.score < 0.01
    assert "INI401" in {factor.rule for factor in small.factors}
    assert large.score < 0.01
    assert "INI402" in {factor.rule for factor in large.factors}


def test_a_zero_layer_that_the_gradient_fills_is_a_warning() -> None:
    """Behind tanh, whose slope at zero is one, a zero layer receives a gradient in the first step and passes it on in the second."""
    proto = mlp([48] * 7 + [10], "Tanh", xavier, change={"fc3.weight": lambda weight: weight * 0})

    report = audit(proto, Config(context="fresh"))

    assert {finding.severity.value for finding in report.findings if finding.code == "INI003"} == {"warning"}
    assert report.verdict.status == "warn"


@pytest.mark.filterwarnings("ignore:invalid value")  # infinity less infinity, which the probe's own process passes over
@pytest.mark.parametrize("mode", ["full", "forward"])
def test_a_network_that_overflows_does_not_learn(mode):
    """Not even one step: trainability is 0 and not unknown, and the weights that do it are errors beside the node that overflows."""
    report = audit(mlp([32] * 8 + [10], draw=normal(1e9)), Config(probe=mode))

    assert report.verdict.trainability == 0.0
    assert report.verdict.status == "fail"
    errors = [f.code for f in report.active if f.severity.value == "error"]
    assert errors.count("INI406") == 1
    assert "INI102" in errors
    assert "INI402" not in errors
