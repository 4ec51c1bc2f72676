"""Ties: which starts are as good as the best, as far as draws of one scheme tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.judgement.score import TRAINABLE
from initaudit.report.comparison import TRAINABILITY_STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.starts.start import Start

ALIKE = 1.2
"""Factor between the steps of starts that are as fast as each other. The logarithms of the slowness of twelve draws of one network have a standard
deviation of 0.12 (`initaudit.report.comparison.SLOWNESS_STEP`), so that two of them differ by exp(0.12 sqrt(2)) = 1.18."""


def best_starts(ranked: Sequence[Start]) -> list[Start]:
    """The first one, and those of which two draws could not say which is better; none where it is not expected to learn.

    `ranked` are starts in the order of their ranks.
    """
    best = ranked[0] if ranked else None
    if best is None or not learns(best):
        return []
    return [start for start in ranked if start is best or _is_alike(start, best)]


def learns(start: Start) -> bool:
    """Whether it can be expected to."""
    return start.trainability is not None and start.trainability >= TRAINABLE


def together(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _is_alike(start: Start, best: Start) -> bool:
    if start.trainability is None or best.trainability is None or not learns(start):
        return False
    if abs(start.trainability - best.trainability) >= TRAINABILITY_STEP:
        return False
    if not start.slowness or not best.slowness:
        return start.slowness == best.slowness
    return max(start.slowness / best.slowness, best.slowness / start.slowness) < ALIKE
