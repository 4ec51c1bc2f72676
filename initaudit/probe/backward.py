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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import ProbeError
from initaudit.probe.products import Product
from initaudit.probe.segments import Network, Segment, State

if TYPE_CHECKING:
    from pathlib import Path

    from initaudit.probe.forward import Forward, Runs
    from initaudit.probe.plan import LayerPlan

STEP = 1e-2
"""Deviation from the unperturbed values, relative to their root mean square, that is injected and kept at the cuts:
small against the curvature of activations, 1e5 times float32 resolution."""
LARGEST_RESPONSE = 0.1
"""Relative deviation behind a piece above which its answer counts as nonlinear, and the step is made smaller."""
SMALLEST_RESPONSE = 1e-4
"""Below it rounding (about 1e-7 per operator) begins to show, and the step is made larger."""
LARGEST_STEP = 0.5
"""Never perturb by more; beyond, no network is nearly linear."""
SMALLEST_STEP = 1e-5
"""Never perturb by less: 100 units in the last place."""
ATTEMPTS = 3
"""Changes of step within one piece."""
NOISE = 1e-6
"""Relative response below which rounding may be all there is: some ten units in the last place of float32."""
MIN_DRAWS, MAX_DRAWS = 2, 32
"""Perturbations per layer: two at least, for an error estimate; 32 bring the error of a single-output network, where
|J v|^2 is chi-squared with one degree of freedom, to 12 %."""
WANTED_ERROR = 0.08
"""Relative standard error of the gradient at which drawing ends."""
WORK_LIMIT = 6e10
"""Products spent on more than the first draws: about a second on two cores."""
MOST_WORK = 6e11
"""Products spent on one draw; of a larger network only some layers are perturbed."""
RUN_COST = 2e6
"""Products that one call of the runtime is worth (30 microseconds)."""
SMALL_NETWORK = 5e7
"""Products of one run below which a second thread costs more than it brings."""


@dataclass(slots=True, kw_only=True)
class Gradient:
    """Samples of one layer, one per draw."""

    squares: list[float] = field(default_factory=list)
    """Estimates of the mean square gradient per element of the layer's output."""
    weight_squares: list[float] = field(default_factory=list)
    """Estimates of |dL/dW|_F^2."""
    resolved: bool = True

    @property
    def error(self) -> float | None:
        """Relative standard error of the root of the mean of `squares`."""
        mean = float(np.mean(self.squares)) if self.squares else 0.0
        if len(self.squares) < MIN_DRAWS or mean == 0.0:
            return None
        spread = float(np.std(self.squares, ddof=1)) / math.sqrt(len(self.squares))
        return 0.5 * spread / mean

    def to_json(self) -> dict[str, Any]:
        """The backward fields of `Signal`."""
        weight = math.sqrt(float(np.mean(self.weight_squares))) if self.weight_squares else None
        return {
            "gradient_rms": math.sqrt(float(np.mean(self.squares))),
            "gradient_error": self.error,
            "gradient_resolved": self.resolved,
            "weight_gradient": weight,
        }


@dataclass(slots=True, kw_only=True)
class _Row:
    """One perturbed copy of the values at a cut."""

    values: State
    log_size: float
    """Natural logarithm of the deviation in units of the perturbation that was injected."""
    resolved: bool = True


