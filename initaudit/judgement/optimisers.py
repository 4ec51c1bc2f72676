"""Optimisers: how far a step of SGD, or of Adam, moves a network's answers, and whether the network stands it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from initaudit.judgement.dynamics import log10, logistic, sum_of_logs

if TYPE_CHECKING:
    from initaudit.judgement.dynamics import Dynamics, MeasuredLayer

SIGN_SHARE = math.sqrt(2 / math.pi)
"""Mean of |x| over the root of the mean of x^2, for a normal x: what a step of the same size in each weight makes of a gradient."""

STEPS = 250
"""Of the training that the score is about: it says what learns within so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Where half of the networks learn, in decimal logarithms, and how sharply those on either side differ, per decade."""

    motion_needed: float
    """Of `Optimiser.motion`."""
    motion_steepness: float
    change_stood: float
    """Of `Optimiser.change`."""
    change_steepness: float
    kick_stood: float
    """Of `Optimiser.kick`."""
    kick_steepness: float


class Optimiser(ABC):
    """One way of descending, at the learning rates that people use with it."""

    name: ClassVar[str]
    """As a sentence says it."""
    rates: ClassVar[tuple[float, ...]]
    """Those that the networks behind the fit were trained with, in ascending order; the best one counts."""
    tolerance: ClassVar[Tolerance]

    @abstractmethod
    def motion(self, dynamics: Dynamics, rate: float) -> float:
        """Decimal logarithm of how far steps at `rate` move the answers to different inputs apart, per unit of the loss's gradient.

        What all inputs share is moved by the same steps, back and forth with the composition of each batch: once a step moves the
        answers by about as much as there is to learn, larger steps help the differences no more.
        """

    @abstractmethod
    def change(self, dynamics: Dynamics, rate: float) -> float:
        """Decimal logarithm of the relative change of the network in one step, once the weights whose scale does not count have grown."""

    @abstractmethod
    def kick(self, dynamics: Dynamics, rate: float) -> float:
        """Decimal logarithm of how far the first step moves the answers, to all inputs alike, per unit of the loss's gradient."""

    def moves(self, dynamics: Dynamics, rate: float) -> float:
        """Probability that steps at `rate` change the answers by enough to tell inputs apart."""
        return self.suffices(dynamics, self.motion(dynamics, rate))

    def suffices(self, dynamics: Dynamics, motion: float) -> float:
        """Probability that so much motion is enough: answers that are large, and layers that must learn in concert, need more."""
        needed = self.tolerance.motion_needed + log10(dynamics.answer_scale) + 2 * log10(dynamics.stretch)
        return logistic(self.tolerance.motion_steepness * (motion - needed))

    def stands(self, dynamics: Dynamics, rate: float) -> float:
        """Probability that steps at `rate` do not throw the network off its course."""
        return self.keeps(dynamics, rate) * self.stays(dynamics, rate)

    def keeps(self, dynamics: Dynamics, rate: float) -> float:
        """Probability that the network keeps what it is in a step at `rate`."""
        return logistic(self.tolerance.change_steepness * (self.tolerance.change_stood - self.change(dynamics, rate)))

    def stays(self, dynamics: Dynamics, rate: float) -> float:
        """Probability that the answers do not run away in the first steps at `rate`."""
        return logistic(self.tolerance.kick_steepness * (self.tolerance.kick_stood - self.kick(dynamics, rate)))

    def learns(self, dynamics: Dynamics) -> float:
        """Probability that the network moves far enough and stands it, at the best rate."""
        return max(self.moves(dynamics, rate) * self.stands(dynamics, rate) for rate in self.rates)


class MomentumDescent(Optimiser):
    """Stochastic gradient descent with a momentum of 0.9."""

    name = "SGD"
    rates = (1e-3, 1e-2, 1e-1)
    tolerance = Tolerance(
        motion_needed=-5.54,
        motion_steepness=2.78,
        change_stood=0.42,
        change_steepness=3.76,
        kick_stood=4.0,
        kick_steepness=1.5,
    )

    def motion(self, dynamics: Dynamics, rate: float) -> float:  # noqa: D102
        return log10(dynamics.contrast_kernel / (1 / rate + dynamics.kernel))

    def change(self, dynamics: Dynamics, rate: float) -> float:  # noqa: D102
        return dynamics.together(lambda layer: self._settled(layer, rate))

    def kick(self, dynamics: Dynamics, rate: float) -> float:  # noqa: D102
        return log10(rate) + sum_of_logs(
            [log10(layer.kernel) + self._damping(layer, rate) for layer in dynamics.layers]
        )

    def _settled(self, layer: MeasuredLayer, rate: float) -> float:
        return log10(rate) + layer.log_relative_gradient + 0.5 * self._damping(layer, rate)

    @staticmethod
    def _damping(layer: MeasuredLayer, rate: float) -> float:
        """What is left of the squared gradient of scale-free weights once they have grown in the first step, a decimal logarithm.

        A step of the size r |W| is at right angles to them: |W|^2 becomes (1 + r^2) |W|^2, and the gradient falls as 1 / |W|
        (van Laarhoven 2017; Arora, Li & Lyu 2019).
        """
        if not layer.scale_free or not layer.weight_square > 0:
            return 0.0
        return -2 * sum_of_logs([0.0, 2 * (log10(rate) + layer.log_relative_gradient)])


class Adam(Optimiser):
    """Adam (Kingma & Ba 2015): in the first steps each weight moves by the learning rate, however small its gradient.

    So small gains do not stay small, and which part of the kernel they let act at the start says little: of a layer the share of
    its input counts that differs.
    """

    name = "Adam"
    rates = (1e-3, 1e-2)
    tolerance = Tolerance(
        motion_needed=-3.84,
        motion_steepness=1.48,
        change_stood=3.91,
        change_steepness=2.85,
        kick_stood=6.18,
        kick_steepness=1.47,
    )

    def motion(self, dynamics: Dynamics, rate: float) -> float:  # noqa: D102
        apart = sum_of_logs([self._speed(layer) + log10(layer.contrast) for layer in dynamics.layers])
        return log10(rate) + apart - sum_of_logs([0.0, self.kick(dynamics, rate)]) + self._growth(dynamics, rate)

    def _growth(self, dynamics: Dynamics, rate: float) -> float:
        """Decimal logarithm of the factor by which a typical weight can grow: small ones do not stay small, and all else with them."""
        sizes = [layer.log_size for layer in dynamics.drawn if layer.weight_square > 0]
        return sum_of_logs([0.0, log10(rate * STEPS) - math.fsum(sizes) / len(sizes)]) if sizes else 0.0

    def change(self, dynamics: Dynamics, rate: float) -> float:  # noqa: D102
        return dynamics.together(lambda layer: log10(rate) - layer.log_size)

    def kick(self, dynamics: Dynamics, rate: float) -> float:  # noqa: D102
        return log10(rate) + sum_of_logs([self._speed(layer) for layer in dynamics.layers])

    @staticmethod
    def _speed(layer: MeasuredLayer) -> float:
        """Decimal logarithm of how far a step of size 1 in each weight of a layer moves one answer: the sum of |gradient|."""
        return 0.5 * (log10(layer.count) + log10(layer.kernel)) + log10(SIGN_SHARE)


SGD, ADAM = MomentumDescent(), Adam()
