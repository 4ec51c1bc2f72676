"""What the graph demands of each input: sizes of axes, range of ids, and what the values mean.

The way from the input is followed forward through everything that keeps an axis an axis (elementwise operators,
transposition, normalisation, products with constants, embedding), until each axis has met the constants that fix it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import InitauditError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from initaudit.graph import Graph, Node, Value

    Axes = tuple[int | None, ...] | None
    """For each axis of a value the axis of the input that it is; None where it is none, or where nothing is known."""
    Step = tuple[Value, Axes, int | None]
    """A value on the way, its axes, and what was added to the input's own values (None once they are lost)."""
    Rule = Callable[[Node, int, Axes, int | None, "Facts"], Iterable[Step]]

MAX_STEPS = 20_000
"""Values visited from one input; more than any model has between its input and the constants that matter."""

LAYOUT_KEPT = frozenset(
    "Identity Cast CastLike Relu LeakyRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Mish Swish Tanh Softplus "
    "Softsign Sin Cos Exp Log Sqrt Abs Neg Sign Floor Ceil Round Erf Reciprocal Clip Dropout QuantizeLinear "
    "DequantizeLinear DynamicQuantizeLinear Softmax LogSoftmax Not IsNaN CumSum LpNormalization FastGelu QuickGelu "
    "BiasGelu BitwiseNot Bernoulli Trilu".split()
)
"""Operators whose first output has the layout of their first input."""
VALUES_KEPT = frozenset("Identity Cast CastLike Dropout Not Clip DequantizeLinear".split())
"""Of these, the ones after which the input's own values can still be told."""
BROADCAST = frozenset(
    "Add Sub Mul Div Pow Mod Max Min Sum Mean Where Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor PRelu "
    "BitShift BitwiseAnd BitwiseOr BitwiseXor".split()
)
RECURRENT = frozenset(("LSTM", "GRU", "RNN"))
WEIGHT_SLOTS: dict[str, tuple[int, ...]] = {
    "Conv": (1,), "ConvTranspose": (1,), "FusedConv": (1,), "Gemm": (1,), "FusedGemm": (1,), "LSTM": (1, 2, 3),
    "GRU": (1, 2, 3), "RNN": (1, 2, 3), "BatchNormalization": (1, 2, 3, 4), "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2), "Attention": (1, 2), "QLinearConv": (3,), "ConvInteger": (1,), "DeformConv": (1,),
}  # fmt: skip
"""Inputs of operators that hold nothing but weights; `Attention` is that of com.microsoft."""


@dataclass(slots=True, kw_only=True)
class Facts:
    """What was found on the way from one input."""

    sizes: dict[int, int] = field(default_factory=dict)
    """Axis -> the size that a constant demands."""
    minimum: dict[int, int] = field(default_factory=dict)
    """Axis -> smallest possible size."""
    kinds: dict[int, str] = field(default_factory=dict)
    """Axis -> batch, time, channel, space, past."""
    bound: int | None = None
    """The values index a table of this many rows (the smallest one)."""
    roles: set[str] = field(default_factory=set)
    """weight, state, lengths, last_position, total_length, mask, count, condition, image."""
    equals: list[float] = field(default_factory=list)
    """Constants that the values are compared with."""
    integer: bool = False
    """Whether the values are integers: sums and products with masks and token types are then still ids."""

    def demand(self, axis: int | None, size: int, kind: str | None = None) -> None:
        """Note that `axis` must have `size`; the first demand counts."""
        if axis is not None:
            self.sizes.setdefault(axis, size)
            self.mark(axis, kind)

    def mark(self, axis: int | None, kind: str | None) -> None:
        """Note what `axis` is; the first mark counts."""
        if axis is not None and kind is not None:
            self.kinds.setdefault(axis, kind)

    def at_least(self, axis: int | None, size: int) -> None:
        """Note that `axis` must be at least `size`."""
        if axis is not None:
            self.minimum[axis] = max(size, self.minimum.get(axis, 1))

    def index(self, rows: int) -> None:
        """Note that the values index a table of `rows` rows."""
        self.bound = rows if self.bound is None else min(rows, self.bound)


