"""Theory beside measurement: what the weights lead one to expect, and how the signal grows.

Mean-field theory (Poole et al. 2016, eq. 3; Schoenholz et al. 2017, eq. 2): for independent weights, the variance that a
layer gives its output is fan_in E[W^2] times the variance of its input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from initaudit.kind import Kind
from initaudit.measuring.chi import chi_of, measured_chi, weight_gain

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Graph, Value
    from initaudit.probe.signal import Signal
    from initaudit.stats import WeightStats

MIN_LAYERS_FOR_SCALE = 4
"""Points that a depth scale is fitted to. A judgement: a line has two parameters, and the residuals of two more tell whether it
is one."""


def with_theory(graph: Graph, layers: Sequence[LayerAudit], signals: Mapping[str, Signal]) -> tuple[LayerAudit, ...]:
    """The layers with their signals, and in these what needs the weights: prediction, growth, relative gradient."""
    probed = [audit.layer for audit in layers if audit.layer.kind.is_drawn and audit.layer.name in signals]
    before = previous_layers(graph, probed)
    by_name = {audit.layer.name: audit for audit in layers}
    audits = []
    for audit in layers:
        signal = signals.get(audit.layer.name)
        if signal is not None:
            earlier = by_name.get(before.get(audit.layer.name, ""))
            known = signals[earlier.layer.name] if earlier is not None else None
            signal = replace(
                signal,
                predicted_variance=predicted_variance(audit.layer, audit.stats, signal),
                growth=_ratio(signal.variance, known.variance) if known is not None else None,
                chi=None
                if earlier is None or known is None
                else chi_of(earlier.layer, known, audit.layer, audit.stats),
                chi_measured=None if known is None else measured_chi(known, signal),
                weight_gradient_ratio=_ratio(signal.weight_gradient, frobenius(audit.stats)),
            )
        drawn = audit.layer.kind.is_drawn
        audits.append(replace(audit, signal=signal) if drawn else replace(audit, factor_signal=signal))
    return tuple(audits)


def previous_layers(graph: Graph, layers: Sequence[Layer]) -> dict[str, str]:
    """For each layer the nearest one in front of it, the deepest where several paths meet; none for the first ones."""
    own: dict[int, Layer] = {}
    for layer in layers:
        if layer.output is not None:
            own.setdefault(id(layer.output), layer)
    nearest: dict[int, Layer] = {}

    def deepest(values: Sequence[Value | None]) -> Layer | None:
        known = [nearest[id(v)] for v in values if v is not None and id(v) in nearest]
        return max(known, key=lambda layer: layer.depth, default=None)

    for node in graph.nodes:
        found = deepest(node.inputs)
        for value in node.outputs:
            if value is None:
                continue
            last = own.get(id(value), found)
            if last is not None:
                nearest[id(value)] = last
    before = {layer.name: deepest([layer.input]) for layer in layers if layer.input is not None}
    return {name: layer.name for name, layer in before.items() if layer is not None}


def predicted_variance(layer: Layer, stats: WeightStats, signal: Signal) -> float | None:
    """fan_in E[W^2] s_in, with the variance s_in measured at the layer's input; for an embedding E[W^2].

    None where the operator is no plain product, or a normalisation follows before the place of measurement.
    """
    if signal.own is not None:
        return None
    square = stats.std**2 + stats.mean**2
    if layer.kind is Kind.EMBEDDING:
        return _finite(stats.std**2)
    if not layer.kind.is_product or signal.input is None:
        return None
    return _finite(weight_gain(layer, square) * signal.input.variance)


def frobenius(stats: WeightStats) -> float:
    """|W|_F."""
    return math.sqrt(stats.count * (stats.std**2 + stats.mean**2))


def depth_scale(layers: Sequence[LayerAudit]) -> float | None:
    """Layers over which the signal variance falls by a factor e, from a straight line through log s over depth.

    Negative where it grows (then it is the number of layers over which it rises by e). None for few layers, or where s
    is zero or not finite somewhere. From where the variance is lost in rounding on, there is nothing to fit.
    """
    signals = takewhile(lambda signal: signal.variance_resolved, [a.signal for a in layers if a.signal is not None])
    values = [signal.variance for signal in signals]
    if len(values) < MIN_LAYERS_FOR_SCALE or not all(math.isfinite(v) and v > 0 for v in values):
        return None
    slope = float(np.polyfit(np.arange(len(values)), np.log(values), 1)[0])
    return -1.0 / slope if slope else None


def _ratio(part: float | None, whole: float | None) -> float | None:
    if part is None or not whole or not math.isfinite(whole) or not math.isfinite(part):
        return None
    return part / whole


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
