"""How a value passes each operator on the way from a graph input: which axes stay axes, and what is demanded of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from initaudit.errors import InitauditError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from initaudit.graph import Node, Value
    from initaudit.probe.inputs.facts import Facts

Axes: TypeAlias = tuple[int | None, ...] | None
"""For each axis of a value the axis of the input that it is; None where it is none, or where nothing is known."""


class Step(NamedTuple):
    """A value on the way."""

    value: Value
    axes: Axes
    offset: int | None
    """What was added to the input's own values; None once they are no longer the input's."""


class Arrival(NamedTuple):
    """A value arrives at an operator."""

    node: Node
    position: int
    """Which input of the operator it is."""
    axes: Axes
    offset: int | None
    facts: Facts

    @property
    def raw(self) -> bool:
        """Whether the values are still those of the input."""
        return self.offset is not None

    def shape(self, position: int) -> tuple[int, ...] | None:
        """Static shape of another input of the operator."""
        return static_shape(self.node.input(position))

    def out(self, axes: Axes, offset: int | None = None) -> Iterator[Step]:
        """On to the first output."""
        if self.node.outputs and self.node.outputs[0] is not None:
            yield Step(self.node.outputs[0], axes, offset)


LAYOUT_KEPT = frozenset((
    "Identity", "Cast", "CastLike", "Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Sigmoid", "HardSigmoid",
    "HardSwish", "Mish", "Swish", "Tanh", "Softplus", "Softsign", "Sin", "Cos", "Exp", "Log", "Sqrt", "Abs", "Neg",
    "Sign", "Floor", "Ceil", "Round", "Erf", "Reciprocal", "Clip", "Dropout", "QuantizeLinear", "DequantizeLinear",
    "DynamicQuantizeLinear", "Softmax", "LogSoftmax", "Not", "IsNaN", "CumSum", "LpNormalization", "FastGelu",
    "QuickGelu", "BiasGelu", "BitwiseNot", "Bernoulli", "Trilu",
))  # fmt: skip
"""Operators whose first output has the layout of their first input."""
VALUES_KEPT = frozenset(("Identity", "Cast", "CastLike", "Dropout", "Not", "Clip", "DequantizeLinear"))
"""Of these, the ones after which the input's own values can still be told."""
BROADCAST = frozenset((
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "Sum", "Mean", "Where", "Equal", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "PRelu", "BitShift", "BitwiseAnd", "BitwiseOr",
    "BitwiseXor",
))  # fmt: skip
WEIGHT_SLOTS: dict[str, tuple[int, ...]] = {
    "Conv": (1,), "ConvTranspose": (1,), "FusedConv": (1,), "Gemm": (1,), "FusedGemm": (1,), "LSTM": (1, 2, 3),
    "GRU": (1, 2, 3), "RNN": (1, 2, 3), "BatchNormalization": (1, 2, 3, 4), "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2), "Attention": (1, 2), "QLinearConv": (3,), "ConvInteger": (1,), "DeformConv": (1,),
}  # fmt: skip
"""Inputs of operators that hold nothing but weights."""
SMALL_CONSTANT = 1 << 16
"""Elements of a constant whose values are looked at: shapes, axes, indices."""


def pass_through(at: Arrival) -> Iterable[Step]:
    """Where the value goes from here."""
    operator = at.node.op_type
    weight = at.position in WEIGHT_SLOTS.get(operator, ()) and (
        operator != "Attention" or at.node.domain == "com.microsoft"  # the standard one has no weights
    )
    if weight and at.raw and at.axes is not None:
        at.facts.roles.add("weight")
        return ()
    if operator in PASSAGES:
        return PASSAGES[operator](at)
    if operator in LAYOUT_KEPT and at.position == 0:
        return at.out(at.axes, at.offset if operator in VALUES_KEPT else None)
    if operator in BROADCAST:
        return _broadcast(at)
    return _into_body(at) if at.node.subgraphs else ()