class Backward:
    """Perturbs one network; `measure` gives the gradients."""

    def __init__(
        self,
        network: Network,
        folder: Path | None,
        layers: Sequence[LayerPlan],
        forward: Forward,
        runs: Runs,
        seed: int,
    ) -> None:
        self.network = network
        self.folder = folder
        self.forward = forward
        self.runs = runs
        self.seed = seed
        self.work = sum(math.prod(forward.values[layer.output].shape) * layer.paths for layer in layers)
        self.layers = list(layers)
        self.threads = 1 if self.work < SMALL_NETWORK else None
        self.bounds: list[tuple[int, int]] = []
        self.segments: list[Segment] = []
        self.carried: list[tuple[str, ...]] = []
        self.home: dict[str, int] = {}
        self.products: dict[str, Product] = {}

    def measure(self, progress: Callable[[str], None] | None = None) -> dict[str, Gradient]:
        """Gradients by layer. Raises ProbeError where the network cannot be run in pieces."""
        self._choose_layers()
        self._cut()
        gradients = {layer.name: Gradient() for layer in self.layers}
        first = self._cost()
        spent = 0.0
        for draw in range(MAX_DRAWS):
            if draw >= MIN_DRAWS and (spent + first > WORK_LIMIT or _settled(gradients)):
                break
            if draw > 0 and first > MOST_WORK:
                break
            if progress is not None:
                progress(f"measuring gradients, pass {draw + 1}")
            bases = self._march(self.runs.feeds[draw % len(self.runs.feeds)])
            for index, layer in enumerate(self.layers):
                rng = np.random.default_rng((self.seed, draw, index))
                self._perturb(layer, bases, gradients[layer.name], rng)
            spent += first
        return gradients

    def _cost(self) -> float:
        """Products and calls of one draw: a row runs from its layer's piece to the end."""
        pieces = len(self.segments)
        rows = sum((pieces - self.home[layer.output]) / pieces for layer in self.layers) + 1
        return rows * (self.work * 1.5 + RUN_COST * pieces)

    def _choose_layers(self) -> None:
        """Drop layers evenly where one draw over all of them would take too long."""
        affordable = max(4, int(2 * MOST_WORK / max(1.0, self.work)))
        if len(self.layers) > affordable:
            chosen = np.unique(np.linspace(0, len(self.layers) - 1, affordable).round().astype(int))
            self.layers = [self.layers[i] for i in chosen]

    def _cut(self) -> None:
        network = self.network
        values = list(dict.fromkeys(layer.output for layer in self.layers))
        cuts = network.cuts(values)
        self.carried = [cut.carried for cut in cuts] + [tuple(network.outputs)]
        places = [0, *(cut.position for cut in cuts), len(network.nodes)]
        self.bounds = list(zip(places, places[1:], strict=False))
        for value in values:
            position = network.position[value]
            self.home[value] = next(i for i, (a, b) in enumerate(self.bounds) if a <= position < b)
        for index, (start, stop) in enumerate(self.bounds):
            inject = [v for v in values if self.home[v] == index]
            made = {n for node, _ in network.nodes[start:stop] for n in node.output if n}
            expose = dict.fromkeys(n for n in self.carried[index] if n in made)
            expose |= dict.fromkeys(
                layer.input
                for layer in self.layers
                if layer.weight is not None and layer.input in made and self.home[layer.output] == index
            )
            self.segments.append(network.segment(start, stop, inject=inject, expose=list(expose)))

    def _march(self, feed: Mapping[str, np.ndarray]) -> list[State]:
        """Unperturbed values in front of each piece, and behind the last; opens the sessions the first time."""
        state: State = dict(feed)
        bases = [state]
        for index, segment in enumerate(self.segments):
            if segment.session is None:
                dtypes = {v: self.forward.values[v].dtype for v in segment.inject}
                segment.open(state, dtypes, self.folder, self.threads)
            state = self._advance(index, state, {}, feed)
            bases.append(state)
        return bases

    def _advance(
        self, index: int, state: State, addends: Mapping[str, np.ndarray], feed: Mapping[str, np.ndarray]
    ) -> State:
        """Values behind a piece for those in front of it."""
        segment = self.segments[index]
        wanted = [n for n in self.carried[index] if n in segment.made]
        out = segment.run(state, addends, wanted)
        if not all(isinstance(a, np.ndarray) for a in out.values()):
            raise ProbeError("the network passes sequences or optional values between its layers")
        carried = {n: state[n] for n in self.carried[index] if n in state and n not in out}
        return {**feed, **carried, **out}

    def _perturb(self, layer: LayerPlan, bases: list[State], gradient: Gradient, rng: np.random.Generator) -> None:
        shape = self.forward.values[layer.output].shape
        scale = self._scale(layer)
        signs = rng.integers(0, 2, size=shape, dtype=np.int8).astype(np.float32) * 2 - 1
        if layer.unit_slice is not None and layer.channel_axis is not None:
            mask = np.zeros(shape[layer.channel_axis], np.float32)
            mask[slice(*layer.unit_slice)] = 1.0
            axis = layer.channel_axis % len(shape)
            signs *= mask.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        count = float(np.count_nonzero(signs))
        response, resolved = self._respond(layer, bases, signs * np.float32(scale), scale)
        gradient.resolved &= resolved
        gradient.squares.append(response / max(1.0, count))
        weight = self._weight_square(layer, bases, gradient.squares[-1], count, rng)
        if weight is not None:
            gradient.weight_squares.append(weight)

    def _scale(self, layer: LayerPlan) -> float:
        """Size of the layer's output by which steps are measured; that of its input, or 1, where it is zero."""
        from initaudit.probe.forward import moments_of

        for value, part in ((layer.output, layer.unit_slice), (layer.input, None)):
            if value is not None and value in self.forward.values:
                level = moments_of(self.forward.values[value], part).mean_square
                if math.isfinite(level) and level > 0.0:
                    return math.sqrt(level)
        return 1.0

    def _weight_square(
        self, layer: LayerPlan, bases: list[State], square: float, count: float, rng: np.random.Generator
    ) -> float | None:
        """|dL/dW|_F^2 for one input."""
        if layer.input is None or layer.weight is None or layer.input not in self.forward.values:
            return None
        shape = self.forward.values[layer.output].shape
        units = layer.weight_shape and shape[layer.channel_axis] if layer.channel_axis is not None else 0
        if units and math.prod(shape) == units:  # one position: dL/dW is the outer product of gradient and input
            x = self._input(layer, bases)
            return square * count * float(np.sum(np.square(x, dtype=np.float64)))
        product = self.products.get(layer.name)
        if product is None:
            product = self.products[layer.name] = Product(self.network, layer, self._input(layer, bases), self.threads)
        direction = product.direction(self._input(layer, bases), rng)
        size = _rms(direction)
        if not size or not math.isfinite(size):
            return None
        response, _ = self._respond(layer, bases, (direction / np.float32(size)) * np.float32(self._scale(layer)), self._scale(layer))
        return response * size**2 / self.runs.rows

    def _input(self, layer: LayerPlan, bases: list[State]) -> np.ndarray:
        """The layer's input for the feed that `bases` belong to."""
        index = self.home[layer.output]
        name = layer.input
        assert name is not None
        if name in bases[index]:
            return bases[index][name]
        return self.segments[index].run(bases[index], {}, [name])[name]

    def _respond(
        self, layer: LayerPlan, bases: list[State], direction: np.ndarray, scale: float
    ) -> tuple[float, bool]:
        """|J d|^2 / scale^2 for a direction d of root mean square `scale`; False where rounding may have made it."""
        feed = {n: bases[0][n] for n in self.network.inputs if n in bases[0]}
        start = self.home[layer.output]
        row: _Row | None = None
        for index in range(start, len(self.segments)):
            base, behind = bases[index], bases[index + 1]
            if row is None:
                dtype = self.forward.values[layer.output].dtype

                def attempt(step: float, at: int = index, before: State = base) -> State:
                    addend = (direction * np.float32(step)).astype(dtype)
                    return self._advance(at, before, {layer.output: addend}, feed)

                row = _Row(values={}, log_size=0.0)
            else:
                values = row.values

                def attempt(step: float, at: int = index, before: State = base, moved: State = values) -> State:
                    return self._advance(at, _moved(before, moved, step), {}, feed)

            state, step, size = _adapted(attempt, behind)
            row.log_size += math.log(size / step) if size else 0.0
            if not size or not math.isfinite(size):
                return (0.0, False) if not size else (math.nan, False)
            row.resolved &= size > NOISE
            row.values = {n: a for n, a in _deviation(state, behind).items() if a is not None}
            row.values = {n: a / np.float32(size) for n, a in row.values.items()}
        assert row is not None
        unit = math.fsum(float(np.vdot(a, a)) for n, a in row.values.items() if n in self.network.outputs)
        with np.errstate(over="ignore"):
            return unit * float(np.exp(2 * row.log_size)) / scale**2, row.resolved


