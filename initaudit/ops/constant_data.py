"""Constants that enter the graph as data: class and mask tokens, learned queries, positions that are resized, fills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit import decoys
from initaudit.op import Aside, Found, Operator
from initaudit.ops.elementwise import fixed_reason, learned_table

if TYPE_CHECKING:
    from initaudit.graph import Node
    from initaudit.views import Constants


class Token(Operator):
    """Expand, Tile, Concat, Where, Pad and their like of a constant and something else; a norm of a constant."""

    types = ("Expand", "Tile", "Concat", "Where", "Resize", "Upsample", "ScatterND", "ScatterElements", "LayerNormalization",
             "RMSNormalization", "Split", "Slice", "Reshape", "Transpose")  # fmt: skip

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
                yield Aside(operand=constant, reason="factors of a resize")
                continue
            if position > 0 and node.op_type.endswith("Normalization"):
                continue
            reason = fixed_reason(constant)
            if reason is None and constant.size <= decoys.MAX_READ and decoys.is_constant_fill(constant.array()):
                reason = "a fill of one value"
            if reason is not None:
                yield Aside(operand=constant, reason=reason)
            else:
                yield learned_table(constant, source=None, output=node.outputs[0])
