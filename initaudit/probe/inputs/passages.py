"""How a value from a graph input passes each operator: which axes stay axes, and what is demanded of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.probe.inputs.layer_passages import LAYER_PASSAGES
from initaudit.probe.inputs.walk import Arrival, Step, axes_argument, numbers, static_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from initaudit.model.graph import Value

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
        at.facts.equals += [float(v) - at.offset for other in others for v in numbers(other)[:8]]
    return at.out(axes, _offset_behind(at, others))


def _offset_behind(at: Arrival, others: list[Value]) -> int | None:
    """What has been added to the input's own values behind an elementwise operator."""
    operator = at.node.op_type
    if at.offset is None:
        return None
    if operator in ("Add", "Sub") and len(others) == 1 and not (operator == "Sub" and at.position == 1):
        added = numbers(others[0])
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
    places = axes_argument(at.node)
    if at.position != 0:
        return ()
    if at.axes is None or places is None:
        return at.out(None, at.offset)
    rank = len(at.axes) + len(places)
    new = {p % rank for p in places}
    old = iter(at.axes)
    return at.out(tuple(None if i in new else next(old, None) for i in range(rank)), at.offset)


def _squeeze(at: Arrival) -> Iterable[Step]:
    places = axes_argument(at.node)
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
    target = [int(t) for t in at.node.attr("shape") or numbers(at.node.input(1)).tolist()]
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
    chosen = numbers(at.node.input(1))
    if chosen.size:
        at.facts.at_least(at.axes[axis], int(max(chosen.max() + 1, -chosen.min())))
    shape = at.shape(1)
    if shape is None:
        return ()
    return at.out(at.axes[:axis] + (None,) * len(shape) + at.axes[axis + 1 :], at.offset)


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
        given = at.node.attr("axes") or numbers(at.node.input(3)).tolist()
        places = [int(p) for p in given] or None
    axes = at.axes
    if axes is not None:
        changed = set(range(len(axes))) if places is None else {p % len(axes) for p in places}
        axes = tuple(None if i in changed else a for i, a in enumerate(axes))
    return [Step(output, axes, at.offset) for output in at.node.outputs if output is not None]


def _count(at: Arrival) -> Iterable[Step]:
    """Operators whose operand is a number of something, or an index."""
    if at.node.op_type == "OneHot" and at.position == 0:
        depth = numbers(at.node.input(1))
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
    **LAYER_PASSAGES,
    "Transpose": _transpose, "Unsqueeze": _unsqueeze, "Squeeze": _squeeze, "Reshape": _reshape, "Flatten": _reshape,
    "Gather": _gather, "Concat": _concat, "Slice": _partial, "Pad": _partial, "Split": _partial, "Tile": _partial,
    "Expand": _partial, "OneHot": _count, "TopK": _count, "Range": _count, "ConstantOfShape": _count,
}  # fmt: skip
"""Operators that do more than keep the layout."""
