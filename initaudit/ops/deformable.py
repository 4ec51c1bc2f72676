"""Deformable convolution: a convolution whose taps are moved by computed offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.op import Found, Operator
from initaudit.ops.convolution import convolution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants


class DeformableConvolution(Operator):
    """DeformConv (input, weight, offset, bias, mask): same weight and fans as Conv."""

    types = ("DeformConv", "mmcv:MMCVModulatedDeformConv2d", "mmdeploy:MMCVModulatedDeformConv2d")

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The convolution with its bias."""
        standard = node.is_standard
        weight = constants.get(node.input(1 if standard else 3))
        if weight is not None:
            yield convolution(node, weight, constants.get(node.input(3 if standard else 4)))
