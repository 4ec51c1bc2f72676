"""Optimisers: what a step of SGD and of Adam does to the answers and to the weights."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from initaudit.judgement.optimisers import ADAM, SGD
from tests.judgement.test_dynamics import layer, network


def test_sgd_moves_the_answers_by_the_kernel() -> None:
    """A step of rate r moves an answer by r K; once that is beyond what there is to learn, larger steps help the differences no more."""
    slow, quick = network(layer(kernel=1e-6, contrast=0.5)), network(layer(kernel=1e6, contrast=0.5))

    assert SGD.kick(slow, 1e-2) == pytest.approx(-8.0)
    assert SGD.motion(slow, 1e-2) == pytest.approx(math.log10(0.5e-8), abs=1e-6)
    assert SGD.motion(quick, 1e-2) == pytest.approx(math.log10(0.5), abs=1e-3)


def test_adam_moves_each_weight_alike() -> None:
    """A step of rate r moves an answer by r times the sum of |gradient|, sqrt(2 n / pi) times its norm for a normal one."""
    found = network(layer(kernel=4.0, count=100))

    assert ADAM.kick(found, 1e-3) == pytest.approx(math.log10(1e-3 * 2.0 * math.sqrt(200 / math.pi)))
    assert ADAM.change(found, 1e-3) == pytest.approx(math.log10(1e-3 * math.sqrt(100 / 10)))


def test_vanished_gradients_stop_sgd_long_before_adam() -> None:
    """The square of the gradient moves SGD, its size moves Adam, and weights that are small grow with it."""
    lost = network(*[layer(kernel=1e-12, weight_square=1e-3) for _ in range(4)])

    assert SGD.learns(lost) < 0.05
    assert ADAM.learns(lost) > 0.4


def test_answers_that_run_away_stop_both() -> None:
    """A kernel of 1e16 moves the answers by ten millions in one step of any rate in use, with either."""
    wild = network(*[layer(kernel=1e16, weight_square=1e16) for _ in range(4)])

    assert SGD.stays(wild, SGD.rates[0]) < 0.01
    assert ADAM.learns(wild) < 0.5


def test_weights_whose_scale_does_not_count_settle_after_one_large_step() -> None:
    """A step ten times the weights leaves weights of ten times the size and gradients of a tenth: the next one is a tenth of them."""
    wild = layer(kernel=100.0, weight_square=1.0)
    free = replace(wild, scale_free=True)

    assert SGD.change(network(wild), 1.0) == pytest.approx(math.log10(10.0))
    assert SGD.change(network(free), 1.0) == pytest.approx(math.log10(10.0 / 101.0))
    assert SGD.kick(network(free), 1.0) == pytest.approx(math.log10(100.0 / 101.0**2))


def test_a_zero_layer_is_heard() -> None:
    """It has no relative change, but its gradient says how far the first step moves the answers."""
    explosive = network(layer(), layer(kernel=1e14, weight_square=0.0))

    assert SGD.kick(explosive, 1e-3) == pytest.approx(11.0, abs=0.01)
    assert SGD.learns(explosive) < 0.05