def _broadcast(at: Arrival) -> Iterable[Step]:
    operator = at.node.op_type
    others = [v for i, v in enumerate(at.node.inputs) if i != at.position and v is not None]
    axes = at.axes
    for other in others:
        shape = static_shape(other)
        if at.axes is None or axes is None or shape is None or other.tensor is None:
            continue
        for back in range(1, min(len(at.axes), len(shape)) + 1):
            if shape[-back] != 1:
                at.facts.demand(at.axes[-back], shape[-back])
        axes = (None,) * (len(shape) - len(axes)) + axes
    if operator == "Where" and at.position == 0:
        at.facts.roles.add("mask")
    if operator == "Equal" and at.offset is not None:
        at.facts.equals += [float(v) - at.offset for other in others for v in _numbers(other)[:8]]
    return at.out(axes, _offset_behind(at, others))


def _offset_behind(at: Arrival, others: list[Value]) -> int | None:
    """What has been added to the input's own values behind an elementwise operator."""
    operator = at.node.op_type
    if at.offset is None:
        return None
    if operator in ("Add", "Sub") and len(others) == 1 and not (operator == "Sub" and at.position == 1):
        added = _numbers(others[0])
        if len(added) == 1 and float(added[0]).is_integer():
            return at.offset + int(added[0]) * (1 if operator == "Add" else -1)
    chosen = operator in ("Where", "Max", "Min") and at.position > 0
    masked = at.facts.integer and operator in ("Add", "Mul") and all(other.tensor is None for other in others)
    return at.offset if chosen or masked else None


def _transpose(at: Arrival) -> Iterable[Step]:
    if at.axes is None:
        return at.out(None, at.offset)
    order = at.node.attr("perm") or list(range(len(at.axes)))[::-1]
    return at.out(tuple(at.axes[i] for i in order) if len(order) == len(at.axes) else None, at.offset)


def _unsqueeze(at: Arrival) -> Iterable[Step]:
    places = _axes_argument(at.node)
    if at.position != 0:
        return ()
    if at.axes is None or places is None:
        return at.out(None, at.offset)
    rank = len(at.axes) + len(places)
    new = {p % rank for p in places}
    old = iter(at.axes)
    return at.out(tuple(None if i in new else next(old, None) for i in range(rank)), at.offset)


def _squeeze(at: Arrival) -> Iterable[Step]:
    places = _axes_argument(at.node)
    if at.position != 0:
        return ()
    if at.axes is None or places is None:
        return at.out(None, at.offset)
    gone = {p % len(at.axes) for p in places}
    for place in gone:
        at.facts.demand(at.axes[place], 1)
    return at.out(tuple(a for i, a in enumerate(at.axes) if i not in gone), at.offset)


def _reshape(at: Arrival) -> Iterable[Step]:
    """A leading 0 or -1 usually keeps the leading axis; the other axes are lost."""
    if at.position != 0:
        return ()
    if at.node.op_type == "Flatten":
        return at.out((at.axes[0], None) if at.axes and at.node.attr("axis", 1) == 1 else None, at.offset)
    target = [int(t) for t in at.node.attr("shape") or _numbers(at.node.input(1)).tolist()]
    if at.axes is None or not target:
        return at.out(None, at.offset)
    leading = next((i for i, t in enumerate(target) if t not in (0, -1)), len(target))
    return at.out(tuple(at.axes[i] if i < min(leading, len(at.axes)) else None for i in range(len(target))), at.offset)


def _gather(at: Arrival) -> Iterable[Step]:
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
    chosen = _numbers(at.node.input(1))
    if chosen.size:
        at.facts.at_least(at.axes[axis], int(max(chosen.max() + 1, -chosen.min())))
    shape = at.shape(1)
    if shape is None:
        return ()
    return at.out(at.axes[:axis] + (None,) * len(shape) + at.axes[axis + 1 :], at.offset)


