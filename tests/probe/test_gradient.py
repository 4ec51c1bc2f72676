"""What has been gathered of a gradient, and when it is enough."""

from __future__ import annotations

from initaudit.probe.gradient import Gradient, settled
from initaudit.probe.precision import USUAL


def test_samples_settle_a_gradient_once_they_are_several_and_agree() -> None:
    """Two that happen to be alike say little of their spread; four that are far apart say that more are wanted."""
    few = Gradient(squares=[1.0, 1.0], weight_squares=[1.0, 1.0])
    agreeing = Gradient(squares=[1.0, 1.0], weight_squares=[1.0, 1.1, 0.9, 1.0])
    scattered = Gradient(squares=[1.0, 1.0], weight_squares=[1.0, 9.0, 0.1, 4.0])

    assert not settled({"fc": few}, USUAL)
    assert settled({"fc": agreeing}, USUAL)
    assert not settled({"fc": agreeing, "head": scattered}, USUAL)


def test_a_weight_of_which_no_more_is_drawn_keeps_nobody_waiting() -> None:
    """Long sequences are followed for two changes of each weight: what is known then is all there will be."""
    long = Gradient(squares=[1.0, 1.0], weight_squares=[1.0, 9.0], is_weight_exhausted=True)

    assert settled({"lstm": long}, USUAL)
