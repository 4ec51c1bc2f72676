"""Trainability: would gradient descent get this network off the ground? A number in [0, 1] and what limits it.

The score is the probability that a network reaches a training accuracy of 90 % within 250 steps, with SGD or with Adam, at the
best of their learning rates:

    score = separates * smooth * max over optimisers and rates [ moves(rate) * stands(rate) ]

    moves      a step changes the answers to different inputs differently, by enough to matter
    stands     a step changes the weights of all layers together, and the answers, by little enough
    separates  the inputs arrive at the last layer spread over several directions, or the layers are wide enough to learn to
    smooth     inputs that are alike get answers that are alike

What Adam alone gets off the ground scores just above TRAINABLE. A network whose units are all copies of each other, or whose
values leave the finite numbers, scores 0. The constants were fitted on networks that `benchmarks/trainability/` draws and really
trains; its `fit.py` gives them again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initaudit.judgement.dynamics import Dynamics, MeasuredLayer, dynamics_of, log10, logistic
from initaudit.judgement.optimisers import ADAM, SGD, Optimiser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from initaudit.measuring.layer_audit import LayerAudit

TRAINABLE = 0.5
"""At or above this score a network is called trainable: the score is a probability."""

ROUGHNESS_STOOD = 4.46
"""Decimal logarithm of the roughness that half of the networks stand; fitted."""
BATCH_NORM_CALMS = 1.8
"""Decades of roughness that BatchNorm lets a network stand beyond ROUGHNESS_STOOD: MLPs with BatchNorm and ReLU reach an accuracy
of 0.95 at 10^5.3, 0.7 at 10^6.5 and 0.3 at 10^8.1; halfway is 10^6.3 (`benchmarks/trainability/batch_norm.py`). Their gradients make the weights
grow, whose scale does not count, and the steps shrink (Arora, Li & Lyu 2019)."""
ROUGHNESS_STEEPNESS = 1.57
"""How sharply networks on either side of ROUGHNESS_STOOD differ, per decade; fitted."""
DIMENSION_STEEPNESS = 1.78
"""How much each factor of ten in the dimension of the last layer's input helps; fitted."""
NARROWNESS_STEEPNESS = 3.61
"""How much each factor of ten in narrowness harms; a narrowness of 1 with a dimension of 1 leaves half; fitted."""

