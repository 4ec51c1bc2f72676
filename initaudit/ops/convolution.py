"""Convolutions: weight [M, C/groups, k...], one bias per output channel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.op import AuxiliaryConstant, Found, LayerSpec, Operator, WeightPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.views import Constants, Operand


class Convolution(Operator):
    """Conv and the operators that compute the same with another data type or an activation fused in."""

    types = ("Conv", "com.microsoft:FusedConv", "com.microsoft.nchwc:Conv", "com.ms.internal.nhwc:Conv",
             "com.microsoft:NhwcFusedConv", "com.microsoft:NhwcConv")  # fmt: skip

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The convolution with its bias."""
        weight = constants.get(node.input(1))
        if weight is not None:
            nhwc = node.op_type.startswith("Nhwc") or "nhwc" in node.domain
            yield convolution(node, weight, constants.get(node.input(2)), channels_last=nhwc)


def convolution(
    node: Node, weight: Operand, bias: Operand | None, *, output: Value | None = None, channels_last: bool = False
) -> LayerSpec:
    """A convolution layer from weight [M, C/groups, k...]."""
    groups = int(node.attr("group", 1))
    units, per_group, *kernel = weight.shape
    taps = math.prod(kernel)
    return LayerSpec(
        kind=convolution_kind(groups, per_group),
        operand=weight,
        unit_axes=(0,),
        input_axes=tuple(range(1, weight.rank)),
        fan_in=per_group * taps,
        fan_out=units // groups * taps,
        groups=groups,
        input=node.input(0),
        output=output or node.outputs[0],
        channel_axis=-1 if channels_last else 1,
        auxiliary=() if bias is None else (AuxiliaryConstant(operand=bias, role="bias"),),
        place=WeightPlace(position=1, shape=weight.shape),
    )


def convolution_kind(groups: int, channels_per_group: int) -> Kind:
    """Ordinary, grouped, or depthwise where each group sees one channel."""
    if groups == 1:
        return Kind.CONV
    return Kind.DEPTHWISE_CONV if channels_per_group == 1 else Kind.GROUPED_CONV
