"""One small change on its way through a network, and how large its step has to be."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.probe.squares import square

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.segments import State

STEP = 1e-2
"""Deviation from the unperturbed values, relative to their root mean square, that is injected and kept at the cuts:
small against the curvature of activations, 1e5 times float32 resolution."""
LARGEST_RESPONSE = 0.1
"""Relative deviation behind a piece above which its answer counts as nonlinear, and the step is made smaller."""
SMALLEST_RESPONSE = 1e-4
"""Below it rounding (about 1e-7 per operator) begins to show, and the step is made larger."""
LARGEST_STEP = 0.1
"""Never perturb by more: where a unit in ten or more changes the branch of its ReLU, no network is nearly linear."""
SMALLEST_STEP = 1e-5
"""Never perturb by less: 100 units in the last place."""
NOISE = 1e-6
"""Relative response below which rounding may be all there is: some ten units in the last place of float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far the values behind a piece are from the unperturbed ones."""

    size: float
    """Largest deviation among the values, each relative to the root mean square of its unperturbed twin."""
    difference: State


@dataclass(slots=True, kw_only=True)
class Perturbation:
    """What is added to one layer's output, and what has become of it at the cut it has reached."""

    layer: LayerPlan
    direction: np.ndarray
    """What is added to the layer's output, times the step."""
    scale: float
    """Root mean square of the layer's output, the unit of steps."""
    log_weight: float = 0.0
    """Of a direction that a change of the weight makes: natural logarithm of its root mean square before it was brought to 1."""
    alone: bool = False
    """It changes values that all inputs of a run share, so that no other may be in the same run."""
    step: float = STEP
    values: State = field(default_factory=dict)
    """Deviation of the values at the cut it has reached."""
    unit: float = 1.0
    """What brings that deviation to size 1, relative to the unperturbed values."""
    log_size: float = 0.0
    """Natural logarithm of what it was divided by on the way."""
    resolved: bool = True
    lost: bool = False
    """Nothing of it is left."""
    failed: bool = False
    """The network cannot be run with it, or it is no longer finite."""

    def arrive(self, deviation: Deviation) -> None:
        """Take over the deviation behind a piece, brought back to size 1."""
        size = deviation.size
        self.lost, self.failed = size == 0.0, not math.isfinite(size)
        self.resolved &= size > NOISE  # false for a size of 0 too: rounding may have made it
        if self.lost or self.failed:
            self.values = {}
            return
        self.log_size += math.log(size / self.step)
        self.values, self.unit = deviation.difference, 1.0 / size

    def response(self, outputs: AbstractSet[str]) -> float:
        """|J d|^2 at the end of the way, for the direction d in the units it had before any scaling; NaN where it failed."""
        if self.failed or self.lost:
            return math.nan if self.failed else 0.0
        total = math.fsum(square(a) for name, a in self.values.items() if name in outputs)
        sizes = math.log(self.unit) + self.log_size + self.log_weight - math.log(self.scale)
        with np.errstate(over="ignore", divide="ignore"):
            return float(np.exp(np.log(total) + 2 * sizes))


def better_step(step: float, size: float) -> float:
    """The step to try after an answer of relative size `size`; the same where that was linear and above rounding."""
    if not math.isfinite(size):
        return max(SMALLEST_STEP, step * STEP)
    if size > LARGEST_RESPONSE:
        return max(SMALLEST_STEP, step * STEP / size)
    if size < SMALLEST_RESPONSE:
        return min(LARGEST_STEP, step * (STEP / size if size else 1.0 / STEP))
    return step


def signs_of(shape: tuple[int, ...], dtype: np.dtype[Any], rng: np.random.Generator) -> np.ndarray:
    """A random sign for each element."""
    return np.asarray(rng.integers(0, 2, size=shape, dtype=np.int8) * 2 - 1, dtype)


def random_signs(layer: LayerPlan, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A random sign for each element of the layer's output, 0 for units that are not its own; float32."""
    signs = signs_of(shape, np.dtype(np.float32), rng)
    if layer.unit_slice is not None and layer.channel_axis is not None:
        own = np.zeros(shape[layer.channel_axis], np.float32)
        own[slice(*layer.unit_slice)] = 1.0
        signs *= own.reshape([-1 if a == layer.channel_axis % len(shape) else 1 for a in range(len(shape))])
    return signs