def _conv(at: Arrival) -> Iterable[Step]:
    shape = at.shape(3 if at.node.op_type == "QLinearConv" else 1)
    if at.position != 0 or at.axes is None or len(at.axes) < 3:
        return ()
    at.facts.roles.add("filtered")
    transposed = at.node.op_type == "ConvTranspose"
    if shape is not None:
        channels = shape[0] if transposed else shape[1] * int(at.node.attr("group", 1))
        at.facts.demand(at.axes[1], channels, "channel")
    at.facts.mark(at.axes[0], "batch")
    count = len(at.axes) - 2
    pads = at.node.attr("pads") or [0] * (2 * count)
    dilations = at.node.attr("dilations") or [1] * count
    for place, axis in enumerate(at.axes[2:]):
        at.facts.mark(axis, "space" if count > 1 else "time")
        if shape is not None and not transposed and len(shape) == count + 2 and len(pads) == 2 * count:
            reach = (shape[2 + place] - 1) * dilations[place] + 1
            at.facts.at_least(axis, max(1, reach - pads[place] - pads[place + count]))
    return ()


def _product(at: Arrival) -> Iterable[Step]:
    """MatMul and its kin: the contracted axis has the size of the constant's."""
    if not at.axes or at.position > 1:
        return ()
    other = at.shape(1 - at.position)
    if at.position == 0:
        if other:
            at.facts.demand(at.axes[-1], other[-2] if len(other) > 1 else other[0])
        return at.out((*at.axes[:-1], None))
    if other:
        at.facts.demand(at.axes[-2] if len(at.axes) > 1 else at.axes[0], other[-1])
    return at.out((*at.axes[:-2], None, at.axes[-1]) if len(at.axes) > 1 else None)


def _gemm(at: Arrival) -> Iterable[Step]:
    shape = at.shape(1)
    if at.position != 0 or at.axes is None or len(at.axes) != 2:
        return ()
    rows, columns = at.axes[::-1] if at.node.attr("transA", 0) else at.axes
    if shape is not None and len(shape) == 2:
        at.facts.demand(columns, shape[1] if at.node.attr("transB", 0) else shape[0])
    return at.out((rows, None))


def _recurrent(at: Arrival) -> Iterable[Step]:
    """X [time, batch, features], lengths [batch], initial states [directions, batch, hidden]; layout 1 swaps two axes."""
    weights, recurrence = at.shape(1), at.shape(2)
    time, batch = (1, 0) if at.node.attr("layout", 0) else (0, 1)
    if at.position == 4 and at.raw:
        at.facts.roles.add("lengths")
        if at.axes:
            at.facts.mark(at.axes[0], "batch")
    if at.axes is None or len(at.axes) != 3:
        return ()
    if at.position == 0:
        at.facts.mark(at.axes[time], "time")
        at.facts.mark(at.axes[batch], "batch")
        if weights is not None:
            at.facts.demand(at.axes[2], weights[2])
    elif at.position in (5, 6):
        if at.raw:
            at.facts.roles.add("state")
        at.facts.mark(at.axes[batch], "batch")
        if recurrence is not None:
            at.facts.demand(at.axes[time], recurrence[0])
            at.facts.demand(at.axes[2], recurrence[2])
    return ()


def _channel_norm(at: Arrival) -> Iterable[Step]:
    shape = at.shape(1)
    if at.position != 0 or at.axes is None or len(at.axes) < 2:
        return ()
    if shape and at.node.op_type != "GroupNormalization":
        at.facts.demand(at.axes[1], shape[0], "channel")
    return at.out(at.axes)


def _trailing_norm(at: Arrival) -> Iterable[Step]:
    skip = at.node.op_type.startswith("Skip")
    shape = at.shape(2 if skip else 1) or ()
    if at.position > (1 if skip else 0) or at.axes is None:
        return ()
    for back in range(1, min(len(at.axes), len(shape)) + 1):
        if shape[-back] != 1:
            at.facts.demand(at.axes[-back], shape[-back])
    return at.out(at.axes)


def _concat(at: Arrival) -> Iterable[Step]:
    if not at.axes:
        return at.out(at.axes, at.offset)
    axis = int(at.node.attr("axis", 0)) % len(at.axes)
    for other in at.node.inputs:
        shape = static_shape(other) if other is not None and other.tensor is not None else None
        if shape is not None and len(shape) == len(at.axes):
            for place, size in enumerate(shape):
                if place != axis:
                    at.facts.demand(at.axes[place], size)
    return at.out(tuple(None if i == axis else a for i, a in enumerate(at.axes)), at.offset)


