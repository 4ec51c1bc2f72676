"""A network of integers as the network of real numbers that it stands for.

Codes stand for (code - zero point) * scale. The model that is made here computes with these numbers themselves under the names of the codes:
rounding is left out, and what a quantiser cuts off at the ends of its range is cut off still. So it has values in the units of training, and
a gradient, the one that quantisation-aware training uses (straight-through, Bengio et al. 2013; with the hard tanh of Courbariaux et al.
2016 in the place of a sign).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from initaudit.model.operators import Use, operator_spec
from initaudit.probe.element_types import element_types
from initaudit.probe.integer_operators import OPERATORS
from initaudit.probe.real_writer import NotRealError, RealWriter
from initaudit.probe.segments import Network

if TYPE_CHECKING:
    from initaudit.probe.plan import LayerPlan

STAIRS = {"Round": None, "Floor": None, "Ceil": None, "Sign": (-1.0, 1.0)}
"""Operators whose answer is a staircase, and what of it is kept in front of a product: nothing cut off, or the range of the hard tanh."""
_INTEGERS = frozenset(
    (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32, TensorProto.INT64)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealNumbers:
    """The network in real numbers."""

    model: ModelProto
    cut: Mapping[str, str]
    """Output of an operator that quantises it itself -> the value that is passed on, within the range."""
    factors: Mapping[str, str]
    """Output of what is a plain product with a weight now, its second operand -> the first."""

    def plans(self, layers: Sequence[LayerPlan]) -> tuple[LayerPlan, ...]:
        """What to look at for the same layers."""
        return tuple(self._plan(layer) for layer in layers)

    def _plan(self, layer: LayerPlan) -> LayerPlan:
        after = layer.postactivation
        moved = replace(layer, postactivation=None if after is None else self.cut.get(after, after))
        if layer.output in self.factors:
            return replace(moved, input=self.factors[layer.output], weight=1)
        return replace(moved, input=None if layer.input is None else self.cut.get(layer.input, layer.input))


def has_integer_layers(model: ModelProto, layers: Sequence[LayerPlan]) -> bool:
    """Whether the output of some layer is made of integers."""
    types = element_types(model)
    return any(types.get(layer.output) in _INTEGERS for layer in layers)


def is_rounded(network: Network) -> bool:
    """Whether what the network makes of its data is rounded on the way."""
    return any(operator_spec(node.op_type, node.domain).rounds for node, _ in network.nodes) or bool(_stairs(network))


def real_numbers(model: ModelProto) -> RealNumbers | None:
    """The flattened model in real numbers, weights shared with it; None where it does something else with its integers."""
    network = Network(model)
    stairs = _stairs(network)
    copy = ModelProto()
    copy.CopyFrom(model)
    writer = RealWriter(copy, network)
    nodes: list[NodeProto] = []
    try:
        for node in copy.graph.node:
            nodes += _written(writer, node, stairs)
    except NotRealError:
        return None
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del copy.graph.node[:]
    copy.graph.node.extend(copies)
    del copy.graph.value_info[:]
    for info in copy.graph.output:
        if info.name in writer.real:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    return RealNumbers(model=copy, cut=writer.cut, factors=writer.factors)


def _written(writer: RealWriter, node: NodeProto, stairs: AbstractSet[str]) -> list[NodeProto]:
    """What stands in the place of a node. Raises NotRealError."""
    writer.made = []
    output = node.output[0] if node.output else ""
    handler = OPERATORS.get(node.op_type)
    if output not in writer.network.position:
        return [node]
    if handler is not None:
        handler(writer, node)
    elif output in stairs:
        _stair(writer, node)
    else:
        _other(writer, node)
    return writer.made


def _stair(writer: RealWriter, node: NodeProto) -> None:
    ends = STAIRS[node.op_type]
    value = writer.passed(node.input[0])
    if ends is None:
        writer.add("Identity", [value], node.output[0])
    else:
        low, high = (writer.constant(np.float32(end)) for end in ends)
        writer.clip(value, low, high, node.output[0])


def _other(writer: RealWriter, node: NodeProto) -> None:
    """An operator of no codes, or one that means the same for numbers."""
    copy = NodeProto.FromString(node.SerializeToString())
    for position, name in enumerate(copy.input):
        copy.input[position] = writer.passed(name)
    spec = operator_spec(node.op_type, node.domain)
    if any(name in writer.real for name in node.input):
        if node.op_type == "Cast":
            attribute = next(a for a in copy.attribute if a.name == "to")
            attribute.i = TensorProto.FLOAT if attribute.i in _INTEGERS else attribute.i
        elif spec.use not in (Use.PASS, Use.SUM, Use.SCALE, Use.SHAPE) and node.op_type != "Relu":
            raise NotRealError(f"{node.op_type} of codes")
        if spec.use is not Use.SHAPE:
            writer.real.update(name for name in node.output if name and writer.types.get(name, 0) in {0, *_INTEGERS})
    writer.made.append(copy)


def _stairs(network: Network) -> set[str]:
    """Outputs of staircase operators on the way from the data into a product with a weight.

    A value is on it that, moved, added to others or scaled by constants at most, is multiplied by a stored weight or leaves the network.
    """
    entering = set(network.outputs)
    for node, read in reversed(network.nodes):
        spec = operator_spec(node.op_type, node.domain)
        moving = {name for name in node.input if network.is_data(name)}
        for name in read:
            alone = moving <= {name}
            follows = alone and (
                spec.use is Use.SCALE or spec.norm or node.op_type in (*STAIRS, "Relu", "Sub", "Max", "Min")
            )
            follows = follows or spec.use is Use.PASS or node.op_type in ("Add", "Sum")
            if (spec.use is Use.PRODUCT and alone) or (follows and node.output[0] in entering):
                entering.add(name)
    return {node.output[0] for node, _ in network.nodes if node.op_type in STAIRS and node.output[0] in entering}
