"""Layers that compute where a deformable convolution reads: they start at zero, so that its taps start on their grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.activations.trace import trace_from

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Node, Value

HALF_PIXEL = 0.5
"""Root mean square of the offsets, in pixels, from which the taps read at random: half a pixel further the nearest one is another."""


def moves_taps(layer: LayerAudit) -> bool:
    """Whether the output is the offsets of a deformable convolution (Dai et al. 2017, section 2.1: zero at the start)."""
    output = layer.layer.output
    return output is not None and any(_offsets(end.node) is end.value for end in trace_from(output).endings if end.node)


def shift(layer: LayerAudit) -> float:
    """Root mean square of the offsets in pixels, as measured, else for inputs of unit size."""
    if layer.signal is not None and math.isfinite(layer.signal.mean_square):
        return math.sqrt(layer.signal.mean_square)
    return math.sqrt(layer.layer.fan_in * (layer.stats.std**2 + layer.stats.mean**2))


def _offsets(node: Node) -> Value | None:
    """The operand of a deformable convolution that moves its taps; None for other operators."""
    if "DeformConv" in node.op_type:
        return node.input(2 if node.is_standard else 1)
    return None
