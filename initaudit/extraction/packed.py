"""Packed weights: one product whose output the graph takes apart (queries, keys and values; gates), seen as its parts.

The output is followed through reshapes and transposes, keeping account of which axes count units and with what stride,
to where every consumer takes a different piece of it. The pieces must be all of it, once each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initaudit.model.operators import AxisMap, Use
from initaudit.views.shapes import given_sizes, slice_bounds, split_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.op import AuxiliaryConstant, LayerSpec
    from initaudit.views import Constants, Operand

MAX_PARTS = 8
"""Most parts of one product; more are heads or columns of a table, not layers of their own."""

MAX_WALK = 12
"""Operators between the product and the place where it is taken apart: bias, reshape, unsqueeze, transpose, squeeze, ..."""

INTERLEAVED_PARTS = 3
"""Inside a head only a split in three is one of packed weights (q, k, v); in two it is a rotary embedding of part of the head."""


MIN_GATES = 2
"""Sigmoids behind the pieces of a sum that make it the inside of a recurrent cell: a GRU has two, an LSTM three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """An axis that counts units: the unit is the sum of index · stride over all such axes."""

    size: int
    stride: int


Layout = tuple[Factor | None, ...]
"""Per axis of a value: the factor of the unit it counts, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one consumer takes: [start, stop) of a factor."""

    value: Value
    factor: Factor
    start: int
    stop: int
    layout: Layout


def pieces(spec: LayerSpec, constants: Constants) -> list[Piece]:
    """The pieces that the graph takes the output of a layer apart into, in order; empty where it does not."""
    dims = constants.dims(spec.output)
    if spec.output is None or not dims or spec.channel_axis is None or len(spec.unit_axes) != 1 or spec.groups != 1:
        return []
    axis = spec.channel_axis % len(dims)
    value, layout = (
        spec.output,
        tuple(Factor(size=spec.units, stride=1) if a == axis else None for a in range(len(dims))),
    )
    summed = False
    for _ in range(MAX_WALK):
        uses = [(n, p) for n, p in value.consumers if n.spec.use is not Use.SHAPE]
        if value.is_output or not uses:
            return []
        if len(uses) > 1 or uses[0][0].spec.axis_map is AxisMap.SPLIT:
            taken = [list(_taken(node, place, layout, constants)) for node, place in uses]
            found = _partition([p for pieces_of in taken for p in pieces_of], spec.units) if all(taken) else []
            return found if not summed or _are_gates(found) else []
        node = uses[0][0]
        moved = _moved(node, layout, constants)
        if moved is None and node.op_type == "Add" and not summed:  # the recurrent part is added before the gates part
            moved, summed = layout, True
        if moved is None or not node.outputs or node.outputs[0] is None:
            return []
        value, layout = node.outputs[0], moved
    return []


def _are_gates(found: list[Piece]) -> bool:
    """Whether the pieces are the gates of a recurrent cell written out: at least two go through a sigmoid."""
    return sum(any(n.op_type == "Sigmoid" for n, _ in piece.value.consumers) for piece in found) >= MIN_GATES


def _taken(node: Node, place: int, layout: Layout, constants: Constants) -> Iterator[Piece]:
    """What a node takes of a value; nothing where that is not one piece of one factor: then the layer stays whole."""
    rank = len(layout)
    if place != 0:
        return
    taking = node.spec.axis_map
    if taking is AxisMap.SPLIT:
        axis = int(node.attr("axis", 0)) % rank
        factor = layout[axis]
        sizes = (
            split_sizes(given_sizes(node, constants.vector), factor.size, len(node.outputs))
            if factor is not None
            else None
        )
        if factor is None or sizes is None:
            return
        start = 0
        for output, size in zip(node.outputs, sizes, strict=False):
            if output is not None:
                yield Piece(value=output, factor=factor, start=start, stop=start + size, layout=layout)
            start += size
    elif taking is AxisMap.SLICE:
        dims = tuple(f.size if f is not None else None for f in layout)
        bounds = slice_bounds(node, dims, constants.vector)
        if bounds is None or len(bounds) != 1 or node.outputs[0] is None:
            return
        axis, low, high = bounds[0]
        factor = layout[axis]
        if factor is not None and low is not None and high is not None:
            yield Piece(value=node.outputs[0], factor=factor, start=low, stop=high, layout=layout)
    elif taking is AxisMap.GATHER:
        axis = int(node.attr("axis", 0)) % rank
        index, factor = constants.get(node.input(1)), layout[axis]
        if index is None or index.rank != 0 or factor is None or node.outputs[0] is None:
            return
        at = index.integers()[0] % factor.size
        rest = (*layout[:axis], *layout[axis + 1 :])
        yield Piece(value=node.outputs[0], factor=factor, start=at, stop=at + 1, layout=rest)


def _partition(found: list[Piece], units: int) -> list[Piece]:
    """The pieces in order, if they are one factor's, disjoint and together all of it."""
    found = sorted(found, key=lambda p: p.start)
    if not 2 <= len(found) <= MAX_PARTS:
        return []
    factor = found[0].factor
    ends = [0, *(p.stop for p in found)]
    whole = all(p.factor == factor for p in found) and [p.start for p in found] == ends[:-1] and ends[-1] == factor.size
    outermost = factor.size * factor.stride == units
    equal = len(found) == INTERLEAVED_PARTS and len({p.stop - p.start for p in found}) == 1
    return found if whole and (outermost or equal) else []


