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
from initaudit.probe.forward import moments_of
from initaudit.probe.pieces import Pieces
from initaudit.probe.products import Product

if TYPE_CHECKING:
    from pathlib import Path

    from initaudit.probe.forward import Forward, Runs
    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.segments import Network, State
    from initaudit.probe.stacking import Stack

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
ATTEMPTS = 3
"""Changes of step within one piece. A judgement: the response is nearly linear in the step, so that the first brings it near
its place."""
NOISE = 1e-6
"""Relative response below which rounding may be all there is: some ten units in the last place of float32."""
MIN_DRAWS, MAX_DRAWS = 2, 32
"""Passes, each on one input: two at least, for an error estimate."""
MAX_REPEATS = 4
"""Perturbations of each layer in one pass of a small network. With 32 passes they bring the error of a network with a
single output, where |J v|^2 is chi-squared with one degree of freedom, to 6 %."""
WEIGHTS_EVERY = 2
"""Passes over a large network per perturbation of its weights. Of the passes behind the first, each takes every other
layer only; the spread between draws is then known from those."""
WANTED_ERROR = 0.08
"""Relative standard error of the gradient at which drawing ends. A judgement: no verdict turns on a tenth."""
WORK_LIMIT = 3e10
"""Products spent on more than MIN_DRAWS passes: below half a second on two cores."""
MOST_WORK = 1.5e11
"""Products spent on MIN_DRAWS passes, about two seconds; of a larger network only some layers are perturbed."""
RUN_COST = 2e6
"""Products that one call of the runtime is worth: 30 microseconds. An estimate for planning."""
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
HELD_BYTES = 1 << 28
"""Deviations held at once: 256 MiB. A judgement: a sixteenth of the default memory limit."""
FEWEST_LAYERS = 8
"""Perturbed in a network of any size. A judgement: enough to see where a gradient vanishes or explodes."""