def _partial(at: Arrival) -> Iterable[Step]:
    """Slice, Pad, Split, Tile, Expand: the axes that they may change are no longer the input's."""
    if at.position != 0:
        return ()
    places: list[int] | None = None
    if at.node.op_type == "Split":
        places = [int(at.node.attr("axis", 0))]
    elif at.node.op_type == "Slice":
        given = at.node.attr("axes") or _numbers(at.node.input(3)).tolist()
        places = [int(p) for p in given] or None
    axes = at.axes
    if axes is not None:
        changed = set(range(len(axes))) if places is None else {p % len(axes) for p in places}
        axes = tuple(None if i in changed else a for i, a in enumerate(axes))
    return [Step(output, axes, at.offset) for output in at.node.outputs if output is not None]


def _attention(at: Arrival) -> Iterable[Step]:
    """com.microsoft.Attention: input [B,S,D], weights, bias, mask, past [2,B,heads,P,D/heads].

    The standard Attention has query, key, value, mask, past key and past value instead.
    """
    if at.node.domain != "com.microsoft":
        return _products_of_heads(at, mask=3, past=(4, 5))
    if at.axes is None:
        return ()
    shape = at.shape(1)
    if at.position == 0 and len(at.axes) == 3:
        at.facts.mark(at.axes[0], "batch")
        at.facts.mark(at.axes[1], "time")
        if shape is not None:
            at.facts.demand(at.axes[2], shape[0])
        return at.out((at.axes[0], at.axes[1], None))
    if at.position == 3:
        at.facts.roles.add("mask")
    elif at.position == 4 and len(at.axes) == 5:
        heads = int(at.node.attr("num_heads", 1))
        at.facts.roles.add("past")
        at.facts.demand(at.axes[0], 2)
        at.facts.mark(at.axes[1], "batch")
        at.facts.demand(at.axes[2], heads)
        at.facts.mark(at.axes[3], "past")
        if shape is not None and shape[1] % (3 * heads) == 0:
            at.facts.demand(at.axes[4], shape[1] // (3 * heads))
    return ()


def _grouped_attention(at: Arrival) -> Iterable[Step]:
    """com.microsoft.GroupQueryAttention: query, key, value, past key, past value [B,heads,P,H], last position, total."""
    if at.position in (3, 4) and at.axes is not None and len(at.axes) == 4:
        at.facts.roles.add("past")
        at.facts.mark(at.axes[0], "batch")
        at.facts.demand(at.axes[1], int(at.node.attr("kv_num_heads", 1)))
        at.facts.mark(at.axes[2], "past")
    elif at.position == 5:
        at.facts.roles.add("last_position")
    elif at.position == 6:
        at.facts.roles.add("total_length")
    return at.out((at.axes[0], at.axes[1], None) if at.position == 0 and at.axes and len(at.axes) == 3 else None)


def _multi_head_attention(at: Arrival) -> Iterable[Step]:
    """com.microsoft.MultiHeadAttention: query, key, value, bias, key padding mask, attention bias, past key and value."""
    return _products_of_heads(at, mask=4, past=(6, 7))


def _products_of_heads(at: Arrival, *, mask: int, past: tuple[int, int]) -> Iterable[Step]:
    """Attention of separate query, key and value; the past is [B,heads,P,H]."""
    if at.position == mask:
        at.facts.roles.add("mask")
    elif at.position in past and at.axes is not None and len(at.axes) == 4:
        at.facts.roles.add("past")
        at.facts.mark(at.axes[0], "batch")
        at.facts.mark(at.axes[2], "past")
    return at.out((at.axes[0], at.axes[1], None) if at.position == 0 and at.axes and len(at.axes) == 3 else None)


def _embed_norm(at: Arrival) -> Iterable[Step]:
    """com.microsoft.EmbedLayerNormalization: ids, segments, words, positions, segment table, .., mask, position ids."""
    table = {0: 2, 1: 4, 8: 3}.get(at.position)
    rows = at.shape(table) if table is not None else None
    if rows is not None and at.raw:
        at.facts.index(rows[0])
    if table is not None and at.axes is not None and len(at.axes) == 2:
        at.facts.mark(at.axes[0], "batch")
        at.facts.mark(at.axes[1], "time")
    elif at.position == 7:
        at.facts.roles.add("mask")
    return ()


def _count(at: Arrival) -> Iterable[Step]:
    """Operators whose operand is a number of something, or an index."""
    if at.node.op_type == "OneHot" and at.position == 0:
        depth = _numbers(at.node.input(1))
        if depth.size and at.raw:
            at.facts.index(int(depth[0]))
    elif at.position > 0 or at.node.op_type in ("Range", "ConstantOfShape"):
        at.facts.roles.add("count")
    return ()


def _into_body(at: Arrival) -> Iterable[Step]:
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


PASSAGES: dict[str, Callable[[Arrival], Iterable[Step]]] = {
    "Transpose": _transpose, "Unsqueeze": _unsqueeze, "Squeeze": _squeeze, "Reshape": _reshape, "Flatten": _reshape,
    "Gather": _gather, "Conv": _conv, "ConvTranspose": _conv, "FusedConv": _conv, "QLinearConv": _conv,
    "ConvInteger": _conv, "DeformConv": _conv, "MatMul": _product, "FusedMatMul": _product, "MatMulInteger": _product,
    "Gemm": _gemm, "FusedGemm": _gemm, "LSTM": _recurrent, "GRU": _recurrent, "RNN": _recurrent,
    "BatchNormalization": _channel_norm, "InstanceNormalization": _channel_norm, "GroupNormalization": _channel_norm,
    "LayerNormalization": _trailing_norm, "RMSNormalization": _trailing_norm,
    "SimplifiedLayerNormalization": _trailing_norm, "SkipLayerNormalization": _trailing_norm,
    "SkipSimplifiedLayerNormalization": _trailing_norm, "Concat": _concat, "Slice": _partial, "Pad": _partial,
    "Split": _partial, "Tile": _partial, "Expand": _partial, "Attention": _attention,
    "MultiHeadAttention": _multi_head_attention, "GroupQueryAttention": _grouped_attention, "EmbedLayerNormalization": _embed_norm, "OneHot": _count,
    "TopK": _count, "Range": _count, "ConstantOfShape": _count,
}  # fmt: skip
"""Operators that do more than keep the layout."""


def static_shape(value: Value | None) -> tuple[int, ...] | None:
    """Shape of a constant, also behind Identity, Cast, DequantizeLinear and Transpose; or a declared static shape."""
    while value is not None:
        if value.tensor is not None:
            return value.tensor.shape
        node = value.producer
        if node is None or node.op_type not in ("Identity", "Cast", "DequantizeLinear", "Transpose"):
            break
        if node.op_type == "Transpose":
            shape = static_shape(node.input(0))
            if shape is None:
                return None
            order = node.attr("perm") or list(range(len(shape)))[::-1]
            return tuple(shape[i] for i in order) if len(order) == len(shape) else None
        value = node.input(0)
    if value is None or value.dims is None:
        return None
    sizes = tuple(d for d in value.dims if isinstance(d, int) and d > 0)
    return sizes if len(sizes) == len(value.dims) else None


def _numbers(value: Value | None) -> np.ndarray:
    """Values of a small constant, flat; empty where it is none."""
    if value is None or value.tensor is None or value.tensor.size > SMALL_CONSTANT or value.tensor.dtype == "string":
        return np.empty(0)
    try:
        return np.asarray(value.tensor.array()).reshape(-1)
    except InitauditError:
        return np.empty(0)


def _axes_argument(node: Node) -> list[int] | None:
    given = node.attr("axes") or _numbers(node.input(1)).tolist()
    return [int(a) for a in given] or None
