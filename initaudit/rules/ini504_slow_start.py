"""INI504 slow-start: the network learns, but several times slower than it would from the recommended initialisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.judgement.pace import LARGEST
from initaudit.judgement.score import TRAINABLE
from initaudit.rule import Rule, Threshold

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

SLOW = 3.0
"""Slowness from which the start is worth changing. A judgement: it is known within a factor of two, and half as many steps again are no
reason to leave a customary scheme."""


class SlowStart(Rule):
    """The network learns, but several times slower than it would from the recommended initialisation.

    Why: weights that are too small or too large pass little of what tells inputs apart, and the first part of training goes into mending that.
    Harmless when: training is short anyway, or its recipe (warm-up, an adaptive optimiser, weights loaded later) was made for this start.
    Fix: `initaudit fix` draws the layers anew that are off their target.
    References: Glorot & Bengio 2010, figure 11; He et al. 2015, figure 2; Jacot et al. 2018.
    """

    code = "INI504"
    name = "slow-start"
    severity = Severity.WARNING
    remedy = Remedy.DRAW_NETWORK
    thresholds = (Threshold("slowness", SLOW, "steps to a given accuracy over those of the recommended start, from"),)

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """One finding about a network that trains at all; what keeps it from that is named by others."""
        learning, slow = audit.trainability, audit.slowness
        if (
            learning is None
            or learning.score < TRAINABLE
            or slow.factor is None
            or slow.factor < self.threshold("slowness")
        ):
            return
        times = f"about {slow.factor:.2g} times" if slow.factor < LARGEST else "many times"
        yield self.finding(
            None,
            f"{'With Adam the network' if learning.takes_adam else 'The network'} learns, but it takes {times} as many steps as with {slow.scheme}, the scheme that fits most of the layers "
            "that are off their target.",
            measured=slow.factor,
            expected=1.0,
            suggestion="Draw the layers that are off their target anew: initaudit fix.",
            confidence=Confidence.MEDIUM,
        )
