"""What the forward probe says of a layer: the fields of `Signal`, from the values that it brought out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.histogram import Histogram

if TYPE_CHECKING:
    from initaudit.probe.observed import Forward, Observed
    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.signal import Moments

BINS = 40
"""Of a histogram: enough to see a saturated edge, few enough for a thumbnail."""


def summarise(layer: LayerPlan, forward: Forward) -> dict[str, Any] | None:
    """The forward fields of `Signal` for one layer as plain values; None where its values are no floats."""
    here = forward.values[layer.preactivation]
    if here.dtype.kind != "f":
        return None
    z = here.samples[layer.pre_slice]
    moments = here.moments(layer.pre_slice)
    finite = np.isfinite(z)
    level = here.mean_square(layer.pre_slice)
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
            answer[name] = asdict(forward.values[value].moments(part))
    return answer


def departures(
    layers: Iterable[LayerPlan], signals: Mapping[str, Mapping[str, Any]], other: Forward
) -> dict[str, float]:
    """By layer, the root mean square of the pre-activation in `other` over that in `signals`; infinite where only the latter is finite."""
    ratios: dict[str, float] = {}
    for layer in layers:
        usual = signals.get(layer.name, {"mean_square": 0.0, "nonfinite": 0.0})
        if usual["nonfinite"] == 0.0 and 0.0 < usual["mean_square"] < math.inf:
            found = summarise(layer, other) or usual
            finite = found["nonfinite"] == 0.0
            ratios[layer.name] = math.sqrt(found["mean_square"] / usual["mean_square"]) if finite else math.inf
    return ratios


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
