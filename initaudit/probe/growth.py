"""How fast the values of a network grow with its input, from the graph alone.

The degree of a value is the power of t by which it grows where the inputs are multiplied by a large t. Sums, products with weights, ReLU
and its smooth relatives keep the degree, products of two values add theirs, quotients subtract them; a norm, a softmax and a bounded
function leave nothing of it. So x * sigmoid(x), softmax(q k') v and x / sqrt(mean(x^2)) have the degrees 1, 1 and 0 of what they compute,
and a chain of k bilinear layers without norm has 2^k: a network whose degree stays at 1 sees of its input's law no more than the variance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.activations.elementwise import operator_of, scalar
from initaudit.model.operators import Use

if TYPE_CHECKING:
    from initaudit.model.graph import Graph, Node, Value

FAR = 2.0**20
"""Where the growth of a function is read off: beyond every threshold, cap and slope of an activation, and within float64 to the 51st power."""
RAYS = np.linspace(-1.0, 1.0, 16)
"""Where the largest value up to a distance is looked for, as parts of it: both sides, and points enough to meet a wave near its crest."""
BOUNDED = frozenset({Use.SOFTMAX, Use.RECURRENT, Use.SHAPE, Use.RANDOM})
"""What gives values of order 1, whatever arrives; a recurrent cell's are those of tanh."""


def is_superlinear(graph: Graph, outputs: Iterable[str]) -> bool:
    """Whether one of these values, by name, grows faster than the inputs of the graph."""
    known = degrees(graph)
    return any(known.get(name, 0.0) > 1.0 for name in outputs)


def degrees(graph: Graph) -> dict[str, float]:
    """The degree of each value that depends on the data, by name; infinite where it grows exponentially, negative where it falls."""
    known = {v.name: float(_holds_numbers(v)) for v in graph.inputs if not v.is_static}
    for node in graph.nodes:
        read = [known.get(v.name) if v is not None else None for v in node.inputs]
        inner = [known[v.name] for v in node.reads() if v.name in known] if node.subgraphs else []
        if inner:
            degree = max(inner)
        elif any(d is not None for d in read):
            degree = _degree(node, read)
        else:
            continue
        known |= {value.name: degree for value in node.outputs if value is not None}
        if node.op_type == "DynamicQuantizeLinear":
            codes = (node.outputs[0], *node.outputs[2:])  # within fixed bounds: it is the scale beside them that grows
            known |= {value.name: 0.0 for value in codes if value is not None}
    return known


def _holds_numbers(value: Value) -> bool:
    """Whether an input can be multiplied by anything: ids and flags cannot."""
    return value.dtype is None or "float" in value.dtype


def _degree(node: Node, read: Sequence[float | None]) -> float:
    """Of the outputs of a node, from those of its inputs (None for constants)."""
    spec = node.spec
    if spec.norm is not None or spec.use in BOUNDED:
        return 0.0
    if spec.use is Use.PRODUCT:
        factors = range(len(read)) if spec.operands is None else spec.operands
        return max(sum(read[i] or 0.0 for i in factors if i < len(read)), *(d or 0.0 for d in read))
    carried = [d or 0.0 for i, d in enumerate(read) if spec.carries(i)]
    highest = max(carried, default=0.0)
    if spec.use is Use.GATE:
        return 2.0 * highest
    if spec.use is Use.SCALE:
        return _quotient(carried[0], carried[-1]) if node.op_type == "Div" else sum(carried)
    operator = operator_of(node)
    moving = [i for i, d in enumerate(read) if d is not None]
    if not highest or operator is None or spec.use is Use.SUM or spec.only_moves or len(moving) > 1:
        return highest
    power = _power(node, operator, moving[0])
    return power * highest if power else 0.0


def _quotient(above: float, below: float) -> float:
    """Exponentials are divided to be bounded: sigmoid, tanh and softmax in pieces."""
    return above - below if math.isfinite(below) else 0.0


def _power(node: Node, operator: Any, position: int) -> float:
    """Of an elementwise node in its operand at `position`, the others constant: log2 of what doubling the reach does to max |f|, to the nearest half."""
    others = [None if v is None else scalar(v) for v in node.inputs]
    sizes = []
    with np.errstate(all="ignore"):
        for t in (FAR, 2.0 * FAR):
            operands: list[Any] = [
                None if v is None else np.float64(1.0 if known is None else known)
                for v, known in zip(node.inputs, others, strict=True)
            ]
            operands[position] = t * RAYS
            result = np.abs(np.asarray(operator(node, operands), np.float64))
            sizes.append(float(np.fmax.reduce(result)))
    near, far = sizes
    if math.isinf(far):
        return math.inf
    return round(2.0 * math.log2(far / near)) / 2.0 if near > 0.0 and far > 0.0 else 0.0
