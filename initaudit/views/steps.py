"""Operators of constants that move values without computing: each gives its outputs as operands.

A function here takes the node and its constant inputs and returns one operand per output. ValueError, IndexError and
TypeError mean that the node contradicts itself; the caller turns them into a reason.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from initaudit.model.operators import AxisMap, Values
from initaudit.model.tensors import dtype_name
from initaudit.views.joined import concat
from initaudit.views.operand import Operand, retype
from initaudit.views.quantised import dequantise, quantise
from initaudit.views.shapes import split_sizes

if TYPE_CHECKING:
    from initaudit.model.graph import Node

Inputs = Sequence[Operand | None]
Step = Callable[["Node", Inputs], Sequence[Operand]]


def need(inputs: Inputs, index: int) -> Operand:
    """Input `index`, which the operator requires."""
    operand = inputs[index] if index < len(inputs) else None
    if operand is None:
        raise ValueError(f"input {index} is missing")
    return operand


def _integers(node: Node, inputs: Inputs, name: str, index: int) -> list[int] | None:
    """Integers that older operator sets give as attribute and newer ones as input."""
    if index < len(inputs) and inputs[index] is not None:
        return need(inputs, index).integers()
    value = node.attr(name)
    return None if value is None else [int(v) for v in (value if isinstance(value, list) else [value])]


def _identity(_: Node, inputs: Inputs) -> list[Operand]:
    return [need(inputs, 0)]


def _cast(node: Node, inputs: Inputs) -> list[Operand]:
    dtype = dtype_name(int(node.attr("to")))
    return [retype(need(inputs, 0), dtype, f"cast({dtype})")]


def _cast_like(_: Node, inputs: Inputs) -> list[Operand]:
    dtype = need(inputs, 1).dtype
    return [retype(need(inputs, 0), dtype, f"cast({dtype})")]


def _transpose(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    perm = node.attr("perm") or list(range(data.rank))[::-1]
    if sorted(perm) != list(range(data.rank)):
        raise ValueError(f"perm {perm} does not fit rank {data.rank}")
    return [data.transpose(perm)]


def _reshape(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    target = _integers(node, inputs, "shape", 1)
    if target is None:
        raise ValueError("no target shape")
    keep_zero = bool(node.attr("allowzero", 0))
    shape = [data.shape[i] if n == 0 and not keep_zero else n for i, n in enumerate(target)]
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        shape[shape.index(-1)] = data.size // known if known else 0
    if math.prod(shape) != data.size or min(shape, default=0) < 0:
        raise ValueError(f"cannot reshape {list(data.shape)} to {target}")
    return [data.reshape(shape)]


def _flatten(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    axis = int(node.attr("axis", 1))
    axis = axis + data.rank if axis < 0 else axis
    return [data.reshape((math.prod(data.shape[:axis]), math.prod(data.shape[axis:])))]


def _unsqueeze(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    axes = _integers(node, inputs, "axes", 1) or []
    rank = data.rank + len(axes)
    places = sorted(a % rank for a in axes)
    shape = list(data.shape)
    for place in places:
        shape.insert(place, 1)
    kept = [a for a in range(rank) if a not in places]
    return [_with_unit_axes(data, tuple(shape), kept)]


def _with_unit_axes(data: Operand, shape: tuple[int, ...], kept: list[int]) -> Operand:
    """`data` with further axes of length 1; `kept` says where its own axes went."""

    def further(axis: int, low: int, high: int) -> Operand:
        if axis not in kept:
            raise ValueError("slice of an axis of length 1")
        narrowed = (*shape[:axis], high - low, *shape[axis + 1 :])
        return _with_unit_axes(data.narrow(kept.index(axis), low, high), narrowed, kept)

    if shape == data.shape:
        return data
    added = ",".join(str(a) for a in range(len(shape)) if a not in kept)
    return data.then(f"unsqueeze({added})", shape, lambda a: a.reshape(shape), looks=True, narrowing=further)


def _squeeze(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    axes = _integers(node, inputs, "axes", 1)
    places = {a % data.rank for a in axes} if axes else {a for a, n in enumerate(data.shape) if n == 1}
    for axis in sorted(places, reverse=True):
        if data.shape[axis] != 1:
            raise ValueError(f"cannot squeeze axis {axis} of {list(data.shape)}")
        data = data.drop(axis)
    return [data]


def _slice(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    starts, ends = _integers(node, inputs, "starts", 1) or [], _integers(node, inputs, "ends", 2) or []
    axes = _integers(node, inputs, "axes", 3) or list(range(len(starts)))
    strides = (_integers(node, inputs, "steps", 4) if len(inputs) > 4 else None) or [1] * len(starts)
    for start, end, raw_axis, step in zip(starts, ends, axes, strides, strict=True):
        axis = raw_axis % data.rank
        low, high, stride = slice(start, end if step > 0 or end > -(1 << 31) else None, step).indices(data.shape[axis])
        if stride == 1:
            data = data.narrow(axis, low, max(low, high))
            continue
        index = (slice(None),) * axis + (slice(low, None if high < 0 else high, stride),)
        count = len(range(low, high, stride))
        shape = (*data.shape[:axis], count, *data.shape[axis + 1 :])
        data = data.then(f"slice(axis={axis},step={stride})", shape, partial(_indexed, index), looks=True)
    return [data]


def _indexed(index: tuple[slice, ...], array: np.ndarray) -> np.ndarray:
    return array[index]


def _split(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    axis = int(node.attr("axis", 0)) % data.rank
    sizes = split_sizes(_integers(node, inputs, "split", 1), data.shape[axis], len(node.outputs))
    if sizes is None:
        raise ValueError(f"the parts do not add up to {data.shape[axis]}")
    bounds = np.cumsum([0, *sizes]).tolist()
    return [data.narrow(axis, low, high) for low, high in itertools.pairwise(bounds)]


def _concat(node: Node, inputs: Inputs) -> list[Operand]:
    parts = [need(inputs, i) for i in range(len(inputs))]
    return [concat(parts, int(node.attr("axis", 1)) % parts[0].rank)]


def _expand(_: Node, inputs: Inputs) -> list[Operand]:
    data, target = need(inputs, 0), need(inputs, 1).integers()
    shape = np.broadcast_shapes(data.shape, tuple(target))
    if shape == data.shape:
        return [data]
    label = f"expand({','.join(map(str, shape))})"
    return [data.then(label, shape, lambda a: np.broadcast_to(a, shape), computes=True, looks=True)]


def _tile(_: Node, inputs: Inputs) -> list[Operand]:
    data, repeats = need(inputs, 0), need(inputs, 1).integers()
    shape = [n * r for n, r in zip(data.shape, repeats, strict=True)]
    return [data.then(f"tile({','.join(map(str, repeats))})", shape, lambda a: np.tile(a, repeats), computes=True)]


def _pad(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    pads = _integers(node, inputs, "pads", 1) or []
    axes = need(inputs, 3).integers() if len(inputs) > 3 and inputs[3] is not None else list(range(data.rank))
    if node.attr("mode", "constant") != "constant" or len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise ValueError("only constant padding outwards is seen through")
    fill = inputs[2] if len(inputs) > 2 else None
    widths = [(0, 0)] * data.rank
    for position, axis in enumerate(axes):
        widths[axis % data.rank] = (pads[position], pads[position + len(axes)])
    shape = [n + low + high for n, (low, high) in zip(data.shape, widths, strict=True)]

    def compute(array: np.ndarray) -> np.ndarray:
        value = fill.array().reshape(()) if fill is not None else float(node.attr("value", 0.0))
        return np.pad(array, widths, constant_values=value)

    return [data.then("pad", shape, compute, exact=False, scratch=data.nbytes)]


def _gather(node: Node, inputs: Inputs) -> list[Operand]:
    data, indices = need(inputs, 0), need(inputs, 1)
    axis = int(node.attr("axis", 0)) % data.rank
    length = data.shape[axis]
    if indices.rank == 0:
        index = indices.integers()[0] % length
        return [data.narrow(axis, index, index + 1).drop(axis)]
    shape = (*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])
    return [
        data.then(
            f"gather(axis={axis})",
            shape,
            lambda a: np.take(a, indices.array().astype(np.int64), axis=axis),
            scratch=indices.memory.peak + 8 * indices.size,
        )
    ]


def _dequantise(node: Node, inputs: Inputs) -> list[Operand]:
    zero = inputs[2] if len(inputs) > 2 else None
    return [
        dequantise(
            need(inputs, 0), need(inputs, 1), zero,
            axis=int(node.attr("axis", 1)), block=int(node.attr("block_size", 0)),
        )
    ]  # fmt: skip


def _quantise(node: Node, inputs: Inputs) -> list[Operand]:
    zero = inputs[2] if len(inputs) > 2 else None
    code = int(node.attr("output_dtype", 0))
    dtype = zero.dtype if zero is not None else dtype_name(code) if code else "uint8"
    return [
        quantise(
            need(inputs, 0), need(inputs, 1), zero,
            axis=int(node.attr("axis", 1)), block=int(node.attr("block_size", 0)), dtype=dtype,
        )
    ]  # fmt: skip


MOVES: dict[AxisMap, Step] = {
    AxisMap.SAME: _identity, AxisMap.TRANSPOSE: _transpose, AxisMap.RESHAPE: _reshape, AxisMap.FLATTEN: _flatten,
    AxisMap.UNSQUEEZE: _unsqueeze, AxisMap.SQUEEZE: _squeeze, AxisMap.SLICE: _slice, AxisMap.SPLIT: _split, AxisMap.CONCAT: _concat,
    AxisMap.EXPAND: _expand, AxisMap.TILE: _tile, AxisMap.PAD: _pad, AxisMap.GATHER: _gather,
}  # fmt: skip
CODES: dict[str, Step] = {
    "Cast": _cast, "CastLike": _cast_like, "DequantizeLinear": _dequantise, "QuantizeLinear": _quantise,
}  # fmt: skip
"""Operators that keep each value and change how it is written."""


def step_of(node: Node) -> Step | None:
    """How the operator moves or recodes constants; None where it computes, or is not known."""
    axis_map = node.spec.axis_map
    if node.op_type in CODES or axis_map is None or (axis_map is AxisMap.SAME and node.spec.values is not Values.KEPT):
        return CODES.get(node.op_type)
    return MOVES.get(axis_map)