@dataclass(slots=True, kw_only=True)
class Gradient:
    """Samples of one layer, one per draw."""

    squares: list[float] = field(default_factory=list)
    """Estimates of the mean square gradient per element of the layer's output."""
    weight_squares: list[float] = field(default_factory=list)
    """Estimates of |dL/dW|_F^2."""
    unresolved: int = 0
    """Draws whose response rounding may have made. One alone says little: a direction may happen to be blind."""

    @property
    def error(self) -> float | None:
        """Relative standard error of the root of the mean of `squares`."""
        mean = float(np.mean(self.squares)) if self.squares else 0.0
        if len(self.squares) < MIN_DRAWS or mean == 0.0:
            return None
        spread = float(np.std(self.squares, ddof=1)) / math.sqrt(len(self.squares))
        return 0.5 * spread / mean

    def to_json(self, spread: float | None) -> dict[str, Any]:
        """The backward fields of `Signal`; `spread` is that of one draw in this network, for layers drawn only once."""
        error = self.error
        if error is None and spread is not None and self.squares and any(self.squares):
            error = 0.5 * spread / math.sqrt(len(self.squares))
        weight = math.sqrt(float(np.mean(self.weight_squares))) if self.weight_squares else None
        return {
            "gradient_rms": math.sqrt(float(np.mean(self.squares))),
            "gradient_error": error,
            "gradient_resolved": 2 * self.unresolved < len(self.squares),
            "weight_gradient": weight,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    """How far one row deviates behind a piece."""

    size: float
    """Largest deviation among the values, each relative to the root mean square of its unperturbed twin."""
    difference: State


@dataclass(slots=True, kw_only=True)
class _Row:
    """One perturbation on its way through the pieces."""

    layer: LayerPlan
    direction: np.ndarray
    """What is added to the layer's output, times the step."""
    scale: float
    """Root mean square of the layer's output, the unit of steps."""
    weight: float = 1.0
    """Of a direction that a change of the weight makes: its root mean square before it was brought to 1."""
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
    alone: bool = False
    """It changes values that all inputs of a run share, so that no other may be in the same run."""
    step: float = STEP

    def arrive(self, moved: _Moved) -> None:
        """Take over the deviation behind a piece, brought back to size 1."""
        self.lost, self.failed = moved.size == 0.0, not math.isfinite(moved.size)
        self.resolved &= moved.size > NOISE  # false for a size of 0 too: rounding may have made it
        if self.lost or self.failed:
            self.values = {}
            return
        self.log_size += math.log(moved.size / self.step)
        self.values, self.unit = moved.difference, 1.0 / moved.size

    def respond(self, outputs: Sequence[str]) -> float:
        """|J d|^2 for the direction d, at the end of the way; NaN where it failed."""
        if self.failed or self.lost:
            return math.nan if self.failed else 0.0
        total = math.fsum(_square(a) for name, a in self.values.items() if name in outputs)
        with np.errstate(over="ignore", divide="ignore"):
            return float(np.exp(np.log(total) + 2 * (math.log(self.unit) + self.log_size)))


class Backward:
    """Perturbs one network; `measure` gives the gradients."""

    def __init__(
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
    ) -> None:
        """`runs` feed one input each where the model allows; `stack` knows how to feed several at once.

        `seconds` is what the probe may take; where it is far from enough, fewer layers are perturbed.
        """
        self.network = network
        self.folder = folder
        self.forward = forward
        self.runs = runs
        self.stack = stack
        self.seed = seed
        self.seconds = TIME_SHARE * seconds
        sizes = {layer.name: math.prod(forward.values[layer.output].shape) for layer in layers}
        self.work = float(sum(sizes[layer.name] * layer.paths for layer in layers))
        """Products of one run."""
        self.effort = self.work + ELEMENT_COST * sum(sizes.values())
        """The same with all that comes besides products."""
        self.layers = _affordable(layers, self.effort)
        self.threads = 1 if self.work < SMALL_NETWORK else None
        self.pieces = Pieces(network, self.layers, folder, self.threads)
        self.products: dict[str, Product] = {}
        self._levels: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}
        self.scales = {layer.name: self._scale(layer) for layer in self.layers}

    def measure(self, progress: Callable[[str], None] | None = None) -> dict[str, Gradient]:
        """Gradients by layer. Raises ProbeError where the network cannot be run in pieces."""
        dtypes = {layer.output: self.forward.values[layer.output].dtype for layer in self.layers}
        self._shed(self.pieces.open(self.runs.feeds[0], dtypes))
        self.stack.learn(self.pieces, self.runs.feeds, rows=self._most_rows())
        repeats = max(1, min(MAX_REPEATS, self.stack.rows // len(self.layers)))
        gradients = {layer.name: Gradient() for layer in self.layers}
        cost = self._cost()
        for draw in range(MAX_DRAWS):
            if draw >= MIN_DRAWS and (_settled(gradients) or (draw + 1) * cost > WORK_LIMIT):
                break
            if progress is not None:
                progress(f"measuring gradients, pass {draw + 1}")
            feed = self.stack.tile(self.runs.feeds[draw % len(self.runs.feeds)])
            bases, sources = self.pieces.march_with_sources(feed)
            rng = np.random.default_rng((self.seed, draw))
            limit = max(1, int(HELD_BYTES / max(1, self.pieces.carried_bytes(bases) // self.stack.rows)))
            layers = self.layers if self.stack.rows > 1 or draw == 0 else self.layers[draw % 2 :: 2]
            for start in range(0, len(layers), limit):
                weights = self.stack.rows > 1 or draw % WEIGHTS_EVERY == 0
                self._draw(layers[start : start + limit], repeats, weights, bases, sources, gradients, rng)
        return gradients

    def _shed(self, seconds: float) -> None:
        """Drop layers evenly where one run takes much longer than its products tell (attention over long sequences)."""
        affordable = self.seconds / max(1e-9, MIN_DRAWS * seconds)
        if affordable < min(FEWEST_LAYERS, len(self.layers)) / 2:
            raise ProbeError(f"one run takes {seconds:.1f} s, too long for the many that are needed; raise --timeout")
        self.layers = _even(self.layers, affordable)

    def _most_rows(self) -> int:
        """Perturbations in one run, where the network takes several inputs at once."""
        affordable = SMALL_NETWORK / max(1.0, self.work)
        return int(min(MAX_ROWS, MAX_REPEATS * len(self.layers), affordable))

    def _cost(self) -> float:
        """Products and calls of one draw: a row runs from its layer's piece to the end."""
        count = len(self.pieces.segments)
        rows = 2 * sum((count - self.pieces.home[layer.output]) / count for layer in self.layers) + 1
        calls = RUN_COST * count + NODE_COST * len(self.network.nodes)
        return rows * (self.effort + calls / self.stack.rows)

    def _draw(
        self,
        layers: Sequence[LayerPlan],
        repeats: int,
        weights: bool,
        bases: Sequence[State],
        sources: State,
        gradients: Mapping[str, Gradient],
        rng: np.random.Generator,
    ) -> None:
        """One sample for each of `layers`, the mean over `repeats` perturbations; with `weights` also of their weights."""
        rows = [self._row(layer, self._signs(layer, rng)) for layer in layers for _ in range(repeats)]
        by_weight: list[_Row] = []
        for layer in layers:
            if layer.weight is None or layer.input is None or self._is_single_position(layer) or not weights:
                continue
            x = self._input(layer, sources)
            for _ in range(repeats):
                direction = self._product(layer, x).direction(x, rng)
                size = _rms(direction)
                if size and math.isfinite(size):
                    by_weight.append(self._row(layer, direction / np.float32(size), weight=size))
        self._propagate([*rows, *by_weight], bases)
        for layer in layers:
            own = [row for row in rows if row.layer is layer]
            gradient = gradients[layer.name]
            responses = [row.respond(self.network.outputs) / row.scale**2 for row in own if not row.failed]
            if not responses:
                continue
            response = float(np.mean(responses))
            gradient.unresolved += 2 * sum(row.resolved for row in own) < len(own)
            gradient.squares.append(response / max(1, int(np.count_nonzero(own[0].direction))))
            if layer.weight is None or layer.input is None:
                continue
            if self._is_single_position(layer):  # dL/dW is the outer product of gradient and input
                gradient.weight_squares.append(response * _square(self._input(layer, sources)))
                continue
            answers = [
                row.respond(self.network.outputs) * row.weight**2 / row.scale**2
                for row in by_weight
                if row.layer is layer and not row.failed
            ]
            if answers:
                gradient.weight_squares.append(float(np.mean(answers)) / self.runs.rows)

    def _row(self, layer: LayerPlan, direction: np.ndarray, weight: float = 1.0) -> _Row:
        scale = self.scales[layer.name]
        return _Row(
            layer=layer,
            direction=direction * np.float32(scale),
            scale=scale,
            weight=weight,
            alone=self.stack.is_shared(layer.output),
        )

    def _signs(self, layer: LayerPlan, rng: np.random.Generator) -> np.ndarray:
        """A random sign for each element of the layer's output, 0 for units that are not its own."""
        shape = self.forward.values[layer.output].shape
        signs = rng.integers(0, 2, size=shape, dtype=np.int8).astype(np.float32) * 2 - 1
        if layer.unit_slice is not None and layer.channel_axis is not None:
            own = np.zeros(shape[layer.channel_axis], np.float32)
            own[slice(*layer.unit_slice)] = 1.0
            signs *= own.reshape([-1 if a == layer.channel_axis % len(shape) else 1 for a in range(len(shape))])
        return signs

    def _scale(self, layer: LayerPlan) -> float:
        """Size of the layer's output by which steps are measured; that of its input, or 1, where it is zero."""
        for value, part in ((layer.output, layer.unit_slice), (layer.input, None)):
            if value is not None and value in self.forward.values:
                level = moments_of(self.forward.values[value], part).mean_square
                if math.isfinite(level) and level > 0.0:
                    return math.sqrt(level)
        return 1.0

    def _is_single_position(self, layer: LayerPlan) -> bool:
        shape = self.forward.values[layer.output].shape
        axis = layer.channel_axis
        return axis is not None and -len(shape) <= axis < len(shape) and math.prod(shape) == shape[axis]

    def _product(self, layer: LayerPlan, x: np.ndarray) -> Product:
        if layer.name not in self.products:
            self.products[layer.name] = Product(self.network, layer, x, self.threads)
        return self.products[layer.name]

    def _input(self, layer: LayerPlan, sources: State) -> np.ndarray:
        """The layer's input, of one input of the model."""
        assert layer.input is not None
        return self.stack.split(layer.input, sources[layer.input])[0]

    def _propagate(self, rows: Sequence[_Row], bases: Sequence[State]) -> None:
        """Carry perturbations to the end of the network, bringing them back to size 1 at each cut."""
        for index in range(len(self.pieces.segments)):
            pending = [r for r in rows if not (r.lost or r.failed) and self.pieces.home[r.layer.output] <= index]
            for row in pending:
                row.step = STEP
            for attempt in range(ATTEMPTS + 1):
                again: list[_Row] = []
                for chunk in self._chunks(pending):
                    for row, moved in zip(chunk, self._try(index, chunk, bases), strict=True):
                        if moved is None:
                            row.failed = True
                            continue
                        step = _better_step(row.step, moved.size) if attempt < ATTEMPTS else row.step
                        if step != row.step:
                            row.step = step
                            again.append(row)
                        else:
                            row.arrive(moved)
                pending = again

    def _chunks(self, rows: Sequence[_Row]) -> list[Sequence[_Row]]:
        """Rows that share a run."""
        together = [row for row in rows if not row.alone]
        count = self.stack.rows
        chunks: list[Sequence[_Row]] = [together[i : i + count] for i in range(0, len(together), count)]
        return chunks + [[row] for row in rows if row.alone]

    def _try(self, index: int, rows: Sequence[_Row], bases: Sequence[State]) -> Sequence[_Moved | None]:
        """`_run`, with None for the rows that the network cannot be run with."""
        try:
            return self._run(index, rows, bases)
        except ProbeError:
            if len(rows) == 1:
                return [None]
            return [self._try(index, [row], bases)[0] for row in rows]

    def _level(self, name: str, index: int, bases: Sequence[State]) -> np.ndarray:
        """Root mean square of each row of an unperturbed value behind a piece."""
        array = bases[index + 1][name]
        known = self._levels.get((name, index))
        if known is None or known[0] is not array:
            still = self.stack.split(name, array)
            known = self._levels[name, index] = (array, np.sqrt(squares(still) / max(1, still[0].size)))
        return known[1]

    def _run(self, index: int, rows: Sequence[_Row], bases: Sequence[State]) -> list[_Moved]:
        """One call of the runtime: where each row arrives behind a piece."""
        base, behind = bases[index], bases[index + 1]
        state, addends = dict(base), {}
        starting: dict[str, np.ndarray] = {}
        changed = {name for row in rows for name in row.values}
        for name in changed:
            array = np.empty((self.stack.rows, *self.stack.split(name, base[name]).shape[1:]), base[name].dtype)
            still = self.stack.split(name, base[name])
            for k, row in enumerate(rows):
                if name in row.values:
                    np.multiply(row.values[name], np.float32(row.step * row.unit), out=array[k], casting="same_kind")
                    array[k] += still[k]
                else:
                    array[k] = still[k]
            array[len(rows) :] = still[len(rows) :]
            state[name] = self.stack.join(name, array)
        for k, row in enumerate(rows):
            if self.pieces.home[row.layer.output] != index:
                continue
            name = row.layer.output
            if name not in starting:
                starting[name] = np.zeros((self.stack.rows, *row.direction.shape), self.forward.values[name].dtype)
            starting[name][k] = row.direction * np.float32(row.step)
        addends = {name: self.stack.join(name, array) for name, array in starting.items()}
        arrived = self.pieces.advance(index, state, addends)
        differences: dict[str, np.ndarray] = {}
        sizes = np.zeros(len(rows))
        for name, array in arrived.items():
            if array is behind.get(name) or array.dtype.kind != "f" or array.shape != behind[name].shape:
                continue
            still = self.stack.split(name, behind[name])[: len(rows)]
            differences[name] = self.stack.split(name, array)[: len(rows)] - still
            sizes = np.maximum(sizes, _relative(differences[name], self._level(name, index, bases)[: len(rows)]))
        return [
            _Moved(size=float(size), difference={n: d[k] for n, d in differences.items()})
            for k, size in enumerate(sizes)
        ]


def _affordable(layers: Sequence[LayerPlan], effort: float) -> list[LayerPlan]:
    """All layers, or an even choice of them where MIN_DRAWS passes over all would take too long.

    In each pass two rows per layer (its output, its weight) run through half the network on average.
    """
    return _even(layers, MOST_WORK / (MIN_DRAWS * max(1.0, effort)))


def _even(layers: Sequence[LayerPlan], most: float) -> list[LayerPlan]:
    """At most `most` of the layers, but FEWEST_LAYERS, evenly chosen, the first and the last among them."""
    count = max(FEWEST_LAYERS, int(min(most, len(layers))))
    if len(layers) <= count:
        return list(layers)
    return [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, count).round().astype(int))]


def spread_of(gradients: Mapping[str, Gradient]) -> float | None:
    """Relative standard deviation of one draw, over the layers that were drawn more than once; None if there are none.

    It depends on how many directions the outputs answer to, which the layers of one network share.
    """
    several = [np.asarray(g.squares) for g in gradients.values() if len(g.squares) > 1 and any(g.squares)]
    if not several:
        return None
    return math.sqrt(float(np.mean([np.var(s, ddof=1) / np.mean(s) ** 2 for s in several])))


def _settled(gradients: Mapping[str, Gradient]) -> bool:
    """Whether the error of every layer is small enough."""
    return all((g.error or 0.0) <= WANTED_ERROR for g in gradients.values())


def _better_step(step: float, size: float) -> float:
    """The step to try after an answer of relative size `size`; the same where that was linear and above rounding."""
    if not math.isfinite(size):
        return max(SMALLEST_STEP, step * STEP)
    if size > LARGEST_RESPONSE:
        return max(SMALLEST_STEP, step * STEP / size)
    if size < SMALLEST_RESPONSE:
        return min(LARGEST_STEP, step * (STEP / size if size else 1.0 / STEP))
    return step


def _relative(difference: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Root mean square of each row of `difference` over `level`; the former alone where that is zero."""
    moved = np.sqrt(squares(difference) / max(1, difference[0].size))
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(level > 0, moved / level, moved)
    return np.where(np.isfinite(moved), relative, np.inf)


def squares(array: np.ndarray) -> np.ndarray:
    """Sum of squares of each row, float64; summed in double precision where single would overflow or underflow."""
    flat = array.reshape(len(array), -1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = np.einsum("ij,ij->i", flat, flat).astype(np.float64)
        if ((total <= 1e-30) | (total >= 1e30) | np.isnan(total)).any():
            total = np.square(flat, dtype=np.float64).sum(axis=1)
    return total


def _square(array: np.ndarray) -> float:
    return float(squares(array[None])[0])


def _rms(array: np.ndarray) -> float:
    """Root mean square; NaN or infinite where an element is."""
    return math.sqrt(_square(array) / array.size) if array.size else 0.0
