"""Trainability: would plain gradient descent get this network off the ground? A number in [0, 1] and what limits it.

The model is fitted on networks that `benchmarks/trainability/` builds and really trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.report import LayerAudit

TRAINABLE = 0.5
"""At or above this score a network is called trainable: the score is a probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One thing that can keep a network from learning."""

    name: str
    """signal, similarity, gradient, uneven, explosion, symmetry, ..."""
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


def trainability(layers: Sequence[LayerAudit]) -> Trainability | None:
    """Judge probed layers in topological order; None where nothing was probed backward."""
    del layers
    return None
