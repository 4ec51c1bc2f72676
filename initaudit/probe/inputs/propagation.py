"""How a value from a graph input passes each operator: which axes stay axes, and what is demanded of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.model.operators import AxisMap, Values
from initaudit.model.remembered import once_in_graph
from initaudit.probe.inputs.layer_propagation import (
    BY_SIGNATURE,
    channel_norm,
    conv,
    gemm,
    product,
    recurrent,
    trailing_norm,
)
from initaudit.probe.inputs.walk import Step, Visit, axes_argument, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from initaudit.model.graph import Node

LEAST_CLASSES = 3
"""Numbers 0, 1, 2, ... that ids are compared with for these to be classes. A judgement: 0 and 1 alone may be flags or paddings."""


def pass_through(at: Visit) -> Iterable[Step]:
    """Where the value goes from here."""
    spec = at.node.spec
    if at.position in spec.weights and at.raw and at.axes is not None:
        at.facts.roles.add("weight")
        return ()
    rule = BY_OPERATOR.get(at.node.op_type) or BY_NORM.get(spec.norm) or BY_AXIS_MAP.get(spec.axis_map)
    if rule is not None:
        return rule(at)
    return _into_body(at) if at.node.subgraphs else ()


def _same(at: Visit) -> Iterable[Step]:
    """The input's own values can still be told where they are kept, cut or negated as truth values."""
    if at.position != 0:
        return ()
    kept = at.node.spec.values is Values.KEPT or at.node.op_type in ("DequantizeLinear", "Not", "Clip")
    return at.out(at.axes, at.offset if kept else None)


def _broadcast(at: Visit) -> Iterable[Step]:
    operator = at.node.op_type
    axes = at.axes
    for shape in _constant_shapes(at.node):
        if at.axes is None or axes is None:
            break
        for back in range(1, min(len(at.axes), len(shape)) + 1):
            if shape[-back] != 1:
                at.facts.demand(at.axes[-back], shape[-back])
        axes = (None,) * (len(shape) - len(axes)) + axes
    if operator == "Where" and at.position == 0:
        at.facts.roles.add("mask")
    if operator == "Equal" and at.offset is not None:
        compared = numbers(at.node.input(1 - at.position))
        if compared.size >= LEAST_CLASSES and np.array_equal(np.unique(compared), np.arange(compared.size)):
            at.facts.index(compared.size - at.offset)  # one of so many classes
        else:
            at.facts.equals += [float(v) - at.offset for v in compared[:8]]
    return at.out(axes, _offset_behind(at))


@once_in_graph
def _constant_shapes(node: Node) -> tuple[tuple[int, ...], ...]:
    """Shapes of the stored operands, each once."""
    return tuple(dict.fromkeys(v.tensor.shape for v in node.inputs if v is not None and v.tensor is not None))


def _offset_behind(at: Visit) -> int | None:
    """What has been added to the input's own values behind an elementwise operator."""
    operator = at.node.op_type
    if at.offset is None:
        return None
    if operator in ("Add", "Sub") and not (operator == "Sub" and at.position == 1):
        added = numbers(at.node.input(1 - at.position))
        if len(added) == 1 and float(added[0]).is_integer():
            return at.offset + int(added[0]) * (1 if operator == "Add" else -1)
    chosen = operator in ("Where", "Max", "Min") and at.position > 0
    masked = at.facts.integer and operator in ("Add", "Mul") and not _constant_shapes(at.node)
    return at.offset if chosen or masked else None


def _transpose(at: Visit) -> Iterable[Step]:
    if at.axes is None:
        return at.out(None, at.offset)
    order = at.node.attr("perm") or list(range(len(at.axes)))[::-1]
    return at.out(tuple(at.axes[i] for i in order) if len(order) == len(at.axes) else None, at.offset)


def _unsqueeze(at: Visit) -> Iterable[Step]:
    places = axes_argument(at.node)
    if at.position != 0:
        return ()
    if at.axes is None or places is None:
        return at.out(None, at.offset)
    rank = len(at.axes) + len(places)
    new = {p % rank for p in places}
    old = iter(at.axes)
    return at.out(tuple(None if i in new else next(old, None) for i in range(rank)), at.offset)


def _squeeze(at: Visit) -> Iterable[Step]:
    places = axes_argument(at.node)
    if at.position != 0:
        return ()
    if at.axes is None or places is None:
        return at.out(None, at.offset)
    gone = {p % len(at.axes) for p in places}
    for place in gone:
        at.facts.demand(at.axes[place], 1)
    return at.out(tuple(a for i, a in enumerate(at.axes) if i not in gone), at.offset)


def _reshape(at: Visit) -> Iterable[Step]:
    """A leading 0 or -1 usually keeps the leading axis; the other axes are lost."""
    if at.position != 0:
        return ()
    if at.node.spec.axis_map is AxisMap.FLATTEN:
        return at.out((at.axes[0], None) if at.axes and at.node.attr("axis", 1) == 1 else None, at.offset)
    target = [int(t) for t in at.node.attr("shape") or numbers(at.node.input(1)).tolist()]
    if at.axes is None or not target:
        return at.out(None, at.offset)
    leading = next((i for i, t in enumerate(target) if t not in (0, -1)), len(target))
    return at.out(tuple(at.axes[i] if i < min(leading, len(at.axes)) else None for i in range(len(target))), at.offset)


