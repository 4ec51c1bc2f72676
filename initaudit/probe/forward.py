"""The forward probe: what a batch of inputs looks like at every layer.

The network runs once per input (or per batch, where a file or batch statistics demand one), always with the same
kernels and shapes, and a fixed sample of the elements of each value comes out. The variance over inputs is then taken
per element in float64, after subtracting the mean over inputs, so that it is right down to the rounding of the values
themselves; which axis of a value counts inputs need not be known. Sums of squares and extremes are taken over all
elements, in the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import ProbeError
from initaudit.probe.instrument import PREFIX, GraphEditor, Tap, bounds, tap, tap_options, use_batch_statistics
from initaudit.probe.observed import Forward, Observed
from initaudit.probe.sampling import positions, sample_size
from initaudit.probe.session import open_session, run_session
from initaudit.probe.shapes import inferred_shapes

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto, NodeProto

    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.runs import Runs
    from initaudit.probe.sampling import Part


def observe(
    model: ModelProto,
    folder: Path | None,
    layers: Sequence[LayerPlan],
    runs: Runs,
    *,
    seed: int,
    batch_norms: Iterable[NodeProto] = (),
    extents: Iterable[str] = (),
) -> Forward:
    """Run an instrumented copy of `model` and bring out what `layers` need. Raises ProbeError.

    `model` is changed: call with a copy. `batch_norms` are nodes of it that shall normalise by the batch; `extents` are
    further values whose largest magnitude is wanted.
    """
    editor = GraphEditor(model)
    statistics = use_batch_statistics(editor, batch_norms)
    taps, parts = wanted_taps(layers)
    outputs = {name: tap(editor, wanted) for name, wanted in taps.items()}
    bounds_of = {
        name: (taps[name].name("largest"), taps[name].name("smallest"))
        if "largest" in outputs.get(name, ())
        else bounds(editor, name)
        for name in extents
    }
    known = inferred_shapes(model, {name: array.shape for name, array in runs.feeds[0].items()}, list(taps))
    session = open_session(editor.finish(), folder, tap_options())
    del model, editor
    shapes = _shapes(session, taps, runs.feeds[0]) if known is None else known
    size = sample_size(runs.inputs * len(taps))
    at = {
        name: {
            part: positions(shapes[name], runs.rows, size, part, taps[name].channel_axis, seed) for part in parts[name]
        }
        for name in taps
    }
    fed = {taps[name].name("at"): np.concatenate([p.ravel() for p in at[name].values()]) for name in taps}
    gathered: dict[str, _Gathered] = {name: _Gathered() for name in taps}
    sums: dict[str, list[np.ndarray]] = {name: [] for pair in statistics.values() for name in pair}
    largest = dict.fromkeys(bounds_of, 0.0)
    names = [o.name for o in session.get_outputs() if o.name.startswith(PREFIX)]
    names = [n for n in names if not n.startswith(f"{PREFIX}shape/")]
    for feed in runs.feeds:
        try:
            answer = dict(zip(names, run_session(session, names, {**feed, **fed}), strict=True))
        except ProbeError as error:
            raise _shape_changed(session, taps, feed, shapes) or error from error
        for name, wanted in taps.items():
            gathered[name].add(wanted, answer)
        for name, kept in sums.items():
            kept.append(answer[name])
        for name, ends in bounds_of.items():
            largest[name] = float(np.max([largest[name], *(np.abs(answer[end]).max(initial=0.0) for end in ends)]))
    return Forward(
        values={name: gathered[name].result(shapes[name], at[name]) for name in taps},
        statistics={key: (_mean(sums[mean]), _mean(sums[variance])) for key, (mean, variance) in statistics.items()},
        extents=largest,
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
        """What the runs say together; `at` are the positions that were fed, part by part."""
        samples: dict[Part, np.ndarray] = {}
        start = 0
        for part, wanted in at.items():
            cut = slice(start, start + wanted.size)
            samples[part] = np.concatenate([run[cut].reshape(wanted.shape) for run in self.samples]).astype(np.float64)
            start += wanted.size
        return Observed(
            shape=shape,
            dtype=self.samples[0].dtype,
            samples=samples,
            squares=np.mean(self.squares, axis=0),
            rows=max((wanted.shape[0] for wanted in at.values()), default=1),
            largest=self.largest,
            smallest=self.smallest,
        )


def wanted_taps(layers: Sequence[LayerPlan]) -> tuple[dict[str, Tap], dict[str, list[Part]]]:
    """The taps, one per value, and the parts of the units that somebody asks for."""
    taps: dict[str, Tap] = {}
    parts: dict[str, dict[Part, None]] = {}

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
        parts.setdefault(value, {})[part] = None

    for layer in layers:
        want(layer.output, layer.channel_axis, layer.unit_slice, extremes=False)
        want(layer.preactivation, layer.channel_axis, layer.pre_slice, extremes=bool(layer.flat))
        want(layer.postactivation, layer.channel_axis, layer.pre_slice, extremes=False)
        want(layer.input, None, None, extremes=False)
    return taps, {value: list(wanted) for value, wanted in parts.items()}


def _shape_changed(
    session: Any, taps: Mapping[str, Tap], feed: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> ProbeError | None:
    """The reason of a failed run where some value has another shape than for the first input; None where that is not it."""
    try:
        now = _shapes(session, taps, feed)
    except ProbeError:
        return None
    changed = next((value for value, shape in now.items() if shape != shapes[value]), None)
    if changed is None:
        return None
    return ProbeError(
        f"the shape of {changed!r} depends on the values that are fed: they cannot be compared element by element"
    )


def _shapes(session: Any, taps: Mapping[str, Tap], feed: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Actual shapes, from one run that brings out nothing else."""
    nothing = {wanted.name("at"): np.zeros(0, np.int64) for wanted in taps.values()}
    names = [wanted.name("shape") for wanted in taps.values()]
    answer = run_session(session, names, {**feed, **nothing})
    return {value: tuple(int(n) for n in shape) for value, shape in zip(taps, answer, strict=True)}
