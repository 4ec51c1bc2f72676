"""Which operands of products and lookups are evidently no learned weights, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.activations.angles import goes_to_sine_and_cosine
from initaudit.errors import InitauditError
from initaudit.kind import Kind
from initaudit.model.operators import Use
from initaudit.ops import decoys

if TYPE_CHECKING:
    from initaudit.model.graph import Value
    from initaudit.op import LayerSpec

_CHECKED = frozenset({Kind.LINEAR, Kind.CONV, Kind.GROUPED_CONV, Kind.DEPTHWISE_CONV, Kind.EINSUM, Kind.EMBEDDING})

_LEARNING = (Use.PRODUCT, Use.RECURRENT, Use.ATTENTION)

MAX_BEFORE = 64
"""Operators between the model's inputs and fixed frequencies; positions take about twenty to compute."""


def untrainable_reason(spec: LayerSpec) -> str | None:  # noqa: PLR0911  one line a reason
    """Why nobody learned this constant, or None. Reads a few values of a weight, and all of it only where these are odd."""
    if spec.untrainable is not None or spec.kind not in _CHECKED:
        return spec.untrainable
    angles = spec.kind in (Kind.LINEAR, Kind.EINSUM) and not spec.auxiliary and goes_to_sine_and_cosine(spec.output)
    if angles and _is_before_any_layer(spec.input):
        return "frequencies of sines and cosines (Fourier features or rotary angles)"
    operand = spec.operand
    if not operand.exact or operand.size > decoys.MAX_READ or operand.size < 2:
        return None
    if operand.tensors[0].origin == "generated":
        return None
    try:
        values = operand.array()
        if spec.kind is Kind.EMBEDDING:
            return _table_reason(spec, values)
        few = decoys.sample(values)
        whole_or_positive = few.size and (few.min() >= 0 or bool((few == np.rint(few)).all()))
        if whole_or_positive and decoys.is_geometric(values):
            return "geometric progression: frequencies of a position encoding"
        if whole_or_positive and decoys.is_selection(values):
            return "zeros and ones: it selects, counts or connects"
        matrix = values.swapaxes(0, spec.unit_axes[0]) if len(spec.unit_axes) == 1 else values
        if whole_or_positive and values.ndim == 2 and decoys.is_adjacency(values):
            return "symmetric, non-negative and sparse: the adjacency matrix of a graph"
        if spec.auxiliary:  # a fixed basis has no bias
            return None
        if (values.ndim == 2 or spec.fan_in == values.shape[-1]) and decoys.is_fourier_basis(
            matrix.reshape(matrix.shape[0], -1)
        ):
            return "windowed sines and cosines: the basis of a Fourier transform"
    except InitauditError:
        return None
    return None


def _is_before_any_layer(value: Value | None) -> bool:
    """Whether a value comes from the model's inputs without a product, a norm or a lookup: positions, times, coordinates.

    A vocoder's predicted phase goes into sine and cosine too; there are layers before it.
    """
    front, seen = [value], set[int]()
    while front:
        at = front.pop()
        node = at.producer if at is not None else None
        if node is None or id(node) in seen or node.spec.use is Use.SHAPE:
            continue
        if node.spec.use in _LEARNING or node.spec.norm or len(seen) >= MAX_BEFORE:
            return False
        seen.add(id(node))
        front.extend(node.inputs)
    return True


def _table_reason(spec: LayerSpec, values: np.ndarray) -> str | None:
    table = np.moveaxis(values, spec.input_axes[0], 0)
    table = table.reshape(table.shape[0], -1)
    if decoys.is_sinusoidal(table):
        return "table of sines and cosines"
    if decoys.is_mask(table):
        return "mask of zeros and minus infinity"
    return "table of zeros and ones" if decoys.is_selection(table) else None
