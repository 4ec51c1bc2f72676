"""Repair: single values that are no numbers are replaced, and every other one stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import FixRefused

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.redrawing.choice import Choice

REPAIRED = "repaired"
"""What stands for a scheme where only single values were replaced."""
FEW = 0.05
"""Share of the values up to which the others tell what the layer was. A judgement: more than that no flipped bit and no single step leaves."""


def is_repairable(values: int, nonfinite: int) -> bool:
    """Whether so few of the values are no finite numbers that the others stand."""
    return nonfinite <= FEW * values


def repaired(choice: Choice, layer: Layer, seed: int) -> tuple[np.ndarray, str]:
    """The weights with zero in place of what is no finite number; in a layer that was not trained, draws from the mean and std of the others.

    Raises FixRefused where there are no others.
    """
    values = np.array(layer.weight.array(), np.float64)
    lost = ~np.isfinite(values)
    if lost.all():
        raise FixRefused("no finite value is left to go by")
    if not choice.audit.trained and lost.any():
        sound = values[~lost]
        values[lost] = np.random.default_rng([seed, layer.depth]).normal(sound.mean(), sound.std(), int(lost.sum()))
    else:
        values[lost] = 0.0
    return values, REPAIRED
