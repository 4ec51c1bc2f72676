"""Biases that take the mean of the input out: one constant, less that mean times the sum of each unit's weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.kind import Kind

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer

FEWEST: Final = 4
"""Units from which a straight line through all of them is no accident. A judgement: two lie on one always."""
ROUNDING: Final = {"float16": 2e-2, "bfloat16": 1e-1}
"""Root mean square distance from the line, in std of the bias, that storing weights and biases leaves: a few digits of the sum of many."""
EXACT: Final = 1e-3
"""The same in float32. A judgement: rounding leaves 1e-6, and values that follow no line leave 1."""


def removed_mean(layer: Layer) -> float | None:
    """The mean of an input that comes through the layer as nothing but one constant in all units; None where its bias says nothing of the kind."""
    bias = layer.bias
    if bias is None or not bias.is_floating or not layer.kind.is_product or layer.weight.part is not None:
        return None
    values = np.array(bias.array(), np.float64).reshape(-1)
    values = values if layer.bias_slice is None else values[slice(*layer.bias_slice)]
    stride = math.prod(layer.node.attr("strides") or [1]) if layer.kind is Kind.CONV_TRANSPOSE else 1
    weights = np.array(layer.weight.array(), np.float64)
    sums = weights.sum(axis=layer.weight.input_axes).reshape(-1) / stride
    if values.size != sums.size or values.size < FEWEST or not (sums.std() > 0 and values.std() > 0):
        return None
    slope, constant = np.polyfit(sums, values, 1)
    distance = math.sqrt(float(np.mean((values - slope * sums - constant) ** 2)))
    return -float(slope) if distance <= ROUNDING.get(bias.dtype, EXACT) * values.std() else None
