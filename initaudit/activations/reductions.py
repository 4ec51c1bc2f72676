"""Normalisations and softmaxes, whether one operator or written out with reductions.

Written out, each divides a value (or its deviation from its own mean, or its exponential) by a statistic of itself.
So values that derive from `value` are labelled with what they are to it, until a division by a statistic is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from initaudit.activations.elementwise import scalar
from initaudit.activations.roles import through_boundary
from initaudit.model.operators import AxisMap
from initaudit.model.remembered import once_in_graph

if TYPE_CHECKING:
    from initaudit.model.graph import Node, Value

MAX_STEPS = 64
"""Nodes looked at behind a value; a written-out normalisation has under 20 of them, casts included."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced:
    """A value divided by a statistic of itself."""

    kind: str
    """batch_norm, layer_norm, rms_norm, group_norm, instance_norm, l2_norm, local_response_norm, or softmax."""
    end: Value
    nodes: frozenset[int]
    """ids of the nodes it is made of."""


class _Label(Enum):
    PLAIN = auto()  # the value itself
    CENTRED = auto()  # minus its own mean (or maximum)
    MEAN = auto()  # a mean or maximum of it
    SQUARE = auto()  # an even power of it, elementwise
    SPREAD = auto()  # a statistic of its size
    EXPONENTIAL = auto()
    TOTAL = auto()  # sum of the exponentials


_MEANS = ("ReduceMean", "ReduceMax", "GlobalAveragePool", "ReduceSum")
_SPREADS = ("ReduceMean", "ReduceSum", "GlobalAveragePool", "AveragePool")
_RESCALING = ("Add", "Sub", "Mul", "Div", "Sqrt", "Reciprocal", "Pow", "Max", "Clip", "Abs", "Neg")


@once_in_graph
def match_reduction(value: Value) -> Reduced | None:
    """The normalisation or softmax that `value` goes through next, or None."""
    for node, position in value.consumers:
        spec = node.spec
        kind = None if spec.normalizes_a_sum else spec.norm
        if kind is not None and position == 0 and node.outputs and node.outputs[0] is not None:
            return Reduced(kind=_regrouped(node, kind), end=node.outputs[0], nodes=frozenset({id(node)}))
    return _written_out(value)


def _regrouped(node: Node, kind: str) -> str:
    """Exporters write GroupNorm as Reshape, InstanceNormalization with unit scale, Reshape."""
    source, scale = node.input(0), node.input(1)
    before = source.producer if source is not None else None
    reshaped = before is not None and before.op_type == "Reshape"
    return "group_norm" if kind == "instance_norm" and reshaped and scale is not None and scale.is_static else kind


def _written_out(value: Value) -> Reduced | None:
    if len(value.consumers) < 2 and not any(n.op_type in ("Cast", "Exp") for n, _ in value.consumers):
        return None  # a value divided by its own statistic is used at least twice
    labels: dict[int, _Label] = {id(value): _Label.PLAIN}
    used: set[int] = set()
    reduction: Node | None = None
    queue, steps = [value], 0
    while queue and steps < MAX_STEPS:
        for node, _ in queue.pop(0).consumers:
            steps += 1
            if id(node) in used or len(node.outputs) != 1 or node.outputs[0] is None:
                continue
            operands = [v for v in node.inputs if v is not None and not v.is_static]
            known = [labels.get(id(v)) for v in operands]
            if not known or None in known:
                continue
            end = node.outputs[0]
            finished = _divided(node, operands, labels)
            if finished is not None:
                kind = finished if finished == "softmax" else _kind(finished, reduction)
                return Reduced(kind=kind, end=end, nodes=frozenset(used | {id(node)}))
            label = _label(node, [k for k in known if k is not None])
            if label is None:
                continue
            if label is _Label.SPREAD and node.op_type.startswith(("Reduce", "Global", "Average")):
                reduction = node
            used.add(id(node))
            for result in (end, *through_boundary(end)):
                labels[id(result)] = label
                queue.append(result)
    return None


def _divided(node: Node, operands: list[Value], labels: dict[int, _Label]) -> str | None:
    if node.op_type not in ("Mul", "Div") or len(operands) != 2:
        return None
    first, second = (labels[id(v)] for v in operands)
    if second is _Label.TOTAL and first is _Label.EXPONENTIAL:
        return "softmax"
    if _Label.SPREAD not in (first, second) or (node.op_type == "Div" and second is not _Label.SPREAD):
        return None
    other = first if second is _Label.SPREAD else second
    return {_Label.PLAIN: "plain", _Label.CENTRED: "centred"}.get(other)


def _label(node: Node, known: list[_Label]) -> _Label | None:  # noqa: C901, PLR0911, PLR0912  a table of cases: operator by label
    """What the result of `node` is, given what its operands are; None where it is nothing of interest."""
    op = node.op_type
    if len(known) == 1:
        label = known[0]
        if node.spec.only_moves or node.spec.axis_map in (AxisMap.EXPAND, AxisMap.PAD):
            return label
        if label in (_Label.PLAIN, _Label.CENTRED):
            if op in _MEANS:
                return _Label.MEAN
            if op in ("ReduceL2", "ReduceSumSquare", "ReduceL1"):
                return _Label.SPREAD
            if op == "Pow":
                return _Label.SQUARE if _is_two(node) else None
            if op == "Abs":
                return _Label.SQUARE
            return _Label.EXPONENTIAL if op == "Exp" else None
        if label is _Label.SQUARE:
            return _Label.SPREAD if op in _SPREADS else None
        if label is _Label.EXPONENTIAL:
            return _Label.TOTAL if op == "ReduceSum" else None
        if label in (_Label.SPREAD, _Label.TOTAL, _Label.MEAN):
            if op == "Pow" and label is _Label.MEAN:
                return _Label.SPREAD
            return label if op in _RESCALING else None
        return None
    if len(known) == 2:
        pair = set(known)
        if op == "Sub" and known[1] is _Label.MEAN and known[0] is _Label.PLAIN:
            return _Label.CENTRED
        if op == "Mul" and known[0] is known[1] and known[0] in (_Label.PLAIN, _Label.CENTRED):
            return _Label.SQUARE
        if op in ("Sub", "Add", "Mul", "Max") and pair <= {_Label.SPREAD, _Label.MEAN}:
            return _Label.SPREAD
    return None


def _is_two(node: Node) -> bool:
    exponent = node.input(1)
    return exponent is not None and scalar(exponent) == 2.0


def _kind(found: str, reduction: Node | None) -> str:
    """Name of a written-out normalisation, from what it divides and the axes it reduces over."""
    if reduction is not None and reduction.op_type.startswith(("ReduceL", "ReduceSumSquare", "ReduceSum")):
        return "l2_norm"
    if reduction is None:
        return "layer_norm"
    if reduction.op_type == "AveragePool":
        return "local_response_norm"
    source = reduction.input(0)
    rank = len(source.dims) if source is not None and source.dims is not None else None
    axes = axes_of(reduction)
    spatial = reduction.op_type == "GlobalAveragePool" or (axes is not None and min(axes) >= 2 and len(axes) > 1)
    if spatial and rank is not None and rank >= 4:
        return "instance_norm"
    return "rms_norm" if found == "plain" else "layer_norm"


def axes_of(node: Node) -> list[int] | None:
    """Axes of a reduction, from its attribute or its second input; None for all, or where they are not stored."""
    axes = node.attr("axes")
    if axes is not None:
        return [int(a) for a in axes]
    operand = node.input(1)
    if operand is None or operand.tensor is None or not operand.tensor.size:
        return None
    return [int(a) for a in operand.tensor.array().ravel()]
