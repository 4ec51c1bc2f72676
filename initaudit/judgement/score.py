"""Score: would gradient descent get this network off the ground? A number in [0, 1].

The score is the probability that a network reaches a training accuracy of 90 % within 250 steps, with SGD or with Adam, at the
best of their learning rates:

    score = separates * smooth * max over rates [ moves(rate) * stands(rate) ]

    moves      a step changes the answers to different inputs differently, by enough to matter
    stands     a step changes the weights of all layers together, and the answers, by little enough
    separates  the inputs arrive at the last layer spread over several directions, or the layers are wide enough to learn to
    smooth     inputs that are alike get answers that are alike

What Adam alone gets off the ground scores just above TRAINABLE. A network whose units are all copies of each other, or whose
values leave the finite numbers, scores 0. The constants were fitted on networks that `benchmarks/trainability/` draws and really
trains; its `fit.py` gives them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.judgement.dynamics import log10, logistic
from initaudit.judgement.optimisers import ADAM, SGD

if TYPE_CHECKING:
    from initaudit.judgement.dynamics import Dynamics
    from initaudit.judgement.optimisers import Optimiser

TRAINABLE = 0.5
"""At or above this score a network is called trainable: the score is a probability."""

SUFFICES = 0.8
"""A factor that leaves this much is neither blamed nor reported: four networks in five learn in spite of it. A judgement."""
UNHARMED = 0.9
"""Trainability from which an odd scale has evidently done no harm: nine networks in ten learn. A judgement."""
ROUGHNESS_STOOD = 3.5
"""Decimal logarithm of the roughness that half of the networks stand. Between 2.3, where networks of many families part (`fit.py --free`; from there
to 4 hardly one more is judged wrongly), and 4.5, where those of `label.py` do. A SIREN starts at 10^2.7 and wav2vec 2.0 at 10^1.8: both learn."""
BATCH_NORM_ROUGHNESS_STOOD = 6.3
"""The same behind BatchNorm: MLPs with BatchNorm and ReLU reach an accuracy of 0.95 at 10^5.3, 0.7 at 10^6.5 and 0.3 at 10^8.1; halfway is
10^6.3 (`benchmarks/trainability/batch_norm.py`). Their gradients make the weights grow, whose scale does not count, and the steps shrink
(Arora, Li & Lyu 2019)."""
RESIDUAL_ROUGHNESS_STOOD = 8.8
"""The same where most of the layers lie in residual branches: residual MLPs in the proportions of ResNet-152 reach 0.82 from 10^7.0 and 0.72 from 10^9.5, so at
10^8.8 the 0.75 that plain ones reach at BATCH_NORM_ROUGHNESS_STOOD (`benchmarks/trainability/batch_norm.py residual`). ResNet-152 is trained from 10^7.5.
Too mild where many skips are projected: those networks reach 0.45 from 10^8.8."""
ROUGHNESS_STEEPNESS = 2.5
"""How sharply networks on either side of ROUGHNESS_STOOD differ, per decade; 2.1 with all constants free."""
DIMENSION_STEEPNESS = 1.78
"""How much each factor of ten in the dimension of the last layer's input helps; fitted."""
NARROWNESS_STEEPNESS = 3.61
"""How much each factor of ten in narrowness harms; a narrowness of 1 with a dimension of 1 leaves half; fitted."""

ADAM_SURE = 0.85
"""Probability of learning with Adam from which a network counts as trainable though SGD does not get it off the ground: where failures
and passes of the networks of `label_families.py`, each family left out in turn, are most often right (`benchmarks/trainability/fit.py`)."""
ADAM_ALONE = 0.05
"""How much above TRAINABLE a network may score that Adam alone trains. A judgement: it trains, and is less good than any that trains with
either."""
TIED = 0.5
"""Share of tied units from which a network counts as one unit wide: one constant layer between random ones is not enough
to tie its units, so in practice the share is 0 or 1."""


def score_of(dynamics: Dynamics) -> float:
    """The better of both optimisers, as `better_of` has it."""
    return better_of(learns(dynamics, SGD), learns(dynamics, ADAM))


def better_of(sgd: float, adam: float) -> float:
    """Of the scores with each optimiser: that with SGD; just above TRAINABLE where Adam alone surely gets the network off the ground."""
    if adam < ADAM_SURE:
        return sgd
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
    return logistic(ROUGHNESS_STEEPNESS * (_roughness_stood(dynamics) - log10(dynamics.roughness)))


def _roughness_stood(dynamics: Dynamics) -> float:
    if not dynamics.by_batch:
        return ROUGHNESS_STOOD
    return RESIDUAL_ROUGHNESS_STOOD if dynamics.bypassed else BATCH_NORM_ROUGHNESS_STOOD
