"""Factors: what keeps a network from learning with SGD, each under the name of its cause."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initaudit.judgement.dynamics import log10
from initaudit.judgement.optimisers import SGD
from initaudit.judgement.score import SUFFICES, TIED, TRAINABLE, separates, smooth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from initaudit.judgement.dynamics import Dynamics, MeasuredLayer

STEEP = 100.0
"""Factor between the ends of a network from which a variance, or a gradient, counts as vanished or exploded on the way. A
judgement: ten in the size of the signal. It only chooses the layer that is named."""


LARGE_ANSWER = 10.0
"""Root mean square of the answers from which their size is what stands in the way. A judgement: ten times what losses are made for."""
BOTH = (
    "That gradients vanish as well (INI501) is no contradiction: there it is those of the weights, here it is what an input or a step does to "
    "the answers."
)


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


def limits(dynamics: Dynamics) -> tuple[Factor, ...]:
    """What leaves less than SUFFICES, each under the name of its cause, the most limiting first."""
    found = sorted(_limits(dynamics), key=lambda factor: factor.score)
    rules = {factor.rule for factor in found}
    if not {"INI501", "INI502"} <= rules:
        return tuple(found)
    return tuple(replace(f, message=f"{f.message} {BOTH}") if f.rule == "INI502" else f for f in found)


def _limits(dynamics: Dynamics) -> Iterator[Factor]:
    if not dynamics.finite:
        where = next((layer.name for layer in dynamics.layers if not math.isfinite(layer.kernel)), None)
        yield overflow(where, rule="INI402")
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
            message=f"At the last layer all inputs lie nearly on a line (they differ in {dynamics.dimension or 1.0:.1f} directions), and {dynamics.stretch} layers in a row "
            f"are too narrow for their number to spread them (1/width adds up to {dynamics.narrowness:.2g}).",
        )


def overflow(where: str | None, *, rule: str) -> Factor:
    """Values that are no numbers, at the layer `where`, for `rule` to report."""
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
    if dynamics.answer_scale > LARGE_ANSWER and SGD.moves(replace(dynamics, answer_scale=1.0), rate) >= TRAINABLE:
        if SGD.stands(dynamics, SGD.rates[0]) >= SUFFICES:  # else the explosion is named already
            yield Factor(
                name="explosion",
                score=score,
                layer=last.name,
                rule="INI402",
                message=f"The answers start with a root mean square of {dynamics.answer_scale:.1g}, where losses are made for about 1: beside that, what a "
                "step that the network stands changes is nothing.",
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
        if where is None:
            yield Factor(
                name="gradient",
                score=score,
                layer=max(dynamics.layers, key=lambda layer: layer.kernel).name,
                rule="INI501",
                message=f"The gradients of all weights are so small, together {math.sqrt(dynamics.kernel):.1g} for one answer, that no usual learning "
                "rate of SGD moves the answers by enough; the largest is here.",
            )
            return
        yield Factor(
            name="signal",
            score=score,
            layer=where,
            rule="INI401",
            message=f"Of the signal's variance {left:.1g} is left at the last layer: "
            "the answers hardly depend on the input, and no usual learning rate of SGD changes that.",
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
    if max(forward, back) > STEEP:
        return
    if SGD.keeps(dynamics, SGD.rates[0]) >= SUFFICES:
        steepest = max(dynamics.layers, key=lambda layer: layer.kernel)
        yield Factor(
            name="explosion",
            score=score,
            layer=steepest.name,
            rule="INI502",
            message=f"The gradient of the weight is so large that the first step, even at a learning rate of {SGD.rates[0]:g}, moves the answers by "
            f"{10.0 ** SGD.kick(dynamics, SGD.rates[0]):.1g}.",
        )
    else:
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
