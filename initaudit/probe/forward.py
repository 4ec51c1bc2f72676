"""The forward probe: what a batch of inputs looks like at every layer.

The network runs once per input (or per batch, where a file or batch statistics demand one), always with the same
kernels and shapes, and a fixed sample of the elements of each value comes out. The variance over inputs is then taken
per element in float64, after subtracting the mean over inputs, so that it is right down to the rounding of the values
themselves; which axis of a value counts inputs need not be known. Sums of squares and extremes are taken over all
elements, in the graph.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.probe.instrument import PREFIX, Surgeon, Tap, tap, tap_options, use_batch_statistics
from initaudit.probe.session import open_session, run_session
from initaudit.probe.signal import Histogram, Moments

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto, NodeProto

    from initaudit.probe.plan import LayerPlan

SAMPLE = 4096
"""Elements of one value looked at per input: a share is then known within 1 %, a variance within 3 %."""
MIN_SAMPLE = 256
"""Elements looked at even in a network of very many values: a share is then known within 3 %."""
SAMPLES_HELD = 1 << 24
"""Sampled elements held at once, over all values and inputs (64 MiB in float32). A judgement."""
BINS = 40
"""Of a histogram: enough to see a saturated edge, few enough for a thumbnail."""

Part = tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What the network is fed."""

    feeds: Sequence[Mapping[str, np.ndarray]]
    """One entry per run; all of the same shapes."""
    rows: int = 1
    """Inputs in one run that are told apart along the batch axis of each value; 1 where a run counts as one input."""

    @property
    def inputs(self) -> int:
        """Inputs in all."""
        return len(self.feeds) * self.rows


@dataclass(slots=True, kw_only=True)
class Observed:
    """What was brought out of one value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    samples: dict[Part, np.ndarray]
    """[inputs, elements] float64, per part of the units."""
    squares: np.ndarray
    """Mean over runs of the sum of squares: a number or one per unit."""
    rows: int = 1
    """Inputs that one run holds."""
    largest: np.ndarray | None = None
    smallest: np.ndarray | None = None

    def of_one_input(self) -> Observed:
        """The same value as a run of one input makes it, where this one came from runs of several."""
        axis = _batch_axis(self.shape, self.rows) if self.rows > 1 else None
        if axis is None:
            return self
        shape = (*self.shape[:axis], 1, *self.shape[axis + 1 :])
        return replace(self, shape=shape, squares=self.squares / self.rows, rows=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Result of the forward probe."""

    values: Mapping[str, Observed]
    statistics: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """Batch mean and variance of each BatchNormalization that normalised by its batch, by its first output."""