def _settled(gradients: Mapping[str, Gradient]) -> bool:
    """Whether the error of every layer is small enough."""
    return all((g.error or 0.0) <= WANTED_ERROR for g in gradients.values())


def _adapted(attempt: Callable[[float], State], behind: State) -> tuple[State, float, float]:
    """Run a piece with a step that gives a linear answer above the rounding; the answer, the step, its relative size."""
    step = STEP
    best: tuple[State, float, float] | None = None
    for _ in range(ATTEMPTS + 1):
        state = attempt(step)
        size = _relative_size(state, behind)
        best = (state, step, size)
        if not math.isfinite(size) or size > LARGEST_RESPONSE:
            wanted = max(SMALLEST_STEP, step * (STEP / size if math.isfinite(size) else 1e-2))
        elif size < SMALLEST_RESPONSE:
            wanted = min(LARGEST_STEP, step * (STEP / size if size else 100.0))
        else:
            break
        if wanted == step:
            break
        step = wanted
    assert best is not None
    return best


def _deviation(state: State, base: State) -> dict[str, np.ndarray | None]:
    """Difference of the floating-point values; None where shapes differ."""
    return {
        name: (state[name] - base[name]) if state[name].shape == base[name].shape else None
        for name in base
        if name in state and base[name].dtype.kind == "f" and state[name] is not base[name]
    }


def _relative_size(state: State, base: State) -> float:
    """Largest deviation among the values, each relative to the root mean square of its unperturbed twin."""
    largest = 0.0
    for name, difference in _deviation(state, base).items():
        if difference is None or difference.size == 0:
            continue
        moved, still = _rms(difference), _rms(base[name])
        if moved:
            largest = max(largest, moved / still if still else moved)
        if not math.isfinite(moved):
            return math.inf
    return largest


def _moved(base: State, direction: State, step: float) -> State:
    """The unperturbed values plus `step` times the direction."""
    factor = np.float32(step)
    return {n: (a + direction[n] * factor).astype(a.dtype, copy=False) if n in direction else a for n, a in base.items()}


def _rms(array: np.ndarray) -> float:
    """Root mean square; in double precision where single would overflow or underflow."""
    if array.size == 0:
        return 0.0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = float(np.vdot(array, array))
        if not 1e-30 < total < 1e30:
            total = float(np.sum(np.square(array, dtype=np.float64)))
    return math.sqrt(total / array.size) if total >= 0 else math.nan
