"""The backward probe: the gradient at every layer, without differentiating anything.

For a random vector v with independent entries of variance 1, E|J v|^2 = |J|_F^2 = E|J' u|^2: the response of the outputs
to a small random perturbation of a layer's output z is as large, on average, as the gradient that a random cotangent
u ~ N(0, I) at the outputs sends back to z (Hutchinson 1989). Signs serve as v, for they have the least variance. The
gradient of the weights is measured the same way, with v = (V x), V a random direction of the weight and x its input.

A perturbation that travels through many layers shrinks below float resolution, or grows until the network answers no
longer linearly. So the network is cut into pieces, and at each cut the deviation from the unperturbed values is
brought back to a fixed small size, with the factor written down: the method by which Lyapunov exponents are measured
(Benettin et al. 1980). Within a piece the size of the step is adapted. That gives gradients over any number of decades
in single precision, for every operator that the runtime knows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from initaudit.probe.alone import LinearAlone, difference
from initaudit.probe.alone_recurrent import RecurrentAlone
from initaudit.probe.budget import MAX_REPEATS, budget_for
from initaudit.probe.cost import run_cost
from initaudit.probe.gradient import MIN_DRAWS, Gradient, settled
from initaudit.probe.perturbation import Perturbation, random_signs
from initaudit.probe.pieces import Pieces
from initaudit.probe.precision import USUAL, Precision
from initaudit.probe.propagation import Propagation
from initaudit.probe.squares import square
from initaudit.probe.weight_change import layers_alone

if TYPE_CHECKING:
    from pathlib import Path

    from initaudit.probe.alone import LayerAlone, Sized
    from initaudit.probe.observed import Forward
    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.runs import Runs
    from initaudit.probe.segments import Network, State
    from initaudit.probe.stacking import Stack

WEIGHTS_EVERY = 2
"""Perturbations of a large network's outputs per perturbation of its weights. Of the passes behind the first, each takes every other
layer only, so that two of them are one for each layer; the spread between draws is then known from those."""
LATEST = 0.75
"""Share of the time limit after which an exact probe ends with the error that it has reached, and says so: a machine under load does not lose
what was measured. A judgement: three times what the work is planned to take."""
CUT_SHORT = "gradients were drawn {} times, fewer than was planned: the time limit was near; raise --timeout"
HELD_BYTES = 1 << 28
"""Deviations held at once: 256 MiB. A judgement: a sixteenth of the default memory limit."""


class Backward:
    """Perturbs one network; `measure` gives the gradients."""

    def __init__(  # noqa: PLR0913  what is perturbed, and how, as keywords
        self,
        network: Network,
        folder: Path | None,
        layers: Sequence[LayerPlan],
        forward: Forward,
        runs: Runs,
        *,
        stack: Stack,
        seed: int,
        seconds: float,
        precision: Precision = USUAL,
    ) -> None:
        """`runs` feed one input each where the model allows; `stack` knows how to feed several at once.

        `seconds` is what the probe may take: it is counted in products, and where these are far from enough, fewer layers are perturbed.
        """
        self.network = network
        self.outputs = frozenset(network.outputs)
        self.forward = forward
        self.runs = runs
        self.stack = stack
        self.seed = seed
        elements = {layer.output: math.prod(forward.values[layer.output].shape) for layer in layers}
        fed = {name: array.shape for name, array in runs.feeds[0].items()}
        known = {layer.output: forward.values[layer.output].shape for layer in layers}
        cost = run_cost(network.model, fed, known=known)
        self.latest = time.monotonic() + LATEST * seconds
        self.budget = budget_for(layers, elements, cost, seconds, precision)
        self.cut_short: str | None = None
        """Why an exact probe drew less often than it was to, where the clock ended it."""
        self.precision = precision
        self.layers = self.budget.affordable(layers, len(runs.feeds))
        dtypes = {layer.output: forward.values[layer.output].dtype for layer in self.layers}
        self.alone = layers_alone(network, self.layers, folder, self.budget.threads)
        wanted = chain.from_iterable(alone.inputs for alone in self.alone.values())
        self.pieces = Pieces(network, self.layers, dtypes, wanted, folder, self.budget.threads)
        self.scales = {layer.name: self._scale(layer) for layer in self.layers}
        factors = [self.alone[layer.name] for layer in self.layers if layer.is_factor and layer.name in self.alone]
        self.read_by_factors = frozenset(chain.from_iterable(alone.inputs for alone in factors))
        self.elsewhere: State = {}
        """What the factors read of the input of the pass before."""

    def measure(self) -> dict[str, Gradient]:
        """Gradients by layer. Raises ProbeError where the network cannot be run in pieces."""
        marched: tuple[Sequence[State], State | None] = self.pieces.open(self.runs.feeds[0])
        self.stack.learn(self.pieces, self.runs.feeds, rows=self.budget.most_rows(self.layers))
        cost = self.budget.pass_cost(self.layers, self.pieces, self.stack.rows)
        inputs = len(self.runs.feeds) if self.precision.is_exact else 1
        gradients = {layer.name: Gradient(inputs=inputs) for layer in self.layers}
        for draw in range(self.precision.draws):
            if draw >= MIN_DRAWS and (settled(gradients, self.precision) or (draw + 1) * cost > self.budget.limit):
                break
            if draw >= USUAL.draws and time.monotonic() > self.latest:
                self.cut_short = CUT_SHORT.format(draw)
                break
            several = self.stack.rows > 1
            if several or draw > 0:
                del marched  # two at once would take the memory twice
                marched = self._march(draw)
            self._draw(draw, self.layers if several else self.budget.turn(draw, self.layers, cost), marched, gradients)
        return gradients

    def _march(self, draw: int) -> tuple[Sequence[State], State | None]:
        """The unperturbed values in front of each piece, the same input in every row; and, where weights have their turn, what the layers read."""
        feed = self.runs.feeds[draw % len(self.runs.feeds)]
        if self.stack.rows > 1:
            return self.pieces.march(self.stack.tile(feed)), self.pieces.march_with_sources(feed)[1]
        if self.budget.is_small or (draw + 1) // 2 % WEIGHTS_EVERY == 0:
            return self.pieces.march_with_sources(feed)
        return self.pieces.march(feed), None

    def _draw(
        self,
        draw: int,
        layers: Sequence[LayerPlan],
        marched: tuple[Sequence[State], State | None],
        gradients: Mapping[str, Gradient],
    ) -> None:
        """One pass over the network, with one of the inputs: a sample for each of `layers`."""
        states, sources = marched
        propagation = Propagation(self.pieces, self.stack, states)
        rng = np.random.default_rng((self.seed, draw))
        held = max(1, int(HELD_BYTES / max(1, self.pieces.carried_bytes(states) // self.stack.rows)))
        for start in range(0, len(layers), held):
            self._sample(layers[start : start + held], sources, propagation, rng, gradients)
        if sources is not None:
            self.elsewhere = {name: sources[name] for name in self.read_by_factors if name in sources}

    def _sample(
        self,
        layers: Sequence[LayerPlan],
        sources: State | None,
        propagation: Propagation,
        rng: np.random.Generator,
        gradients: Mapping[str, Gradient],
    ) -> None:
        """One sample for each of `layers`, the mean over several perturbations; with `sources`, what the layers read, also of their weights."""
        by_output = {
            layer.name: [self._of_output(layer, rng) for _ in range(self._repeats)]
            for layer in layers
            if not layer.is_factor
        }
        by_weight: dict[str, list[Perturbation]] = {}
        by_difference: dict[str, list[Perturbation]] = {}
        for layer in layers if sources is not None else ():
            alone = self.alone.get(layer.name)
            gradient = gradients[layer.name]
            settled = bool(gradient.weight_squares) and gradient.is_weight_settled(self.precision)
            if alone is None or sources is None or settled or self._is_outer_product(layer):
                continue
            dtype = self.forward.values[layer.output].dtype
            shape = self.forward.values[layer.output].shape
            same = deepcopy(rng) if layer.is_factor else rng
            found = [f for f in alone.derivatives(sources, dtype, rng, self._repeats) if _stretches(f[0].shape, shape)]
            gradient.is_weight_exhausted = not found
            by_weight[layer.name] = [self._perturbation(layer, direction, size) for direction, size in found]
            if layer.is_factor:
                by_difference[layer.name] = self._of_difference(layer, alone, found, same)
            if isinstance(alone, RecurrentAlone) and alone.is_first:
                memory = alone.memory(sources, rng)
                gradient.memories += [] if memory is None else [memory]
        propagation.carry(list(chain(*by_output.values(), *by_weight.values(), *by_difference.values())))
        for layer in layers:
            gradient = gradients[layer.name]
            own = by_output.get(layer.name, [])
            response = self._mean_response(own)
            if response is not None:
                gradient.unresolved += 2 * sum(p.resolved for p in own) < len(own)
                gradient.squares.append(response / max(1, int(np.count_nonzero(own[0].direction))))
                if sources is not None and layer.name in self.alone and self._is_outer_product(layer):
                    assert layer.input is not None
                    # dL/dW is the outer product of gradient and input
                    gradient.weight_squares.append(response * square(sources[layer.input]))
            of_weight = self._mean_response(by_weight.get(layer.name, ()))
            if of_weight is not None:
                gradient.weight_squares.append(of_weight / self.runs.rows)
            of_difference = self._mean_response(by_difference.get(layer.name, ()))
            if of_weight is not None and of_difference is not None:
                gradient.contrasts.append((of_difference / 2, of_weight))

    def _of_difference(
        self, layer: LayerPlan, alone: LayerAlone, found: Sequence[Sized], rng: np.random.Generator
    ) -> list[Perturbation]:
        """What the same changes of a weight do to the layer's output here and not for another input, both taken on from here.

        `rng` is in the state in which it drew those changes. Empty where no other input is known yet.
        """
        if any(name not in self.elsewhere for name in alone.inputs):
            return []
        dtype = self.forward.values[layer.output].dtype
        others = alone.derivatives(self.elsewhere, dtype, rng, self._repeats)
        differences = (
            [difference(a, b) for a, b in zip(found, others, strict=False)] if len(found) == len(others) else []
        )
        return [self._perturbation(layer, *known) for known in differences if known is not None]

    @property
    def _repeats(self) -> int:
        """Perturbations of each layer in one pass."""
        return max(1, min(MAX_REPEATS, self.stack.rows // len(self.layers)))

    def _mean_response(self, perturbations: Sequence[Perturbation]) -> float | None:
        """Mean of |J d|^2 over those that went through; None where none did."""
        responses = [p.response(self.outputs) for p in perturbations if not p.failed]
        return float(np.mean(responses)) if responses else None

    def _of_output(self, layer: LayerPlan, rng: np.random.Generator) -> Perturbation:
        """Random signs at the layer's own units."""
        return self._perturbation(layer, random_signs(layer, self.forward.values[layer.output].shape, rng))

    def _perturbation(self, layer: LayerPlan, direction: np.ndarray, log_weight: float = 0.0) -> Perturbation:
        scale = self.scales[layer.name]
        whole = np.broadcast_to(
            direction, self.forward.values[layer.output].shape
        )  # a bias behind it may have stretched it
        return Perturbation(
            layer=layer,
            direction=whole * np.float32(scale),
            scale=scale,
            log_weight=log_weight,
            alone=self.stack.is_shared(layer.output),
        )

    def _scale(self, layer: LayerPlan) -> float:
        """Size of the layer's output by which steps are measured; that of its input, or 1, where it is zero."""
        for value, part in ((layer.output, layer.unit_slice), (layer.input, None)):
            if value is not None and value in self.forward.values:
                level = self.forward.values[value].moments(part).mean_square
                if math.isfinite(level) and level > 0.0:
                    return math.sqrt(level)
        return 1.0

    def _is_outer_product(self, layer: LayerPlan) -> bool:
        """Whether the layer is a product whose output is one number per unit: its weight's gradient is gradient times input."""
        alone = self.alone.get(layer.name)
        if not isinstance(alone, LinearAlone) or layer.is_factor or layer.input is None:
            return False
        if alone.movers:
            return False
        shape = self.forward.values[layer.output].shape
        axis = layer.channel_axis
        return axis is not None and -len(shape) <= axis < len(shape) and math.prod(shape) == shape[axis]


def _stretches(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array of this shape stands for one of the whole shape: not where the operator itself stretches its input to the weight's."""
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(whole), strict=False))