def facts_of(value: Value, rank: int | None) -> Facts:
    """Follow the graph input `value` of `rank` (None: unknown) forward."""
    facts = Facts(integer=value.dtype is not None and value.dtype.lstrip("u").startswith("int"))
    seen: set[tuple[int, Axes, int | None]] = set()
    stack: list[tuple[Value, Axes, int | None]] = [(value, tuple(range(rank)) if rank is not None else None, 0)]
    while stack and len(seen) < MAX_STEPS:
        state = stack.pop()
        current, axes, offset = state
        key = (id(current), axes, offset)
        if key in seen:
            continue
        seen.add(key)
        for node, position in current.consumers:
            for reached, reached_axes, reached_offset in _step(node, position, axes, offset, facts):
                stack.append((reached, reached_axes, reached_offset))
    return facts


def _step(
    node: Node, position: int, axes: Axes, offset: int | None, facts: Facts
) -> Iterable[Step]:
    """Where a value goes through `node`. `offset` is what was added to the input's own values, None once they are lost."""
    op = node.op_type
    output = node.outputs[0] if node.outputs else None
    if offset is not None and axes is not None and position in WEIGHT_SLOTS.get(op, ()):
        if op != "Attention" or node.domain == "com.microsoft":
            facts.roles.add("weight")
            return
    if op in NODE_RULES:
        yield from NODE_RULES[op](node, position, axes, offset, facts)
    elif op in LAYOUT_KEPT and position == 0 and output is not None:
        yield output, axes, offset if op in VALUES_KEPT else None
    elif op in BROADCAST and output is not None:
        yield from _broadcast(node, position, axes, offset, facts)
    elif node.subgraphs:
        yield from _into_body(node, position, axes, offset, facts)


def _broadcast(
    node: Node, position: int, axes: Axes, offset: int | None, facts: Facts
) -> Iterable[Step]:
    output = node.outputs[0]
    assert output is not None
    others = [v for i, v in enumerate(node.inputs) if i != position and v is not None]
    result = axes
    for other in others:
        shape = static_shape(other)
        if axes is None or shape is None or other.tensor is None:
            continue
        for back in range(1, min(len(axes), len(shape)) + 1):
            if shape[-back] != 1:
                facts.demand(axes[-back], shape[-back])
        if result is not None and len(shape) > len(result):
            result = (None,) * (len(shape) - len(result)) + result
    if node.op_type == "Where" and position == 0:
        facts.roles.add("mask")
    if node.op_type == "Equal" and offset is not None:
        facts.equals += [float(v) - offset for other in others for v in _numbers(other)[:8]]
    if node.op_type in ("Add", "Sub") and offset is not None and len(others) == 1:
        added = _numbers(others[0])
        if len(added) == 1 and float(added[0]).is_integer() and not (node.op_type == "Sub" and position == 1):
            yield output, result, offset + int(added[0]) * (1 if node.op_type == "Add" else -1)
            return
    kept = (node.op_type in ("Where", "Max", "Min") and position > 0) or (
        facts.integer and node.op_type in ("Add", "Mul") and all(other.tensor is None for other in others)
    )
    yield output, result, offset if kept else None


