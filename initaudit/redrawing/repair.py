"""Repair: single values or units that are lost are replaced, and every other value stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import FixRefused
from initaudit.redrawing.biases import bias_of, set_bias, writable_bias
from initaudit.stats.strays import strays_among

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.redrawing.choice import Choice
    from initaudit.redrawing.contents import Contents
    from initaudit.views.weight import WeightView

REPAIRED = "repaired"
"""What stands for a scheme where only single values were replaced."""
FEW = 0.05
"""Share of the values up to which the others tell what the layer was. A judgement: more than that no flipped bit and no single step leaves."""
FEW_UNITS = 0.25
"""The same of whole units, which a layer may have few of. A judgement: three of four tell the mean and std of all."""


def is_repairable(view: WeightView) -> bool:
    """Whether so few of the weights are no finite numbers that the others stand. Raises UnsupportedWeight."""
    lost = ~np.isfinite(np.asarray(view.array(), np.float64))
    units = lost_units(view, lost)
    return float((lost & ~units).mean()) <= FEW and float(units.mean()) <= FEW_UNITS


def lost_units(view: WeightView, lost: np.ndarray) -> np.ndarray:
    """Of all weights those whose unit has none that is not lost, and more than one."""
    inputs = [view.shape[axis] for axis in view.input_axes]
    whole = lost.all(axis=view.input_axes, keepdims=True) & (np.prod(inputs, initial=1) > 1)
    return np.broadcast_to(whole, lost.shape)


def repaired(choice: Choice, layer: Layer, seed: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The weights with other values in place of what is no finite number, and what was done, a phrase each.

    Single ones become zero, which takes nothing from what was learned; a unit of which nothing is left, and all of a layer that was not trained, are
    drawn from the mean and std of the others.

    Raises FixRefused where there are no others.
    """
    values = np.array(layer.weight.array(), np.float64)
    lost = ~np.isfinite(values)
    if lost.all():
        raise FixRefused("no finite value is left to go by")
    units = lost_units(layer.weight, lost)
    drawn = lost & (units if choice.audit.trained else True)
    sound, rng = values[~lost], np.random.default_rng([seed, layer.depth])
    values[lost] = 0.0
    if drawn.any():
        values[drawn] = rng.normal(sound.mean(), sound.std(), int(drawn.sum()))
    others, single = "from the mean and std of the others", lost & ~units
    done = []
    if units.any():
        numbers = np.flatnonzero(units.all(axis=layer.weight.input_axes))
        done.append(f"{_units(numbers)}, of which no number was left, drawn {others}")
    if single.any():
        how = "set to zero" if choice.audit.trained else f"drawn {others}"
        done.append(f"what was no number ({int(single.sum())} of {values.size} weights) {how}")
    return values, tuple(done)


def repair_bias(layer: Layer, contents: Contents, beyond: float | None) -> tuple[str, ...]:
    """Zero for biases that are no finite numbers, and for strays further than `beyond` from the others their median; what was done, a phrase each."""
    if writable_bias(layer) is None:
        return ()
    values = np.array(bias_of(layer, contents), np.float64)
    lost = ~np.isfinite(values)
    stray = stray_biases(values, beyond)
    done = []
    if lost.any():
        done.append(f"what was no number ({int(lost.sum())} of {values.size} biases) set to zero")
    if stray.any():
        done.append(f"the bias of {_units(np.flatnonzero(stray))} set to the median of the others")
    if done:
        values[stray] = np.median(values[~stray & ~lost])
        values[lost] = 0.0
        set_bias(layer, values, contents)
    return tuple(done)


def stray_biases(values: np.ndarray, beyond: float | None) -> np.ndarray:
    """Which of the biases are a handful far from all others, and further than `beyond`."""
    far = None if beyond is None or not np.isfinite(values).all() else strays_among(values)
    if far is None or beyond is None:
        return np.zeros(values.shape, bool)
    return far & (np.abs(values - np.median(values[~far])) > beyond)


def _units(numbers: np.ndarray) -> str:
    shown = ", ".join(str(int(n)) for n in numbers[:8])
    return f"unit{'s' if len(numbers) > 1 else ''} {shown}{' ...' if len(numbers) > 8 else ''}"
