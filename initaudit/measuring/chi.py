"""chi: by how much the squared gradient changes from one layer to the one before it, as theory has it and as measured.

chi = a^2 E[phi'(z)^2] with a^2 = fan_in E[W^2] (Schoenholz et al. 2017, eq. 5): 1 at the edge of chaos, where a network can be as deep as one
likes; below it gradients vanish and inputs become alike, above it gradients explode.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from initaudit.initialisation.gains import moments
from initaudit.kind import Kind

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.model.graph import Value
    from initaudit.probe.signal import Signal
    from initaudit.stats import WeightStats


def weight_gain(layer: Layer, square: float) -> float:
    """a^2: products in each output times the mean square of a weight. Each output of a transposed convolution sums over fan_in / prod(stride)."""
    paths: float = layer.fan_in
    if layer.kind is Kind.CONV_TRANSPOSE:
        paths /= math.prod(layer.node.attr("strides", [1]))
    return paths * square


def chi_of(before: Layer, signal: Signal, layer: Layer, stats: WeightStats) -> float | None:
    """chi of a layer that reads the activation of `before`, at the mean square of the pre-activation that `signal` has measured there.

    None where something other than an activation with a name stands between the two, or the layer is no plain product.
    """
    source = before.postactivation if before.activation is not None else before.output
    if not layer.kind.is_product or signal.own is not None or not _is_moved(layer.input, source):
        return None
    slope = _slope_square(
        before.activation, tuple(sorted(before.activation_params.items())), _rounded(signal.mean_square)
    )
    return None if slope is None else weight_gain(layer, stats.std**2 + stats.mean**2) * slope


def measured_chi(before: Signal, signal: Signal) -> float | None:
    """Squared gradient at all outputs of the layer before, over that at all outputs of this one; None where one was not resolved."""
    squares = [(s.gradient_rms or 0.0) ** 2 * (s.elements or 0) for s in (before, signal) if s.gradient_resolved]
    if len(squares) < 2 or not all(square > 0 and math.isfinite(square) for square in squares):
        return None
    return squares[0] / squares[1]


def _is_moved(value: Value | None, source: Value | None) -> bool:
    """Whether `value` is `source`, in another shape or order at most."""
    while value is not None and value is not source:
        node = value.producer
        value = node.inputs[0] if node is not None and node.spec.only_moves else None
    return value is not None


def _rounded(level: float) -> float:
    """To two digits: half a per cent of the mean square, of which layers in a row then share few values."""
    return float(f"{level:.1e}")


@lru_cache(maxsize=1024)
def _slope_square(activation: str | None, parameters: tuple[tuple[str, float], ...], level: float) -> float | None:
    """E[phi'(z)^2] for z ~ N(0, level)."""
    from initaudit.activations.named import closed_form

    if activation is None:
        return 1.0
    phi = closed_form(activation, dict(parameters)) if activation != "custom" and math.isfinite(level) else None
    return None if phi is None else moments(phi, 0.0, level).derivative_second_moment