def _transpose(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    if axes is not None:
        order = node.attr("perm") or list(range(len(axes)))[::-1]
        axes = tuple(axes[i] for i in order) if len(order) == len(axes) else None
    yield from _out(node, axes, offset)


def _unsqueeze(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    places = _axes_argument(node)
    if position == 0:
        if axes is not None and places is not None:
            rank = len(axes) + len(places)
            new = {p % rank for p in places}
            old = iter(axes)
            axes = tuple(None if i in new else next(old, None) for i in range(rank))
        else:
            axes = None
        yield from _out(node, axes, offset)


def _squeeze(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    places = _axes_argument(node)
    if position == 0:
        if axes is not None and places is not None:
            gone = {p % len(axes) for p in places}
            for place in gone:
                facts.demand(axes[place], 1)
            axes = tuple(a for i, a in enumerate(axes) if i not in gone)
        else:
            axes = None
        yield from _out(node, axes, offset)


def _reshape(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    if position != 0:
        return
    if node.op_type == "Flatten":
        axes = (axes[0], None) if axes and node.attr("axis", 1) == 1 else None
    else:
        target = node.attr("shape") or (_numbers(node.input(1)).tolist() if node.input(1) is not None else [])
        kept: list[int | None] = []
        for place, size in enumerate(target):  # a leading 0 or -1 usually keeps the leading axis
            leading = axes is not None and place < len(axes) and all(int(t) in (0, -1) for t in target[: place + 1])
            kept.append(axes[place] if leading and axes is not None else None)
        axes = tuple(kept) if target else None
    yield from _out(node, axes, offset)


def _gather(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    data, indices = node.input(0), node.input(1)
    axis = int(node.attr("axis", 0))
    if position == 1:
        shape = static_shape(data)
        if shape is not None and -len(shape) <= axis < len(shape):
            if offset is not None:
                facts.index(max(1, shape[axis] - max(0, offset)))
            axis %= len(shape)
            axes = (None,) * axis + axes + (None,) * (len(shape) - axis - 1) if axes is not None else None
        else:
            axes = None
        yield from _out(node, axes, None)
        return
    if axes is None:
        return
    if offset is not None and len(axes) == 2 and indices is not None and not indices.is_static:
        facts.roles.add("table")
    chosen = _numbers(indices)
    if chosen.size and axes:
        facts.at_least(axes[axis], int(max(chosen.max() + 1, -chosen.min())))
    shape = static_shape(indices)
    if shape is not None:
        axis %= len(axes)
        yield from _out(node, axes[:axis] + (None,) * len(shape) + axes[axis + 1 :], offset)


def _conv(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    shape = static_shape(node.input(3 if node.op_type == "QLinearConv" else 1))
    if position != 0 or axes is None or len(axes) < 2:
        return ()
    facts.roles.add("image")
    transposed = node.op_type == "ConvTranspose"
    if shape is not None:
        facts.demand(axes[1], shape[0] if transposed else shape[1] * int(node.attr("group", 1)), "channel")
    facts.mark(axes[0], "batch")
    pads = node.attr("pads") or [0] * (2 * (len(axes) - 2))
    dilations = node.attr("dilations") or [1] * (len(axes) - 2)
    for place, axis in enumerate(axes[2:]):
        facts.mark(axis, "space" if len(axes) > 3 else "time")
        if shape is not None and not transposed and len(shape) == len(axes) and len(pads) == 2 * (len(axes) - 2):
            reach = (shape[2 + place] - 1) * dilations[place] + 1
            facts.at_least(axis, max(1, reach - pads[place] - pads[place + len(axes) - 2]))
    return ()


def _product(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    """MatMul and its kin: the contracted axis has the size of the constant's."""
    if axes is None or not axes or position > 1:
        return
    other = static_shape(node.input(1 - position))
    if position == 1 and offset is not None and len(axes) == 2:
        facts.roles.add("right_operand")
    if position == 0:
        if other:
            facts.demand(axes[-1], other[-2] if len(other) > 1 else other[0])
        axes = (*axes[:-1], None)
    else:
        if other:
            facts.demand(axes[-2] if len(axes) > 1 else axes[0], other[-1])
        axes = (*axes[:-2], None, axes[-1]) if len(axes) > 1 else None
    yield from _out(node, axes, None)


def _gemm(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    shape = static_shape(node.input(1))
    if position != 0 or axes is None or len(axes) != 2:
        return
    rows, columns = axes[::-1] if node.attr("transA", 0) else axes
    if shape is not None and len(shape) == 2:
        facts.demand(columns, shape[1] if node.attr("transB", 0) else shape[0])
    yield from _out(node, (rows, None), None)


def _recurrent(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    weights, recurrence = static_shape(node.input(1)), static_shape(node.input(2))
    batch_first = bool(node.attr("layout", 0))
    if position == 4 and offset is not None:
        facts.roles.add("lengths")
        if axes:
            facts.mark(axes[0], "batch")
    if axes is None or len(axes) != 3:
        return ()
    if position == 0:
        facts.mark(axes[0], "batch" if batch_first else "time")
        facts.mark(axes[1], "time" if batch_first else "batch")
        if weights is not None:
            facts.demand(axes[2], weights[2])
    elif position in (5, 6):
        if offset is not None:
            facts.roles.add("state")
        facts.mark(axes[0 if batch_first else 1], "batch")
        if recurrence is not None:
            facts.demand(axes[1 if batch_first else 0], recurrence[0])
            facts.demand(axes[2], recurrence[2])
    return ()


def _channel_norm(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    shape = static_shape(node.input(1))
    if position == 0 and axes is not None and len(axes) > 1:
        if shape and node.op_type != "GroupNormalization":
            facts.demand(axes[1], shape[0], "channel")
        yield from _out(node, axes, None)


def _trailing_norm(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    skip = node.op_type.startswith("Skip")
    shape = static_shape(node.input(2 if skip else 1))
    if position <= (1 if skip else 0) and axes is not None:
        for back in range(1, min(len(axes), len(shape or ())) + 1):
            if shape is not None and shape[-back] != 1:
                facts.demand(axes[-back], shape[-back])
        yield from _out(node, axes, None)


def _concat(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    if axes is not None:
        axis = int(node.attr("axis", 0)) % max(1, len(axes))
        for other in node.inputs:
            shape = static_shape(other) if other is not None and other.tensor is not None else None
            for place, size in enumerate(shape or ()):
                if shape is not None and len(shape) == len(axes) and place != axis:
                    facts.demand(axes[place], size)
        axes = tuple(None if i == axis else a for i, a in enumerate(axes))
    yield from _out(node, axes, offset)


def _partial(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    """Slice, Pad, Split, Tile, Expand: the axes they may change are no longer the input's."""
    if position != 0:
        return
    places: list[int] | None = None
    if node.op_type == "Split":
        places = [int(node.attr("axis", 0))]
    elif node.op_type == "Slice":
        given = node.attr("axes") or (_numbers(node.input(3)).tolist() if node.input(3) is not None else None)
        places = [int(p) for p in given] if given else None
    if axes is not None:
        changed = None if places is None else {p % len(axes) for p in places}
        axes = tuple(None if changed is None or i in changed else a for i, a in enumerate(axes))
    for output in node.outputs:
        if output is not None:
            yield output, axes, offset


def _attention(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    """com.microsoft.Attention: input [B,S,D], weights, bias, mask_index, past [2,B,heads,P,D/heads]."""
    shape = static_shape(node.input(1))
    if node.domain != "com.microsoft" or axes is None:
        return
    if position == 0 and len(axes) == 3:
        facts.mark(axes[0], "batch")
        facts.mark(axes[1], "time")
        if shape is not None:
            facts.demand(axes[2], shape[0])
        yield from _out(node, (axes[0], axes[1], None), None)
    elif position == 3:
        facts.roles.add("mask")
    elif position == 4 and len(axes) == 5:
        facts.roles.add("past")
        facts.demand(axes[0], 2)
        facts.mark(axes[1], "batch")
        facts.mark(axes[3], "past")
        heads = int(node.attr("num_heads", 1))
        facts.demand(axes[2], heads)
        if shape is not None and shape[1] % (3 * heads) == 0:
            facts.demand(axes[4], shape[1] // (3 * heads))


def _grouped_attention(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    """com.microsoft.GroupQueryAttention: query, key, value, past_key, past_value [B,heads,P,H], seqlens_k, total."""
    if position in (3, 4) and axes is not None and len(axes) == 4:
        facts.roles.add("past")
        facts.mark(axes[0], "batch")
        facts.mark(axes[2], "past")
        facts.demand(axes[1], int(node.attr("kv_num_heads", 1)))
    elif position == 5:
        facts.roles.add("last_position")
    elif position == 6:
        facts.roles.add("total_length")
    return ()


def _embed_norm(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    """com.microsoft.EmbedLayerNormalization: ids, segments, words, positions, segment table, .., mask, position ids."""
    table = {0: 2, 1: 4, 8: 3}.get(position)
    if table is not None:
        rows = static_shape(node.input(table))
        if rows is not None:
            facts.index(rows[0])
        if axes is not None and len(axes) == 2:
            facts.mark(axes[0], "batch")
            facts.mark(axes[1], "time")
    elif position == 7:
        facts.roles.add("mask")
    return ()


def _counting(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    """Operators whose operand is a number of something, or an index."""
    if node.op_type == "OneHot" and position == 0:
        depth = _numbers(node.input(1))
        if depth.size:
            facts.index(int(depth.reshape(-1)[0]))
    elif position > 0:
        facts.roles.add("count")
    return ()


def _into_body(node: Node, position: int, axes: Axes, offset: int | None, facts: Facts) -> Iterable[Step]:
    """Into the body of Loop (trip count, condition, carried ...) or Scan (states ..., scanned ...)."""
    if node.op_type == "If" or (node.op_type == "Loop" and position == 1):
        facts.roles.add("condition")
        return
    if node.op_type == "Loop" and position == 0:
        facts.roles.add("count")
        return
    body = node.subgraphs.get("body")
    if body is None or position >= len(body.inputs):
        return
    if node.op_type == "Scan":
        scanned = int(node.attr("num_scan_inputs", 0))
        state_count = len(body.inputs) - scanned
        if position >= state_count and axes:
            facts.mark(axes[0], "time")
            axes = axes[1:]
    yield body.inputs[position], axes, offset


NODE_RULES: dict[str, Rule] = {
    "Transpose": _transpose, "Unsqueeze": _unsqueeze, "Squeeze": _squeeze, "Reshape": _reshape, "Flatten": _reshape,
    "Gather": _gather, "Conv": _conv, "ConvTranspose": _conv, "FusedConv": _conv, "QLinearConv": _conv,
    "ConvInteger": _conv, "DeformConv": _conv, "MatMul": _product, "FusedMatMul": _product, "MatMulInteger": _product,
    "Gemm": _gemm, "FusedGemm": _gemm, "LSTM": _recurrent, "GRU": _recurrent, "RNN": _recurrent,
    "BatchNormalization": _channel_norm, "InstanceNormalization": _channel_norm, "GroupNormalization": _channel_norm,
    "LayerNormalization": _trailing_norm, "RMSNormalization": _trailing_norm,
    "SimplifiedLayerNormalization": _trailing_norm, "SkipLayerNormalization": _trailing_norm,
    "SkipSimplifiedLayerNormalization": _trailing_norm, "Concat": _concat, "Slice": _partial, "Pad": _partial,
    "Split": _partial, "Tile": _partial, "Expand": _partial, "Attention": _attention,
    "GroupQueryAttention": _grouped_attention, "EmbedLayerNormalization": _embed_norm, "OneHot": _counting,
    "TopK": _counting, "Range": _counting, "ConstantOfShape": _counting,
}  # fmt: skip
"""How an input passes each operator that does more than keep the layout."""


def static_shape(value: Value | None) -> tuple[int, ...] | None:
    """Shape of a constant, also behind Identity, Cast, DequantizeLinear and Transpose; or a declared static shape."""
    for _ in range(16):
        if value is None:
            return None
        if value.tensor is not None:
            return value.tensor.shape
        node = value.producer
        if node is not None and node.op_type == "Transpose":
            shape = static_shape(node.input(0))
            order = node.attr("perm") or (list(range(len(shape)))[::-1] if shape is not None else [])
            return tuple(shape[i] for i in order) if shape is not None and len(order) == len(shape) else None
        if node is None or node.op_type not in ("Identity", "Cast", "DequantizeLinear"):
            break
        value = node.input(0)
    if value is not None and value.dims is not None and all(isinstance(d, int) and d > 0 for d in value.dims):
        return tuple(int(d) for d in value.dims if d is not None)
    return None


def _numbers(value: Value | None) -> np.ndarray:
    """Values of a small constant, flat; empty where it is none."""
    if value is None or value.tensor is None or value.tensor.size > 1 << 16 or value.tensor.dtype == "string":
        return np.empty(0)
    try:
        return np.asarray(value.tensor.array()).reshape(-1)
    except InitauditError:
        return np.empty(0)


def _axes_argument(node: Node) -> list[int] | None:
    given = node.attr("axes")
    if given is None and node.input(1) is not None:
        given = _numbers(node.input(1)).tolist() or None
    return [int(a) for a in given] if given is not None else None


def _out(node: Node, axes: Axes, offset: int | None) -> Iterable[Step]:
    if node.outputs and node.outputs[0] is not None:
        yield node.outputs[0], axes, offset


def graph_inputs(graph: Graph) -> list[Value]:
    """Inputs that need values: those without an initializer."""
    return [value for value in graph.inputs if value.tensor is None]


def named(name: str, *words: str) -> bool:
    """Whether one of the regular expressions occurs in the name of an input."""
    return any(re.search(word, name.lower()) for word in words)
