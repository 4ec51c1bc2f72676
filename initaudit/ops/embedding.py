"""Tables whose rows are looked up: Gather with indices from the input."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.op import Found, LayerSpec, Operator, WeightPlace
from initaudit.views.quantised import dequantise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.views import Constants, Operand


def table(rows: Operand, *, axis: int, source: Value | None, output: Value | None, doubt: int = 0) -> LayerSpec:
    """A table with `rows.shape[axis]` rows: as a layer, the product of one-hot vectors with it, one input active at a time.

    fan_in counts the rows, fan_out what a row holds; the axis of the rows is the one summed over.
    """
    others = tuple(a for a in range(rows.rank) if a != axis)
    return LayerSpec(
        kind=Kind.EMBEDDING,
        operand=rows,
        unit_axes=others,
        input_axes=(axis,),
        fan_in=rows.shape[axis],
        fan_out=math.prod(rows.shape[a] for a in others),
        input=source,
        output=output,
        channel_axis=-1 if others else None,
        doubt=doubt,
    )


class Embedding(Operator):
    """Gather, GatherND and GatherElements from a constant of floating point, or of 8 bits that are dequantised behind."""

    types = ("Gather", "GatherND", "GatherElements")

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """One table; where the indices are constant too, a layer only if nothing else uses the table."""
        data, indices, output = constants.get(node.input(0)), node.input(1), node.outputs[0]
        if data is None or data.rank == 0 or data.size <= 1 or output is None:
            return
        fixed = constants.get(indices)
        if fixed is not None and (fixed.rank == 0 or data.rank < 2):
            return
        if not data.is_floating:
            dequantised = _dequantised_behind(data, output, constants)
            if dequantised is None:
                return
            data = dequantised
        axis = int(node.attr("axis", 0)) % data.rank if node.op_type != "GatherND" else 0
        place = None if data.computed or fixed is not None else WeightPlace(position=0, shape=data.shape)
        found = table(data, axis=axis, source=indices, output=output, doubt=0 if fixed is None else 1)
        yield replace(found, place=place)


def _dequantised_behind(codes: Operand, output: Value, constants: Constants) -> Operand | None:
    for consumer, position in output.consumers:
        if consumer.op_type == "DequantizeLinear" and position == 0:
            scale = constants.get(consumer.input(1))
            if scale is not None and scale.size == 1:
                return dequantise(codes, scale, constants.get(consumer.input(2)))
    return None