def _gather(at: Visit) -> Iterable[Step]:
    axis = int(at.node.attr("axis", 0))
    if at.position == 1:
        shape = at.shape(0)
        if shape is None or not -len(shape) <= axis < len(shape):
            return at.out(None)
        axis %= len(shape)
        if at.offset is not None:
            at.facts.index(max(1, shape[axis] - max(0, at.offset)))
        return at.out(None if at.axes is None else (None,) * axis + at.axes + (None,) * (len(shape) - axis - 1))
    if not at.axes:
        return ()
    axis %= len(at.axes)
    chosen = numbers(at.node.input(1))
    if chosen.size:
        at.facts.at_least(at.axes[axis], int(max(chosen.max() + 1, -chosen.min())))
    shape = at.shape(1)
    if shape is None:
        return ()
    return at.out(at.axes[:axis] + (None,) * len(shape) + at.axes[axis + 1 :], at.offset)


def _concat(at: Visit) -> Iterable[Step]:
    if not at.axes:
        return at.out(at.axes, at.offset)
    axis = int(at.node.attr("axis", 0)) % len(at.axes)
    for shape in _constant_shapes(at.node):
        if len(shape) == len(at.axes):
            for place, size in enumerate(shape):
                if place != axis:
                    at.facts.demand(at.axes[place], size)
    return at.out(tuple(None if i == axis else a for i, a in enumerate(at.axes)), at.offset)


def _partial(at: Visit) -> Iterable[Step]:
    """Slice, Pad, Split, Tile, Expand: the axes that they may change are no longer the input's."""
    if at.position != 0:
        return ()
    places: list[int] | None = None
    if at.node.spec.axis_map is AxisMap.SPLIT:
        places = [int(at.node.attr("axis", 0))]
    elif at.node.spec.axis_map is AxisMap.SLICE:
        given = at.node.attr("axes") or numbers(at.node.input(3)).tolist()
        places = [int(p) for p in given] or None
    axes = at.axes
    if axes is not None:
        changed = set(range(len(axes))) if places is None else {p % len(axes) for p in places}
        axes = tuple(None if i in changed else a for i, a in enumerate(axes))
    return [Step(output, axes, at.offset) for output in at.node.outputs if output is not None]


def _count(at: Visit) -> Iterable[Step]:
    """Operators whose operand is a number of something, or an index."""
    if at.node.op_type == "OneHot" and at.position == 0:
        depth = numbers(at.node.input(1))
        if depth.size and at.raw:
            at.facts.index(int(depth[0]))
    elif at.position > 0 or at.node.op_type in ("Range", "ConstantOfShape"):
        at.facts.roles.add("count")
    return ()


def _into_body(at: Visit) -> Iterable[Step]:
    """Into the body of Loop (trip count, condition, carried ...) or Scan (states ..., scanned ...)."""
    operator = at.node.op_type
    if operator == "If" or (operator == "Loop" and at.position == 1):
        at.facts.roles.add("condition")
        return ()
    if operator == "Loop" and at.position == 0:
        at.facts.roles.add("count")
        return ()
    body = at.node.subgraphs.get("body")
    if body is None or at.position >= len(body.inputs):
        return ()
    axes = at.axes
    if operator == "Scan" and axes and at.position >= len(body.inputs) - int(at.node.attr("num_scan_inputs", 0)):
        at.facts.mark(axes[0], "time")
        axes = axes[1:]
    return [Step(body.inputs[at.position], axes, at.offset)]


BY_OPERATOR: dict[str, Callable[[Visit], Iterable[Step]]] = {
    **BY_SIGNATURE, "OneHot": _count, "TopK": _count, "Range": _count, "ConstantOfShape": _count,
}  # fmt: skip
"""Operators with inputs of many meanings."""
BY_NORM: dict[str | None, Callable[[Visit], Iterable[Step]]] = {
    "batch_norm": channel_norm, "instance_norm": channel_norm, "group_norm": channel_norm, "layer_norm": trailing_norm,
    "rms_norm": trailing_norm,
}  # fmt: skip
BY_AXIS_MAP: dict[AxisMap | None, Callable[[Visit], Iterable[Step]]] = {
    AxisMap.SAME: _same, AxisMap.BROADCAST: _broadcast, AxisMap.TRANSPOSE: _transpose, AxisMap.UNSQUEEZE: _unsqueeze,
    AxisMap.SQUEEZE: _squeeze, AxisMap.RESHAPE: _reshape, AxisMap.FLATTEN: _reshape, AxisMap.GATHER: _gather,
    AxisMap.CONCAT: _concat, AxisMap.SLICE: _partial, AxisMap.PAD: _partial, AxisMap.SPLIT: _partial, AxisMap.TILE: _partial,
    AxisMap.EXPAND: _partial, AxisMap.CONV: conv, AxisMap.CONV_TRANSPOSE: conv, AxisMap.MATMUL: product, AxisMap.GEMM: gemm,
    AxisMap.RECURRENT: recurrent,
}  # fmt: skip