ADAM_SURE = 0.8
"""Probability of learning with Adam from which a network counts as trainable though SGD does not get it off the ground: where failures
and passes of the networks of `label_families.py`, each family left out in turn, are most often right (`benchmarks/trainability/fit.py`)."""
ADAM_ALONE = 0.05
"""How much above TRAINABLE a network may score that Adam alone trains. A judgement: it trains, and is less good than any that trains with
either."""
TIED = 0.5
"""Share of tied units from which a network counts as one unit wide: one constant layer between random ones is not enough
to tie its units, so in practice the share is 0 or 1."""
SUFFICES = 0.8
"""A factor that leaves this much is neither blamed nor reported: four networks in five learn in spite of it. A judgement."""
UNHARMED = 0.9
"""Trainability from which an odd scale has evidently done no harm: nine networks in ten learn. A judgement."""
STEEP = 100.0
"""Factor between the ends of a network from which a variance, or a gradient, counts as vanished or exploded on the way. A
judgement: ten in the size of the signal. It only chooses the layer that is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One thing that can keep a network from learning."""

    name: str
    """signal, similarity, gradient, explosion, uneven, line, symmetry, overflow."""
    score: float
    """Trainability that this factor alone would leave, in [0, 1]."""
    layer: str | None
    """Layer.name where it happens first, if one is to blame."""
    rule: str
    """Code of the rule that reports it, e.g. `INI401`."""
    message: str
    """What was measured and what it does, one sentence with numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainability:
    """Score and factors, the most limiting first."""

    score: float
    factors: tuple[Factor, ...]
    """What limits SGD."""
    sgd: float
    """Score with SGD alone."""
    adam: float
    """Score with Adam alone."""

    @property
    def takes_adam(self) -> bool:
        """Whether Adam gets the network off the ground, and SGD does not."""
        return self.sgd < TRAINABLE and self.adam >= ADAM_SURE


def trainability(layers: Sequence[LayerAudit]) -> Trainability | None:
    """Judge probed layers in topological order; None where nothing was probed backward, unless the way forward already ends."""
    dynamics = dynamics_of(layers)
    if dynamics is not None:
        sgd, adam = (learns(dynamics, optimiser) for optimiser in (SGD, ADAM))
        return Trainability(score=score_of(dynamics), factors=limits(dynamics), sgd=sgd, adam=adam)
    broken = next((a.layer.name for a in layers if a.signal is not None and a.signal.nonfinite > 0), None)
    return (
        None
        if broken is None
        else Trainability(score=0.0, factors=(_overflow(broken, rule="INI406"),), sgd=0.0, adam=0.0)
    )


def score_of(dynamics: Dynamics) -> float:
    """Probability that the network learns with the better of both optimisers, one that Adam alone gets off the ground counting less."""
    sgd, adam = (learns(dynamics, optimiser) for optimiser in (SGD, ADAM))
    if adam < ADAM_SURE:
        return max(sgd, TRAINABLE * adam / ADAM_SURE)
    return max(sgd, TRAINABLE + ADAM_ALONE * (adam - ADAM_SURE) / (1 - ADAM_SURE))


def learns(dynamics: Dynamics, optimiser: Optimiser) -> float:
    """Probability that the network learns with this optimiser, at its best learning rate."""
    if not dynamics.finite or dynamics.tied >= TIED:
        return 0.0
    return separates(dynamics) * smooth(dynamics) * optimiser.learns(dynamics)


def separates(dynamics: Dynamics) -> float:
    """Probability that what the last layer sees can be, or can become, divisible into classes."""
    spread = log10(dynamics.dimension) if dynamics.dimension else 0.0
    narrow = log10(dynamics.narrowness)
    return logistic(DIMENSION_STEEPNESS * spread - NARROWNESS_STEEPNESS * narrow)


def smooth(dynamics: Dynamics) -> float:
    """Probability that what is learned from one input holds for its neighbours."""
    stood = ROUGHNESS_STOOD + BATCH_NORM_CALMS * dynamics.by_batch
    return logistic(ROUGHNESS_STEEPNESS * (stood - log10(dynamics.roughness)))


def limits(dynamics: Dynamics) -> tuple[Factor, ...]:
    """What leaves less than SUFFICES, each under the name of its cause, the most limiting first."""
    return tuple(sorted(_limits(dynamics), key=lambda factor: factor.score))


def _limits(dynamics: Dynamics) -> Iterator[Factor]:
    if not dynamics.finite:
        where = next((layer.name for layer in dynamics.layers if not math.isfinite(layer.kernel)), None)
        yield _overflow(where, rule="INI402")
        return
    if dynamics.tied >= TIED:
        yield Factor(
            name="symmetry",
            score=0.0,
            layer=dynamics.drawn[0].name,
            rule="INI004",
            message=f"{dynamics.tied:.0%} of the hidden units have the same weights, before and behind them, as another unit: "
            "they stay equal for ever, and each layer is one unit wide.",
        )
    slow, wild = SGD.moves(dynamics, SGD.rates[-1]), SGD.stands(dynamics, SGD.rates[0])
    if slow < SUFFICES:
        yield from _too_slow(dynamics, slow)
    if wild < SUFFICES:
        yield from _too_wild(dynamics, wild)
    together = SGD.learns(dynamics)
    if together < SUFFICES <= min(slow, wild):
        yield Factor(
            name="uneven",
            score=together,
            layer=None,
            rule="INI503",
            message=f"No single learning rate fits: the relative weight gradients add up to {dynamics.relative_step:.2g} over the "
            f"layers, but the differences between inputs move by {dynamics.contrast_kernel:.2g} only.",
        )
    if (calm := smooth(dynamics)) < SUFFICES:
        roughest = max(dynamics.layers, key=lambda layer: layer.reach)
        yield Factor(
            name="chaos",
            score=calm,
            layer=roughest.name,
            rule="INI502",
            message=f"Close to an input the answers change {math.sqrt(dynamics.roughness):.1g} times as fast as they differ between inputs: "
            "the network is chaotic, and what is learned from one input says nothing about the next.",
        )
    if (divisible := separates(dynamics)) < SUFFICES:
        yield Factor(
            name="line",
            score=divisible,
            layer=dynamics.drawn[-1].name,
            rule="INI405",
            message=f"At the last layer inputs differ in {dynamics.dimension or 1.0:.1f} directions only, and {dynamics.stretch} layers in a row "
            f"are too narrow (widths' reciprocals add up to {dynamics.narrowness:.2g}) to spread them.",
        )


def _overflow(where: str | None, *, rule: str) -> Factor:
    return Factor(
        name="overflow",
        score=0.0,
        layer=where,
        rule=rule,
        message="Activations or gradients leave the finite numbers: the first step of training ends it.",
    )


def _too_slow(dynamics: Dynamics, score: float) -> Iterator[Factor]:
    first, last = dynamics.drawn[0], dynamics.drawn[-1]
    rate = SGD.rates[-1]
    if SGD.moves(replace(dynamics, answer_scale=1.0), rate) >= TRAINABLE:
        if SGD.stands(dynamics, SGD.rates[0]) >= SUFFICES:  # else the explosion is named already
            yield Factor(
                name="explosion",
                score=score,
                layer=last.name,
                rule="INI402",
                message=f"The answers have a root mean square of {dynamics.answer_scale:.1g}: no step that the network stands makes a difference to them.",
            )
        return
    left = _change(first.input_variance, last.input_variance)
    if SGD.suffices(dynamics, log10(dynamics.kernel / (1 / rate + dynamics.kernel))) >= TRAINABLE:
        where = _first(dynamics, lambda layer: layer.contrast < 1 / STEEP)
        yield Factor(
            name="similarity",
            score=score,
            layer=where,
            rule="INI405",
            message=f"Of what reaches the last layer only {last.contrast:.1g} differs between inputs: all get the same answer, "
            "and what is learned from one is unlearned by the next.",
        )
    else:
        where = _first(dynamics, lambda layer: _change(first.input_variance, layer.input_variance) < 1 / STEEP)
        yield Factor(
            name="signal",
            score=score,
            layer=where,
            rule="INI401",
            message=f"Of the signal's variance {left:.1g} is left at the last layer: "
            "the answers hardly depend on the input, and no learning rate in use changes that.",
        )
    back = _change(last.gradient, first.gradient)
    if back < 1 / STEEP:
        where = _first(dynamics, lambda layer: _change(last.gradient, layer.gradient) < 1 / STEEP)
        yield Factor(
            name="gradient",
            score=score,
            layer=where,
            rule="INI501",
            message=f"The gradient that reaches the first layer is {back:.1g} of that at the last: the first layers stay where they are.",
        )


def _too_wild(dynamics: Dynamics, score: float) -> Iterator[Factor]:
    first, last = dynamics.drawn[0], dynamics.drawn[-1]
    forward, back = _change(first.input_variance, last.input_variance), _change(last.gradient, first.gradient)
    step = f"even a learning rate of {SGD.rates[0]:g} changes the network by {SGD.rates[0] * dynamics.relative_step:.2g} of itself in one step"
    if forward > STEEP:
        where = _first(dynamics, lambda layer: _change(first.input_variance, layer.input_variance) > STEEP)
        yield Factor(
            name="explosion",
            score=score,
            layer=where,
            rule="INI402",
            message=f"The signal's variance grows by a factor of {forward:.1g} on its way to the last layer: {step}.",
        )
    if back > STEEP:
        yield Factor(
            name="gradient",
            score=score,
            layer=first.name,
            rule="INI502",
            message=f"The gradient that reaches the first layer is {back:.1g} times that at the last: {step}.",
        )
    if forward <= STEEP and back <= STEEP and SGD.stays(dynamics, SGD.rates[0]) < SUFFICES:
        steepest = max(dynamics.layers, key=lambda layer: layer.kernel)
        yield Factor(
            name="explosion",
            score=score,
            layer=steepest.name,
            rule="INI502",
            message=f"The gradient of the weight is so large that the first step, even at a learning rate of {SGD.rates[0]:g}, moves the answers by "
            f"{10.0 ** SGD.kick(dynamics, SGD.rates[0]):.1g}.",
        )
    elif forward <= STEEP and back <= STEEP:
        largest = max(dynamics.layers, key=lambda layer: log10(layer.kernel) - log10(layer.weight_square))
        yield Factor(
            name="uneven",
            score=score,
            layer=largest.name,
            rule="INI503",
            message=f"The weights are small against their gradients: {step}.",
        )


def _first(dynamics: Dynamics, holds: Callable[[MeasuredLayer], bool]) -> str | None:
    return next((layer.name for layer in dynamics.drawn if holds(layer)), None)


def _change(start: float | None, end: float | None) -> float:
    """`end` over `start`; 1 where either is unknown, and where both are zero."""
    if start is None or end is None or start == end:
        return 1.0
    return end / start if start > 0 else math.inf
