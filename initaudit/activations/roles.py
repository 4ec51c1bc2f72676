"""What an operator does to a value that arrives at one of its inputs, as far as the walk behind a layer cares."""

from __future__ import annotations

from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING

from initaudit.model.operators import Use, Values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Graph, Node, Value

MAX_ANCESTORS = 5000
"""Values looked at when asking whether one derives from another; an unrolled state-space block has over a thousand."""


class Role(Enum):
    """The values are what `Layer.feeds` says."""

    LINEAR = "linear"
    """Moves, rescales, pools or shifts by constants: the walk goes on behind it."""
    ADD = "residual_add"
    GATE = "gate"
    MAXIMUM = "maximum"
    SOFTMAX = "softmax"
    ATTENTION = "attention"
    LAYER = "layer"
    RECURRENT = "recurrent_cell"
    OFFSETS = "offsets"
    """It moves the taps of a convolution."""
    OTHER = "other"
    NOTHING = "nothing"
    """The value itself is not used, only its shape."""


def role_of(node: Node, position: int = 0) -> Role:  # noqa: PLR0911  one line a use
    """What `node` does to the value at input `position`."""
    spec = node.spec
    if node.subgraphs:
        return Role.NOTHING  # bodies list their own uses; carried values are followed through the boundary
    if node.outputs and all(v is None or v.is_static for v in node.outputs):
        return Role.NOTHING
    if spec.use is Use.PRODUCT:
        return _product(node, position)
    if spec.use is Use.RECURRENT:
        return Role.LAYER if position == 0 else Role.RECURRENT
    if spec.use is Use.ATTENTION:
        return Role.LAYER if spec.weights and position == 0 else Role.ATTENTION
    if spec.use is Use.SCALE and node.op_type == "Div" and position == 1:
        return Role.GATE
    if spec.use in _WITH_OTHERS:
        return Role.LINEAR if has_one_signal(node) else _WITH_OTHERS[spec.use]
    if spec.use is Use.PASS:
        return Role.LINEAR if spec.carries(position) else Role.OTHER
    return _ALONE.get(spec.use, Role.OTHER)


_WITH_OTHERS = {Use.SUM: Role.ADD, Use.SCALE: Role.GATE, Use.EXTREMUM: Role.MAXIMUM}
"""What operators do that combine several signals; with constants they only shift, scale or cut."""
_ALONE = {Use.SOFTMAX: Role.SOFTMAX, Use.GATE: Role.GATE}


def has_one_signal(node: Node) -> bool:
    """Whether just one of its inputs depends on the data; no more are looked at than tells, for many values may arrive at one node."""
    signals = (v for v in node.inputs if v is not None and not v.is_static)
    return len(list(islice(signals, 2))) == 1


def _product(node: Node, position: int) -> Role:
    """A weight layer, or a product of two values that both depend on the data."""
    spec = node.spec
    factors = range(len(node.inputs)) if spec.operands is None else spec.operands
    if position == spec.offsets:
        return Role.OFFSETS
    if position not in factors:
        return Role.ADD if position == spec.addend else Role.OTHER
    others = [v for i in factors if i != position and (v := node.input(i)) is not None]
    return Role.ATTENTION if any(not v.is_static for v in others) else Role.LAYER


def is_scale(node: Node, value: Value) -> bool:
    """Whether what `value` is multiplied by is no signal: a dynamic quantiser's scale, or rotary sines and cosines."""
    others = [v for v in node.inputs if v is not None and v is not value and not v.is_static]
    return bool(others) and all(_is_scale_value(v) for v in others)


def _is_scale_value(value: Value, budget: int = 12) -> bool:
    node = value.producer
    if node is None or budget <= 0:
        return False
    if node.op_type in ("DynamicQuantizeLinear", "Cos", "Sin"):
        return node.op_type != "DynamicQuantizeLinear" or value.index > 0
    spec = node.spec
    if spec.values is Values.KEPT or node.op_type in ("Neg", "Mul", "Where"):
        data = node.signals()
        return bool(data) and all(_is_scale_value(v, budget - 1) for v in data)
    return False


def through_boundary(value: Value) -> Iterator[Value]:
    """Values that `value` becomes on the other side of a subgraph's boundary, inwards and outwards."""
    graph = value.graph
    if value.is_output and graph.owner is not None:
        yield from _outwards(value, graph, graph.owner)
    for node, position in value.consumers:
        if not node.subgraphs:
            continue
        body = node.subgraphs.get("body")
        if body is None:
            continue
        carried = 2 if node.op_type == "Loop" else 0  # a Loop gets its trip count and condition first
        if carried <= position < len(body.inputs):
            yield body.inputs[position]


def _outwards(value: Value, graph: Graph, owner: Node) -> Iterator[Value]:
    shift = 1 if owner.op_type == "Loop" else 0  # a Loop body gives its condition first
    for position, output in enumerate(graph.outputs):
        if output is value and 0 <= position - shift < len(owner.outputs):
            result = owner.outputs[position - shift]
            if result is not None:
                yield result


def derives_from(value: Value, ancestor: Value) -> bool:
    """Whether `value` is computed from `ancestor`, looking back a bounded number of steps."""
    oldest = ancestor.producer.position if ancestor.producer is not None else -1
    if value is ancestor:
        return True
    queue, seen = [value], {id(value)}
    while queue and len(seen) < MAX_ANCESTORS:
        node = queue.pop().producer
        if node is None or (node.graph is ancestor.graph and node.position <= oldest):
            continue
        for operand in node.inputs:
            if operand is ancestor:
                return True
            if operand is not None and not operand.is_static and id(operand) not in seen:
                seen.add(id(operand))
                queue.append(operand)
    return False