def observe(
    model: ModelProto,
    folder: Path | None,
    layers: Sequence[LayerPlan],
    runs: Runs,
    *,
    seed: int,
    batch_norms: Iterable[NodeProto] = (),
) -> Forward:
    """Run an instrumented copy of `model` and bring out what `layers` need. Raises ProbeError.

    `model` is changed: call with a copy. `batch_norms` are nodes of it that shall normalise by the batch.
    """
    surgeon = Surgeon(model)
    statistics = use_batch_statistics(surgeon, batch_norms)
    taps, parts = _wanted(layers)
    for wanted in taps.values():
        tap(surgeon, wanted)
    known = inferred_shapes(model, runs.feeds[0], list(taps))
    session = open_session(surgeon.finish(), folder, tap_options())
    del model, surgeon
    shapes = known or _shapes(session, taps, runs.feeds[0])
    size = int(np.clip(SAMPLES_HELD // max(1, runs.inputs * len(taps)), MIN_SAMPLE, SAMPLE))
    at = {
        name: {
            part: positions(shapes[name], runs.rows, size, part, taps[name].channel_axis, seed) for part in parts[name]
        }
        for name in taps
    }
    fed = {taps[name].name("at"): np.concatenate([p.ravel() for p in at[name].values()]) for name in taps}
    gathered: dict[str, _Gathered] = {name: _Gathered() for name in taps}
    sums: dict[str, list[np.ndarray]] = {name: [] for pair in statistics.values() for name in pair}
    names = [o.name for o in session.get_outputs() if o.name.startswith(PREFIX)]
    names = [n for n in names if not n.startswith(f"{PREFIX}shape/")]
    for feed in runs.feeds:
        answer = dict(zip(names, run_session(session, names, {**feed, **fed}), strict=True))
        for name, wanted in taps.items():
            gathered[name].add(wanted, answer)
        for name, kept in sums.items():
            kept.append(answer[name])
    return Forward(
        values={name: gathered[name].result(shapes[name], at[name]) for name in taps},
        statistics={key: (_mean(sums[mean]), _mean(sums[variance])) for key, (mean, variance) in statistics.items()},
    )


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(np.mean(arrays, axis=0), np.float32)


class _Gathered:
    """Sums up the runs of one value."""

    __slots__ = ("largest", "samples", "smallest", "squares")

    def __init__(self) -> None:
        self.samples: list[np.ndarray] = []
        self.squares: list[np.ndarray] = []
        self.largest: np.ndarray | None = None
        self.smallest: np.ndarray | None = None

    def add(self, wanted: Tap, answer: Mapping[str, np.ndarray]) -> None:
        self.samples.append(answer[wanted.name("sample")])
        self.squares.append(np.asarray(answer[wanted.name("square")], np.float64))
        largest, smallest = answer.get(wanted.name("largest")), answer.get(wanted.name("smallest"))
        if largest is not None and smallest is not None:
            self.largest = largest if self.largest is None else np.maximum(self.largest, largest)
            self.smallest = smallest if self.smallest is None else np.minimum(self.smallest, smallest)

    def result(self, shape: tuple[int, ...], at: Mapping[Part, np.ndarray]) -> Observed:
        samples: dict[Part, np.ndarray] = {}
        start = 0
        for part, positions_ in at.items():
            cut = slice(start, start + positions_.size)
            rows = [run[cut].reshape(positions_.shape) for run in self.samples]
            samples[part] = np.concatenate(rows).astype(np.float64)
            start += positions_.size
        return Observed(
            shape=shape,
            dtype=self.samples[0].dtype,
            samples=samples,
            squares=np.mean(self.squares, axis=0),
            rows=max((positions_.shape[0] for positions_ in at.values()), default=1),
            largest=self.largest,
            smallest=self.smallest,
        )


def _wanted(layers: Sequence[LayerPlan]) -> tuple[dict[str, Tap], dict[str, list[Part]]]:
    """The taps, one per value, and the parts of the units that somebody asks for."""
    taps: dict[str, Tap] = {}
    parts: dict[str, list[Part]] = {}

    def want(value: str | None, axis: int | None, part: Part, *, extremes: bool) -> None:
        if value is None:
            return
        known = taps.get(value, Tap(value=value))
        taps[value] = Tap(
            value=value,
            channel_axis=axis if known.channel_axis is None else known.channel_axis,
            extremes=known.extremes or extremes,
            squares_per_unit=known.squares_per_unit or part is not None,
        )
        if part not in parts.setdefault(value, []):
            parts[value].append(part)

    for layer in layers:
        want(layer.output, layer.channel_axis, layer.unit_slice, extremes=False)
        want(layer.preactivation, layer.channel_axis, layer.pre_slice, extremes=bool(layer.flat))
        want(layer.postactivation, layer.channel_axis, layer.pre_slice, extremes=False)
        want(layer.input, None, None, extremes=False)
    return taps, parts


def _shapes(session: Any, taps: Mapping[str, Tap], feed: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Actual shapes, from one run that brings out nothing else."""
    nothing = {wanted.name("at"): np.zeros(0, np.int64) for wanted in taps.values()}
    names = [wanted.name("shape") for wanted in taps.values()]
    answer = run_session(session, names, {**feed, **nothing})
    return {value: tuple(int(n) for n in shape) for value, shape in zip(taps, answer, strict=True)}


def inferred_shapes(
    model: ModelProto, feed: Mapping[str, np.ndarray], values: Sequence[str]
) -> dict[str, tuple[int, ...]] | None:
    """Shapes of `values` for these inputs by ONNX's own inference; None unless all of them follow from the graph alone."""
    import onnx

    sketch = onnx.ModelProto()
    sketch.CopyFrom(model)
    del sketch.graph.value_info[:]  # what a file declares may be wrong
    for info in sketch.graph.input:
        if info.name in feed:
            del info.type.tensor_type.shape.dim[:]
            info.type.tensor_type.shape.dim.extend(
                onnx.TensorShapeProto.Dimension(dim_value=n) for n in feed[info.name].shape
            )
    for output in sketch.graph.output:
        output.ClearField("type")
    try:
        sketch = onnx.shape_inference.infer_shapes(sketch, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError):
        return None
    shapes = {n: a.shape for n, a in feed.items()}
    for info in (*sketch.graph.value_info, *sketch.graph.output):
        dims = info.type.tensor_type.shape.dim
        if info.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            shapes[info.name] = tuple(d.dim_value for d in dims)
    return {v: shapes[v] for v in values} if all(v in shapes for v in values) else None


def positions(
    shape: tuple[int, ...], rows: int, size: int, part: Part, channel_axis: int | None, seed: int
) -> np.ndarray:
    """Flat positions [rows, k] of a sample of the elements, the same elements for each row.

    All elements where there are no more than `size`, else one drawn from each of `size` equal stretches, so that every
    unit is met and no stride resonates with an axis.
    """
    batch_axis = _batch_axis(shape, rows)
    box = [(0, n) for n in shape]
    if rows > 1:
        if batch_axis is None:  # inputs cannot be told apart here
            rows = 1
        else:
            box[batch_axis] = (0, 1)
    if part is not None and channel_axis is not None and -len(shape) <= channel_axis < len(shape):
        box[channel_axis] = part
    counts = [stop - start for start, stop in box]
    total = math.prod(counts)
    if total <= size:
        chosen = np.arange(total)
    else:
        rng = np.random.default_rng((seed, zlib.crc32(repr((shape, part)).encode())))
        edges = np.linspace(0, total, size + 1).astype(np.int64)
        chosen = rng.integers(edges[:-1], edges[1:])
    if not shape:
        return chosen.reshape(1, -1)
    where = [c + start for c, (start, _) in zip(np.unravel_index(chosen, counts), box, strict=True)]
    base = np.ravel_multi_index(where, shape)
    step = 0 if rows == 1 or batch_axis is None else math.prod(shape[batch_axis + 1 :])
    return base[None, :] + step * np.arange(rows)[:, None]


def _batch_axis(shape: tuple[int, ...], rows: int) -> int | None:
    """The axis of size `rows`: the first axis if it can be, else the only one; None where that is not clear."""
    if rows > 1 and shape and shape[0] == rows:
        return 0
    candidates = [a for a, n in enumerate(shape) if n == rows]
    return candidates[0] if len(candidates) == 1 else None


def summarise(layer: LayerPlan, forward: Forward) -> dict[str, Any] | None:
    """The forward fields of `Signal` for one layer as plain values; None where its values are no floats."""
    here = forward.values[layer.preactivation]
    if here.dtype.kind != "f":
        return None
    z = here.samples[layer.pre_slice]
    moments = moments_of(here, layer.pre_slice)
    finite = np.isfinite(z)
    level = _level(here, layer.pre_slice)
    answer: dict[str, Any] = {
        "mean_square": moments.mean_square,
        "variance": moments.variance,
        "similarity": _similarity(moments),
        "variance_resolved": _resolved(moments, here.dtype),
        "nonfinite": _nonfinite(finite, level, z.size),
        "histogram": histogram(z[finite]),
        "elements": _elements(forward.values[layer.output], layer),
    }
    if layer.flat and finite.any():
        answer["saturated"] = float(in_flat(z[finite], layer.flat).mean())
        answer["dead"] = _dead(here, layer)
    for name, value, part in (
        ("after", layer.postactivation, layer.pre_slice),
        ("own", layer.output if layer.output != layer.preactivation else None, layer.unit_slice),
        ("input", layer.input, None),
    ):
        if value is not None and forward.values[value].dtype.kind == "f":
            answer[name] = asdict(moments_of(forward.values[value], part))
    return answer


def moments_of(observed: Observed, part: Part) -> Moments:
    """q over all elements, and s: the share of it that the sample says is variance over inputs.

    Non-finite elements are left out; where nothing is finite, both are infinite.
    """
    z = observed.samples[part]
    if z.size == 0:
        return Moments(mean_square=0.0, variance=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.isfinite(z).all(axis=0)
        if not whole.any():
            return Moments(mean_square=math.inf, variance=math.inf)
        z = z[:, whole]
        sampled = float(np.mean(np.square(z)))
        spread = float(np.mean(np.var(z, axis=0, ddof=1))) if len(z) > 1 else 0.0
    level = _level(observed, part)
    if not math.isfinite(level) or sampled == 0.0:
        level = sampled
    variance = spread * (level / sampled) if sampled else 0.0
    return Moments(mean_square=level, variance=variance, dimension=dimension_of(z))


def dimension_of(z: np.ndarray) -> float | None:
    """Participation ratio of the variation of finite z [inputs, elements] over inputs; None where there is none.

    From the Gram matrix of the deviations, which has the eigenvalues of their covariance.
    """
    largest = float(np.abs(z).max(initial=0.0))
    if len(z) < 2 or largest == 0.0:
        return None
    deviation = z / largest
    deviation -= deviation.mean(axis=0)
    gram = deviation @ deviation.T
    squares = float(np.square(gram).sum())
    return float(np.trace(gram)) ** 2 / squares if squares > 0.0 else None


def _level(observed: Observed, part: Part) -> float:
    """Mean square over all elements of the part, from the sums taken in the graph; not finite where those are not."""
    total = math.prod(observed.shape)
    squares = observed.squares
    if part is None or squares.ndim == 0:
        return float(squares.sum()) / max(1, total) if part is None else math.nan
    share = (part[1] - part[0]) / max(1, squares.size)
    return float(squares[part[0] : part[1]].sum()) / max(1.0, total * share)


def _similarity(moments: Moments) -> float | None:
    if moments.mean_square == 0.0 or not math.isfinite(moments.mean_square):
        return None
    return min(1.0, max(0.0, 1.0 - moments.variance / moments.mean_square))


def _resolved(moments: Moments, dtype: np.dtype[Any]) -> bool:
    """Whether inputs differ by more than one unit in the last place."""
    if moments.mean_square == 0.0 or not math.isfinite(moments.mean_square):
        return True
    return moments.variance > float(np.finfo(dtype).eps) ** 2 * moments.mean_square


def _elements(observed: Observed, layer: LayerPlan) -> int:
    """Elements of the layer's output (its own units only) for one input."""
    total = math.prod(observed.shape) // observed.rows
    if layer.unit_slice is None or layer.channel_axis is None:
        return total
    start, stop = layer.unit_slice
    return total // observed.shape[layer.channel_axis] * (stop - start)


def _nonfinite(finite: np.ndarray, level: float, size: int) -> float:
    share = 1.0 - float(finite.mean()) if finite.size else 0.0
    if share == 0.0 and math.isnan(level):  # some element outside the sample
        return 1.0 / size
    return share


def in_flat(z: np.ndarray, flat: Iterable[tuple[float, float]]) -> np.ndarray:
    """Which elements lie in one of the intervals, ends included."""
    inside = np.zeros(z.shape, np.bool_)
    for low, high in flat:
        inside |= (z >= low) & (z <= high)
    return inside


def _dead(observed: Observed, layer: LayerPlan) -> float | None:
    """Share of units whose every element lies in one flat interval."""
    if observed.largest is None or observed.smallest is None:
        return None
    units = slice(*layer.pre_slice) if layer.pre_slice is not None else slice(None)
    largest, smallest = observed.largest[units], observed.smallest[units]
    if largest.size == 0:
        return None
    dead = np.zeros(largest.shape, np.bool_)
    for low, high in layer.flat:
        dead |= (smallest >= low) & (largest <= high)
    return float(dead.mean())


def histogram(z: np.ndarray) -> dict[str, Any] | None:
    """Fields of `Histogram` for finite elements; None where there are none."""
    if z.size == 0:
        return None
    low, high = float(z.min()), float(z.max())
    if low == high:
        return asdict(Histogram(low=low, high=high, counts=(int(z.size),)))
    with np.errstate(over="ignore"):
        scaled = (z - low) * (BINS / (high - low))
    counts = np.bincount(np.clip(scaled, 0, BINS - 1).astype(np.int64), minlength=BINS)
    return asdict(Histogram(low=low, high=high, counts=tuple(int(n) for n in counts)))
