"""How much work the backward probe may take, and which layers of a large network it can afford to perturb.

Work is counted in products (a multiplication and an addition); everything else is worth some number of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import ProbeError
from initaudit.probe.cost import NODE_COST, PRODUCTS_PER_SECOND
from initaudit.probe.gradient import MIN_DRAWS
from initaudit.probe.precision import USUAL, Precision
from initaudit.probe.session import THREADS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.probe.pieces import Pieces
    from initaudit.probe.plan import LayerPlan

MAX_REPEATS = 4
"""Perturbations of each layer in one pass of a small network. With 32 passes they bring the error of a network with a
single output, where |J v|^2 is chi-squared with one degree of freedom, to 6 %."""
WORK_LIMIT = 3e10
"""Products spent on more than MIN_DRAWS passes: about a second on two cores."""
MOST_WORK = 1.5e11
"""Products spent on MIN_DRAWS passes, a few seconds; of a larger network only some layers are perturbed."""
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
    """What one run of a network costs, and the work that may be done. No clock is asked, so that the same file gives the same report."""

    work: float
    """Products of one run."""
    effort: float
    """The same with all that comes besides products."""
    cost: float
    """Of one run, with the nodes that are no layers; see `initaudit.probe.cost`."""
    most: float
    """Products that the backward probe may take."""
    precision: Precision = USUAL

    @property
    def limit(self) -> float:
        """Products that may be spent on more than MIN_DRAWS passes."""
        return max(WORK_LIMIT, self.most) if self.precision.is_exact else WORK_LIMIT

    @property
    def is_small(self) -> bool:
        """Whether a call of the runtime costs more than what it computes."""
        return self.work < SMALL_NETWORK

    @property
    def threads(self) -> int:
        """Threads of a session."""
        return 1 if self.is_small else THREADS

    def affordable(self, layers: Sequence[LayerPlan], forward_runs: int) -> list[LayerPlan]:
        """All layers, or an even choice of them, without factors, where MIN_DRAWS passes over all would take too long.

        In each pass two rows per layer (its output, its weight) run through half the network on average. Raises ProbeError where the time
        limit is too short for hardly any.
        """
        each = MIN_DRAWS * max(1.0, self.effort)
        most = min(max(MOST_WORK, self.limit) / each, max(self.limit / each, LAYERS_PER_RUN * forward_runs))
        if len(layers) > most:
            layers = [layer for layer in layers if not layer.is_factor] or layers
        chosen = _even(layers, most)
        in_time = self.most / (MIN_DRAWS * max(1.0, self.cost))
        if in_time < min(FEWEST_LAYERS, len(chosen)) / 2:
            raise ProbeError(
                f"one run takes some {self.cost:.0e} products, too many for the runs that are needed; raise --timeout"
            )
        return _even(chosen, in_time)

    def turn(self, draw: int, layers: Sequence[LayerPlan], cost: float) -> Sequence[LayerPlan]:
        """The layers that a pass over a large network takes: all in the first, some in each of the others.

        `cost` is that of a pass over all.
        """
        if draw == 0:
            return layers
        is_last = (MIN_DRAWS + 1) * cost > self.limit
        every = max(OTHER, min(SPREAD_EVERY, len(layers) // FEWEST_SPREAD)) if is_last else OTHER
        return layers[draw % every :: every]

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
    layers: Sequence[LayerPlan],
    elements: Mapping[str, int],
    cost: float,
    seconds: float,
    precision: Precision = USUAL,
) -> Budget:
    """The budget of a network with these layers.

    Args:
        layers: all that could be perturbed.
        elements: size of each layer's output for one run, by the output's name.
        cost: of one run, in products.
        seconds: the time limit of the whole probe.
        precision: that is wanted.
    """
    work = float(sum(elements[layer.output] * layer.paths for layer in layers))
    effort = work + ELEMENT_COST * sum(elements[layer.output] for layer in layers)
    return Budget(
        work=work, effort=effort, cost=cost, most=TIME_SHARE * seconds * PRODUCTS_PER_SECOND, precision=precision
    )


def _even(layers: Sequence[LayerPlan], most: float) -> list[LayerPlan]:
    """At most `most` of the layers, but FEWEST_LAYERS, evenly chosen, the first and the last among them."""
    count = max(FEWEST_LAYERS, int(min(most, len(layers))))
    if len(layers) <= count:
        return list(layers)
    return [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, count).round().astype(int))]
