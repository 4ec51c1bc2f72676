"""Constants that enter the graph as data: class and mask tokens, learned queries, positions that are resized, fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.op import Found, NotALayer, Operator
from initaudit.ops.elementwise import fill_reason, fixed_reason, learned_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants, Operand


COMPARISONS = ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Clip", "NonMaxSuppression")


class Token(Operator):
    """Expand, Tile, Concat, Where, Pad and their like of a constant and something else; a norm of a constant."""

    types = ("Expand", "Tile", "Concat", "Where", "Resize", "Upsample", "ScatterND", "ScatterElements", "LayerNormalization",
             "RMSNormalization", "Split", "Slice", "Reshape", "Transpose", "Pow", "Min", "Max")  # fmt: skip

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """A learned token or table, unless its values say that it is a fill."""
        fixed_output = constants.get(node.outputs[0] if node.outputs else None) is not None
        if fixed_output and not node.op_type.endswith("Normalization"):
            return
        for position, value in enumerate(node.inputs):
            constant = constants.get(value)
            if constant is None or not constant.is_floating or constant.size <= 1:
                continue
            if node.op_type in ("Resize", "Upsample") and position > 0:
                yield NotALayer(operand=constant, reason="factors of a resize")
                continue
            if position > 0 and node.op_type.endswith("Normalization"):
                continue
            reason = fixed_reason(constant) or fill_reason(constant)
            if reason is not None:
                yield NotALayer(operand=constant, reason=reason)
            else:
                yield learned_table(constant, source=None, output=node.outputs[0])


class ConstantData(Operator):
    """Constants where an operator takes its data, its quantisation or something to compare with: nothing that is learned."""

    types = ("Conv", "ConvTranspose", "DeformConv", "ConvInteger", "QLinearConv", "QuantizeLinear", "DequantizeLinear",
             "Loop", "Scan", *COMPARISONS)  # fmt: skip

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The reason for each."""
        for position, value in enumerate(node.inputs):
            constant = constants.get(value)
            if constant is None or constant.size <= 1:
                continue
            reason = self._reason(node, position, constant, constants)
            if reason is not None:
                yield NotALayer(operand=constant, reason=reason)

    @staticmethod
    def _reason(node: Node, position: int, constant: Operand, constants: Constants) -> str | None:
        op = node.op_type
        if op in ("Conv", "ConvTranspose", "ConvInteger", "QLinearConv") and position == 0:
            return "constant data that goes into a convolution"
        if op == "DeformConv" and position in (0, 2, 4):
            return "constant data, offsets or mask of a deformable convolution"
        if op in ("QuantizeLinear", "DequantizeLinear"):
            if position > 0:
                return "scales or zero points of a quantisation"
            return "constant data that is quantised" if constants.get(node.outputs[0]) is None else None
        if op in ("Loop", "Scan"):
            return "initial state of a loop" if constant.is_floating and fill_reason(constant) else None
        return "bounds or values to compare with" if op in COMPARISONS else None
