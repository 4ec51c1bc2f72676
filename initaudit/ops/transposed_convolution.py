"""Transposed convolutions: weight [C, M/groups, k...]."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.op import AuxiliaryConstant, Found, LayerSpec, Operator, WeightPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants


class TransposedConvolution(Operator):
    """ConvTranspose: the gradient of a convolution with respect to its input."""

    types = ("ConvTranspose", "com.microsoft:ConvTransposeWithDynamicPads")

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The layer; with several groups, each group's units are its own slice of axis 0 and all of axis 1."""
        weight = constants.get(node.input(1))
        if weight is None:
            return
        groups = int(node.attr("group", 1))
        channels, units_per_group, *kernel = weight.shape
        taps = math.prod(kernel)
        bias = constants.get(node.input(2 if node.is_standard else 3))
        yield LayerSpec(
            kind=Kind.CONV_TRANSPOSE,
            operand=weight,
            unit_axes=(1,),
            input_axes=(0, *range(2, weight.rank)),
            fan_in=channels // groups * taps,
            fan_out=units_per_group * taps,
            groups=groups,
            input=node.input(0),
            output=node.outputs[0],
            channel_axis=1,
            auxiliary=() if bias is None else (AuxiliaryConstant(operand=bias, role="bias"),),
            place=WeightPlace(position=1, shape=weight.shape),
        )
