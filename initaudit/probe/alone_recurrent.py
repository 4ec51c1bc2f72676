"""A recurrent layer alone: its weights' changes carried through time to its output."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from initaudit.probe.alone import LayerAlone, Sized, sized
from initaudit.probe.perturbation import signs_of
from initaudit.probe.recurrence import R, W
from initaudit.probe.squares import root_mean_square

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.recurrence import Change, Recurrence
    from initaudit.probe.segments import Network, State

ALL_STATES, LAST_HIDDEN, LAST_CELL = range(3)
"""Outputs of the operator."""
LARGEST_LOG = 300.0
"""Natural logarithm at which the memory is cut off, short of the overflow of its square."""
FEWEST = 2
"""Changes of a layer's weight that are followed through however many steps."""
STEPS_PER_LAYER = 2048
"""Steps that are run for the changes of one layer's weight, but for two changes of any length: about 0.1 s of calls of the runtime."""


class RecurrentAlone(LayerAlone):
    """A gate of an LSTM, GRU or RNN, in one direction."""

    def __init__(self, network: Network, layer: LayerPlan, recurrence: Recurrence) -> None:
        super().__init__(network, layer, recurrence.folder, recurrence.threads)
        self.recurrence = recurrence
        self.inputs = recurrence.inputs
        self.output = list(self.node.output).index(layer.output)
        self.drawn = 0
        """Changes that were followed so far."""

    @property
    def is_first(self) -> bool:
        """Whether it is the first gate of the input weights: it answers for the passage of time in its direction."""
        window = self.layer.weight_window
        return self.layer.weight == W and window is not None and window[1][0] == 0

    def derivatives(self, sources: State, dtype: np.dtype[Any], rng: np.random.Generator, count: int) -> list[Sized]:
        """As of any layer, over any number of decades."""
        direction = self.recurrence.direction
        assert self.layer.weight in (W, R)
        length = len(self.recurrence.steps(sources))
        count = max(0, min(count, max(FEWEST, STEPS_PER_LAYER // length) - self.drawn))
        self.drawn += count
        changes = [{self.layer.weight: self.signs(rng, dtype)[direction : direction + 1]} for _ in range(count)]
        found = (self._output(self.recurrence.follow(sources, weights=change)) for change in changes)
        return [known for known in found if known is not None]

    def memory(self, sources: State, rng: np.random.Generator) -> float | None:
        """What is left of a change of the state a step later, the geometric mean over the steps behind the first.

        The change is one that a random change of the first step's input makes. Root mean squares of the hidden state; None where there
        is only one step, or where the first state does not answer.
        """
        x = self.recurrence.steps(sources)
        if len(x) < 2:
            return None
        changes = self.recurrence.follow(sources, push=signs_of(x[:1].shape, x.dtype, rng))
        fresh, left = (root_mean_square(changes[t].values[0]) for t in (0, -1))
        if not (fresh > 0 and math.isfinite(fresh) and math.isfinite(left)):
            return None
        if left == 0.0:
            return 0.0
        grown = math.log(left / fresh) + changes[-1].log_size - changes[0].log_size
        return math.exp(min(LARGEST_LOG, grown / (len(x) - 1)))

    def _output(self, changes: Sequence[Change]) -> Sized | None:
        """The changes of the states as a change of the layer's output."""
        count = self.layer.weight_shape[0]
        direction = self.recurrence.direction
        if self.output != ALL_STATES:
            last = changes[-1]
            value = last.values[self.output - LAST_HIDDEN]
            whole = np.zeros((count, *value.shape[1:]), np.float32)
            whole[direction] = value[0]
            return sized(whole, last.log_size)
        moving = [change.log_size for change in changes if any(v.any() for v in change.values)]
        largest = max(moving, default=0.0)
        steps = [c.values[0] * np.float32(math.exp(min(0.0, c.log_size - largest))) for c in changes]
        if self.recurrence.is_reverse:
            steps.reverse()
        whole = np.zeros((len(steps), count, *steps[0].shape[1:]), np.float32)
        whole[:, direction] = np.concatenate(steps)
        return sized(whole, largest)
