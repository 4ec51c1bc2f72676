"""Partial shapes: as much of the shape of a computed value as its file tells, to find slices that depend on Shape.

A shape is a tuple of lengths with None for the unknown ones; a small integer vector that is computed from shapes is a
list with None for the unknown elements. Exporters compute the bounds of a Slice or the target of a Reshape from
Shape(x), of which only the batch is really unknown.

`onnx.shape_inference` knows more operators, and with data propagation it gives the whole shape of more values (9,086 of
19,045 in 480 real files, these rules 6,058; neither contradicts the other), as fast. It cannot take their place:
it gives out shapes, not the elements of the vectors that it follows, and the elements are what says which part of a packed
weight a Slice takes (without them the layers of 20 of these files change; with its shapes beside them, those of 4 still do:
two are no longer split into q, k and v, one is only then). It sees the message, not the graph view: no value of an inlined function, nothing
that became a constant on the way, no invariant of a loop. And it serialises the model, which took 3 GiB more for 1.5 GB of
weights in memory and is refused above 2 GiB, in C++ within the process that must survive untrusted files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from initaudit.model.operators import AxisMap

if TYPE_CHECKING:
    from initaudit.model.graph import Node, Value

Dims = tuple[int | None, ...]
Vector = list[int | None]
"""Elements of a 1-D integer tensor, or of a scalar as one element."""

DimsOf = Callable[["Value | None"], "Dims | None"]
VectorOf = Callable[["Value | None"], "Vector | None"]

MAX_VECTOR = 16
"""Longest vector followed: shapes have few axes."""


def dims_of_outputs(node: Node, dims: DimsOf, vector: VectorOf) -> list[Dims | None]:
    """Shapes of the outputs, as far as they follow from those of the inputs; the first output only, but for Split."""
    rule = _RULES.get(node.spec.axis_map)
    return [None] if rule is None else rule(node, dims, vector)


def vector_of_output(node: Node, dims: DimsOf, vector: VectorOf) -> Vector | None:  # noqa: PLR0911  one line an operator
    """Elements of a small integer output that is computed from shapes."""
    op = node.op_type
    if op == "Shape":
        shape = dims(node.input(0))
        return None if shape is None else list(shape[node.attr("start", 0) : node.attr("end", len(shape))])
    if op == "Concat":
        parts = [vector(v) for v in node.inputs]
        joined = [n for part in parts if part is not None for n in part]
        return None if any(p is None for p in parts) or len(joined) > MAX_VECTOR else joined
    data = vector(node.input(0))
    if data is None:
        return None
    if node.spec.only_moves and node.spec.axis_map is not AxisMap.TRANSPOSE:
        return data
    if op == "Gather":
        index = vector(node.input(1))
        return None if index is None or None in index else [data[i] for i in index if i is not None]
    if op == "Slice":
        low, high = (
            vector(node.input(i)) if node.input(i) is not None else node.attr(n)
            for i, n in ((1, "starts"), (2, "ends"))
        )
        step = vector(node.input(4)) if node.input(4) is not None else [1]
        if not low or not high or not step or None in (low[0], high[0], step[0]):
            return None
        return data[low[0] : high[0] : step[0]]
    function = _INTEGER.get(op)
    if function is not None:
        other = vector(node.input(1))
        if other is None or (1 not in (len(data), len(other)) and len(data) != len(other)):
            return None
        count = max(len(data), len(other))
        left, right = (list(v) * (count if len(v) == 1 else 1) for v in (data, other))
        return [None if a is None or b is None else function(a, b) for a, b in zip(left, right, strict=True)]
    return None


def _quotient(a: int, b: int) -> int | None:
    return None if b == 0 else int(a / b) if abs(a) < 1 << 50 else None


_INTEGER: dict[str, Callable[[int, int], int | None]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": _quotient,
    "Mod": lambda a, b: a % b if b else None,
}


def _broadcast(shapes: list[Dims | None]) -> Dims | None:
    if any(s is None for s in shapes):
        return None
    rank = max(len(s) for s in shapes if s is not None)
    result: list[int | None] = []
    for axis in range(-rank, 0):
        lengths = [s[axis] for s in shapes if s is not None and len(s) >= -axis]
        known = [n for n in lengths if n is not None and n != 1]
        result.append(known[0] if known else None if None in lengths else 1)
    return tuple(result)


def _same(node: Node, dims: DimsOf, _: VectorOf) -> list[Dims | None]:
    return [dims(node.input(0))]


def _broadcast_all(node: Node, dims: DimsOf, _: VectorOf) -> list[Dims | None]:
    return [_broadcast([dims(v) for v in node.inputs])]


def _matmul(node: Node, dims: DimsOf, _: VectorOf) -> list[Dims | None]:
    a, b = dims(node.input(0)), dims(node.input(1))
    if node.attributes and any(node.attr(name, 0) for name in ("transA", "transB", "transBatchA", "transBatchB")):
        return [None]  # of FusedMatMul
    if a is None or b is None or len(a) < 2 or len(b) < 2:
        return [None]
    stack = _broadcast([a[:-2], b[:-2]])
    return [None if stack is None else (*stack, a[-2], b[-1])]


def _gemm(node: Node, dims: DimsOf, _: VectorOf) -> list[Dims | None]:
    a, b = dims(node.input(0)), dims(node.input(1))
    rows = a[1 if node.attr("transA", 0) else 0] if a is not None and len(a) == 2 else None
    columns = b[0 if node.attr("transB", 0) else 1] if b is not None and len(b) == 2 else None
    return [(rows, columns)]


def _conv(node: Node, dims: DimsOf, _: VectorOf) -> list[Dims | None]:
    weight, data = dims(node.input(node.spec.weights[0])), dims(node.input(0))
    if weight is None or len(weight) < 3:
        return [None]
    return [(data[0] if data else None, weight[0], *[None] * (len(weight) - 2))]


def _transpose(node: Node, dims: DimsOf, _: VectorOf) -> list[Dims | None]:
    data = dims(node.input(0))
    if data is None:
        return [None]
    perm = node.attr("perm") or list(range(len(data)))[::-1]
    return [tuple(data[p] for p in perm) if len(perm) == len(data) else None]


def _reshape(node: Node, dims: DimsOf, vector: VectorOf) -> list[Dims | None]:
    data, target = dims(node.input(0)), vector(node.input(1)) if node.input(1) is not None else node.attr("shape")
    if target is None:
        return [None]
    shape = list(target)
    if not node.attr("allowzero", 0):
        for axis, n in enumerate(shape):
            if n == 0:
                shape[axis] = data[axis] if data is not None and axis < len(data) else None
    if -1 in shape:
        rest = [n for n in shape if n != -1]
        inferred = None
        if data is not None and None not in data and None not in rest and math.prod(n or 1 for n in rest):
            inferred = math.prod(n or 0 for n in data) // math.prod(n or 1 for n in rest)
        shape[shape.index(-1)] = inferred
    return [tuple(shape)]


def _flatten(node: Node, dims: DimsOf, _: VectorOf) -> list[Dims | None]:
    data, axis = dims(node.input(0)), int(node.attr("axis", 1))
    if data is None:
        return [(None, None)]
    halves = (data[:axis], data[axis:])
    return [tuple(None if None in half else math.prod(n or 0 for n in half) for half in halves)]


def _axes(node: Node, vector: VectorOf) -> Vector | None:
    if node.input(1) is not None:
        return vector(node.input(1))
    axes = node.attr("axes")
    return None if axes is None else list(axes)


def _unsqueeze(node: Node, dims: DimsOf, vector: VectorOf) -> list[Dims | None]:
    data, axes = dims(node.input(0)), _axes(node, vector)
    if data is None or axes is None or None in axes:
        return [None]
    shape: Vector = list(data)
    for axis in sorted((a or 0) % (len(data) + len(axes)) for a in axes):
        shape.insert(axis, 1)
    return [tuple(shape)]


def _squeeze(node: Node, dims: DimsOf, vector: VectorOf) -> list[Dims | None]:
    data, axes = dims(node.input(0)), _axes(node, vector)
    if data is None or axes is None or None in axes or not data:
        return [None]
    gone = {(a or 0) % len(data) for a in axes}
    return [tuple(n for a, n in enumerate(data) if a not in gone)]


def _gather(node: Node, dims: DimsOf, _: VectorOf) -> list[Dims | None]:
    data, index = dims(node.input(0)), dims(node.input(1))
    if data is None or index is None or not data:
        return [None]
    axis = int(node.attr("axis", 0)) % len(data)
    return [(*data[:axis], *index, *data[axis + 1 :])]


def _slice(node: Node, dims: DimsOf, vector: VectorOf) -> list[Dims | None]:
    data = dims(node.input(0))
    if data is None:
        return [None]
    bounds = slice_bounds(node, data, vector)
    if bounds is None:
        return [tuple([None] * len(data))]
    shape = list(data)
    for axis, low, high in bounds:
        shape[axis] = None if low is None or high is None else max(0, high - low)
    return [tuple(shape)]


def slice_bounds(node: Node, data: Dims, vector: VectorOf) -> list[tuple[int, int | None, int | None]] | None:
    """(axis, start, stop) of a Slice, None where unknown; None at all where a step is not 1 or the axes are unknown."""
    inputs = [vector(node.input(i)) if node.input(i) is not None else node.attr(n)
              for i, n in ((1, "starts"), (2, "ends"), (3, "axes"), (4, "steps"))]  # fmt: skip
    starts, ends, axes, steps = inputs
    if starts is None or ends is None or (steps is not None and any(s != 1 for s in steps)):
        return None
    axes = list(range(len(starts))) if axes is None else axes
    if None in axes or len(axes) != len(starts) or len(axes) != len(ends):
        return None
    result: list[tuple[int, int | None, int | None]] = []
    for start, end, raw in zip(starts, ends, axes, strict=True):
        axis = raw % len(data)
        length = data[axis]
        if length is None or start is None or end is None:
            result.append((axis, None, None))
        else:
            result.append((axis, *slice(start, end).indices(length)[:2]))
    return result


def given_sizes(node: Node, vector: VectorOf) -> Vector | None:
    """Sizes that a Split is told: an input, or the attribute of older operator sets; None where it is told none."""
    if node.input(1) is None:
        return node.attr("split")
    return vector(node.input(1)) or [None]


def split_sizes(sizes: Sequence[int | None] | None, length: int, parts: int) -> list[int] | None:
    """Sizes of the `parts` outputs of a Split of an axis of `length`; None where they are unknown or do not add up."""
    if sizes is None:
        chunk = -(-length // parts)
        sizes = [max(0, min(chunk, length - i * chunk)) for i in range(parts)]
    known = [size for size in sizes if size is not None and size >= 0]
    return known if len(known) == len(sizes) and sum(known) == length else None


def _split(node: Node, dims: DimsOf, vector: VectorOf) -> list[Dims | None]:
    data = dims(node.input(0))
    if not data:
        return [None]
    axis = int(node.attr("axis", 0)) % len(data)
    length = data[axis]
    sizes = None if length is None else split_sizes(given_sizes(node, vector), length, len(node.outputs))
    lengths: Vector = [None] * len(node.outputs) if sizes is None else list(sizes)
    return [(*data[:axis], n, *data[axis + 1 :]) for n in lengths]


def _concat(node: Node, dims: DimsOf, _: VectorOf) -> list[Dims | None]:
    shapes = [dims(v) for v in node.inputs]
    first = next((s for s in shapes if s), None)
    if first is None:
        return [None]
    axis = int(node.attr("axis", 1)) % len(first)
    along = [s[axis] if s is not None and len(s) > axis else None for s in shapes]
    total = None if None in along else sum(n or 0 for n in along)
    return [(*first[:axis], total, *first[axis + 1 :])]


def _expand(node: Node, dims: DimsOf, vector: VectorOf) -> list[Dims | None]:
    target = vector(node.input(1))
    return [None if target is None else _broadcast([dims(node.input(0)), tuple(target)])]


def _constant_of_shape(node: Node, _: DimsOf, vector: VectorOf) -> list[Dims | None]:
    target = vector(node.input(0))
    return [None if target is None else tuple(target)]


_RULES: dict[AxisMap | None, Callable[[Node, DimsOf, VectorOf], list[Dims | None]]] = {
    AxisMap.SAME: _same, AxisMap.BROADCAST: _broadcast_all, AxisMap.MATMUL: _matmul, AxisMap.GEMM: _gemm, AxisMap.CONV: _conv,
    AxisMap.TRANSPOSE: _transpose, AxisMap.RESHAPE: _reshape, AxisMap.FLATTEN: _flatten, AxisMap.UNSQUEEZE: _unsqueeze,
    AxisMap.SQUEEZE: _squeeze, AxisMap.GATHER: _gather, AxisMap.SLICE: _slice, AxisMap.SPLIT: _split, AxisMap.CONCAT: _concat,
    AxisMap.EXPAND: _expand, AxisMap.FILL: _constant_of_shape,
}  # fmt: skip