def _moved(node: Node, layout: Layout, constants: Constants) -> Layout | None:  # noqa: PLR0911  one line a move
    """Layout behind a node that only moves the value or adds a constant; None behind any other."""
    if node.op_type == "Add" and any(constants.get(v) is not None for v in node.inputs):
        return layout
    if not node.spec.only_moves:
        return None
    move = node.spec.axis_map
    if move is AxisMap.SAME:
        return layout
    if move is AxisMap.TRANSPOSE:
        perm = node.attr("perm") or list(range(len(layout)))[::-1]
        return tuple(layout[p] for p in perm) if len(perm) == len(layout) else None
    if move in (AxisMap.RESHAPE, AxisMap.FLATTEN):
        target = constants.dims(node.outputs[0]) if node.outputs else None
        return None if target is None else _reshaped(layout, target)
    if move in (AxisMap.UNSQUEEZE, AxisMap.SQUEEZE):
        axes = constants.vector(node.input(1)) if node.input(1) is not None else node.attr("axes")
        if axes is None or None in axes:
            return None
        places = [int(a or 0) for a in axes]
        if move is AxisMap.SQUEEZE:
            gone = {a % len(layout) for a in places}
            return (
                None
                if any(layout[a] is not None for a in gone)
                else tuple(f for a, f in enumerate(layout) if a not in gone)
            )
        result = list(layout)
        for axis in sorted(a % (len(layout) + len(places)) for a in places):
            result.insert(axis, None)
        return tuple(result)
    return None


def _reshaped(layout: Layout, target: tuple[int | None, ...]) -> Layout | None:
    """Layout after a reshape, where the units are the last axes and stay the last axes."""
    factors = [f for f in layout if f is not None]
    count = len(factors)
    if any(f is not None for f in layout[: len(layout) - count]):
        return None
    strides = [math.prod(f.size for f in factors[i + 1 :]) for i in range(count)]
    if [f.stride for f in factors] != strides:
        return None
    units = math.prod(f.size for f in factors)
    tail = _tail(target, units, len(layout) - count)
    if tail is None:
        return None
    made = [Factor(size=n, stride=math.prod(tail[i + 1 :])) for i, n in enumerate(tail)]
    return (*[None] * (len(target) - len(tail)), *made)


def _tail(target: tuple[int | None, ...], units: int, before: int) -> list[int] | None:
    """Last lengths of `target` whose product is `units`; one unknown length follows if the axes before keep their number."""
    for start in range(len(target) - 1, -1, -1):
        lengths = target[start:]
        if None in lengths:
            break
        if math.prod(n or 0 for n in lengths) == units:
            return [n or 0 for n in lengths]
    rest = target[before:]
    known = math.prod(n for n in rest if n is not None)
    if rest.count(None) == 1 and known and units % known == 0:
        return [units // known if n is None else n for n in rest]
    return None


def part_specs(spec: LayerSpec, found: list[Piece], names: list[str]) -> list[LayerSpec]:
    """One spec per piece, with its own slice of the weight and of the bias."""
    (axis,) = spec.unit_axes
    specs = []
    for piece, name in zip(found, names, strict=True):
        size = (piece.stop - piece.start) * spec.units // piece.factor.size
        operand, axes = _piece_of(spec.operand, axis, piece)
        left = [a for a, f in enumerate(piece.layout) if f is not None]
        specs.append(
            replace(
                spec,
                operand=operand,
                part=name,
                unit_axes=axes,
                input_axes=tuple(a if a < axis else a + len(axes) - 1 for a in spec.input_axes),
                fan_out=spec.fan_out // spec.units * size,
                output=piece.value,
                channel_axis=left[0] - len(piece.layout) if len(left) == 1 else None,
                auxiliary=tuple(_companion_part(c, piece, spec.units) for c in spec.auxiliary),
            )
        )
    return specs


def _piece_of(operand: Operand, axis: int, piece: Piece) -> tuple[Operand, tuple[int, ...]]:
    """The slice of `operand` along its unit axis, and the axes that count units then."""
    factor = piece.factor
    outer = operand.shape[axis] // (factor.size * factor.stride)
    if outer == 1:
        return operand.narrow(axis, piece.start * factor.stride, piece.stop * factor.stride), (axis,)
    split = (*operand.shape[:axis], outer, factor.size, factor.stride, *operand.shape[axis + 1 :])
    return operand.reshape(split).narrow(axis + 1, piece.start, piece.stop), (axis, axis + 1, axis + 2)


def _companion_part(constant: AuxiliaryConstant, piece: Piece, units: int) -> AuxiliaryConstant:
    if constant.role != "bias" or constant.operand.size != units or constant.span is not None:
        return constant
    factor = piece.factor
    if factor.size * factor.stride == units:
        return replace(constant, span=(piece.start * factor.stride, piece.stop * factor.stride))
    vector = constant.operand.reshape((units,))
    return replace(constant, operand=_piece_of(vector, 0, piece)[0])
