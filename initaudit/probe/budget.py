"""How much work the backward probe may take, and which layers of a large network it can afford to perturb.

Work is counted in products (a multiplication and an addition); everything else is worth some number of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import ProbeError
from initaudit.probe.gradient import MIN_DRAWS
from initaudit.probe.precision import USUAL, Precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.probe.pieces import Pieces
    from initaudit.probe.plan import LayerPlan

MAX_REPEATS = 4
"""Perturbations of each layer in one pass of a small network. With 32 passes they bring the error of a network with a
single output, where |J v|^2 is chi-squared with one degree of freedom, to 6 %."""
WORK_LIMIT = 3e10
"""Products spent on more than MIN_DRAWS passes: below half a second on two cores."""
PRODUCTS_PER_SECOND = WORK_LIMIT / 0.5
"""The same, for the passes of an exact probe, which has as long as the time limit leaves."""
MOST_WORK = 1.5e11
"""Products spent on MIN_DRAWS passes, about two seconds; of a larger network only some layers are perturbed."""
LAYERS_PER_RUN = 2
"""Layers perturbed for each run of the forward probe, where that makes more than WORK_LIMIT affords. Perturbing one costs about
one run. A judgement: a full audit then takes some three times plain inference of the same inputs (`benchmarks/probe.py`)."""
OTHER = 2
"""Of the layers of a large network, each pass behind the first takes one in so many; the spread between draws is then known from
those."""
SPREAD_EVERY = 4
"""Of the layers of a network that affords no more than MIN_DRAWS passes, the last pass takes one in so many. A judgement: it
serves to learn the spread between draws, which the layers of one network share."""
FEWEST_SPREAD = 4
"""Layers that the last pass takes at least. A judgement: the spread is then known within a third."""
RUN_COST = 2e6
"""Products that one call of the runtime is worth: 30 microseconds. An estimate for planning."""
ROW_COST = 5e6
"""Products that a perturbation's step through one piece is worth, outside the runtime: 80 microseconds. An estimate from a toy BERT
with 38 layers, for planning."""
NODE_COST = 5e5
"""Products that one node is worth, however small its tensors. An estimate from a toy BERT of 1,900 nodes, for planning."""
ELEMENT_COST = 300
"""Products that one element of a layer's output is worth, for all that is done with it besides. An estimate from one profile of
a MobileNet-like detector; planning needs it within a factor of two."""
SMALL_NETWORK = 5e7
"""Products of one run below which a second thread costs more than it brings, and several rows share a run."""
MAX_ROWS = 64
"""Perturbations in one run of a small network. A judgement: with more the cost of the call no longer counts."""
TIME_SHARE = 0.25
"""Of the time limit that the backward probe plans to use at most. A judgement: an estimate of work may be off by a factor of
four and still keep the limit."""
FEWEST_LAYERS = 8
"""Perturbed in a network of any size. A judgement: enough to see where a gradient vanishes or explodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one run of a network costs, and the time there is."""

    work: float
    """Products of one run."""
    effort: float
    """The same with all that comes besides products."""
    seconds: float
    """What the backward probe may take."""
    precision: Precision = USUAL

    @property
    def limit(self) -> float:
        """Products that may be spent on more than MIN_DRAWS passes: no clock is asked, so that the same file gives the same report."""
        return max(WORK_LIMIT, self.seconds * PRODUCTS_PER_SECOND) if self.precision.is_exact else WORK_LIMIT

    @property
    def is_small(self) -> bool:
        """Whether a call of the runtime costs more than what it computes."""
        return self.work < SMALL_NETWORK

    @property
    def threads(self) -> int | None:
        """Threads of a session; None for the runtime's own choice."""
        return 1 if self.is_small else None

    def affordable(self, layers: Sequence[LayerPlan], forward_runs: int) -> list[LayerPlan]:
        """All layers, or an even choice of them, without factors, where MIN_DRAWS passes over all would take too long.

        In each pass two rows per layer (its output, its weight) run through half the network on average.
        """
        each = MIN_DRAWS * max(1.0, self.effort)
        most = min(max(MOST_WORK, self.limit) / each, max(self.limit / each, LAYERS_PER_RUN * forward_runs))
        if len(layers) > most:
            layers = [layer for layer in layers if not layer.is_factor] or layers
        return _even(layers, most)

    def turn(self, draw: int, layers: Sequence[LayerPlan], cost: float) -> Sequence[LayerPlan]:
        """The layers that a pass over a large network takes: all in the first, some in each of the others.

        `cost` is that of a pass over all.
        """
        if draw == 0:
            return layers
        is_last = (MIN_DRAWS + 1) * cost > self.limit
        every = max(OTHER, min(SPREAD_EVERY, len(layers) // FEWEST_SPREAD)) if is_last else OTHER
        return layers[draw % every :: every]

    def in_time(self, layers: Sequence[LayerPlan], run_seconds: float) -> list[LayerPlan]:
        """Fewer layers where one run takes much longer than its products tell (attention over long sequences).

        Raises ProbeError where there is time for hardly any.
        """
        affordable = self.seconds / max(1e-9, MIN_DRAWS * run_seconds)
        if affordable < min(FEWEST_LAYERS, len(layers)) / 2:
            raise ProbeError(
                f"one run takes {run_seconds:.1f} s, too long for the many that are needed; raise --timeout"
            )
        return _even(layers, affordable)

    def most_rows(self, layers: Sequence[LayerPlan]) -> int:
        """Perturbations in one run, where the network takes several inputs at once."""
        affordable = SMALL_NETWORK / max(1.0, self.work)
        return int(min(MAX_ROWS, MAX_REPEATS * len(layers), affordable))

    def pass_cost(self, layers: Sequence[LayerPlan], pieces: Pieces, rows: int) -> float:
        """Products and calls of one pass with `rows` perturbations in a run: each goes from its layer's piece to the end."""
        count = len(pieces.segments)
        runs = 2 * sum((count - pieces.home[layer.output]) / count for layer in layers) + 1
        calls = RUN_COST * count + NODE_COST * len(pieces.network.nodes)
        return runs * (self.effort + ROW_COST * count + calls / rows)


def budget_for(
    layers: Sequence[LayerPlan], elements: Mapping[str, int], seconds: float, precision: Precision = USUAL
) -> Budget:
    """The budget of a network with these layers.

    Args:
        layers: all that could be perturbed.
        elements: size of each layer's output for one run, by the output's name.
        seconds: the time limit of the whole probe.
        precision: that is wanted.
    """
    work = float(sum(elements[layer.output] * layer.paths for layer in layers))
    effort = work + ELEMENT_COST * sum(elements[layer.output] for layer in layers)
    return Budget(work=work, effort=effort, seconds=TIME_SHARE * seconds, precision=precision)


def _even(layers: Sequence[LayerPlan], most: float) -> list[LayerPlan]:
    """At most `most` of the layers, but FEWEST_LAYERS, evenly chosen, the first and the last among them."""
    count = max(FEWEST_LAYERS, int(min(most, len(layers))))
    if len(layers) <= count:
        return list(layers)
    return [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, count).round().astype(int))]
