"""EmbedLayerNormalization: three lookups, their sum, and a normalisation in one operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.op import AuxiliaryConstant, Found, Operator
from initaudit.ops.embedding import table
from initaudit.ops.normalisation import norm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants


class EmbedLayerNormalization(Operator):
    """Inputs: ids, segment ids, word table, position table, segment table, scale, bias."""

    types = ("com.microsoft:EmbedLayerNormalization", "com.microsoft:QEmbedLayerNormalization")

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """Each table and the norm layer."""
        quantised = node.op_type.startswith("Q")
        from dataclasses import replace

        from initaudit.views.quantised import dequantise

        for place, part in ((2, "word"), (3, "position"), (4, "segment")):
            rows = constants.get(node.input(place))
            if rows is None:
                continue
            if quantised:
                rows = dequantise(rows, constants.get(node.input(place + 6)), constants.get(node.input(place + 11)))
            spec = table(rows, axis=0, source=node.input(1 if part == "segment" else 0), output=None)
            yield replace(spec, role=part, feeds=("norm:layer_norm",))
        scale, bias = constants.get(node.input(5)), constants.get(node.input(6))
        if scale is not None:
            if quantised:
                scale = dequantise(scale, constants.get(node.input(11)), constants.get(node.input(16)))
                bias = (
                    None
                    if bias is None
                    else dequantise(bias, constants.get(node.input(12)), constants.get(node.input(17)))
                )
            yield norm(
                scale,
                source=None,
                output=node.outputs[0],
                channel_axis=-1,
                position=None,
                auxiliary=() if bias is None else (AuxiliaryConstant(operand=bias, role="bias"),),
            )
