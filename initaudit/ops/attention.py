"""Attention operators of onnxruntime that hold the projections of queries, keys and values in one weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.op import AuxiliaryConstant, DetachedConstant, Found, LayerSpec, NotALayer, Operator, WeightPlace
from initaudit.views.quantised import dequantise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants, Operand


class PackedAttention(Operator):
    """Attention, PackedAttention and QAttention: x·W with W [inputs, q + k + v], bias likewise."""

    types = ("com.microsoft:Attention", "com.microsoft:PackedAttention", "com.microsoft:QAttention",
             "com.microsoft:LongformerAttention", "com.microsoft:DecoderMaskedSelfAttention")  # fmt: skip

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """A layer each for q, k and v."""
        weight, bias = constants.get(node.input(1)), constants.get(node.input(2))
        if weight is None:
            return
        if node.op_type == "QAttention":
            weight = dequantise(weight, constants.get(node.input(4)), constants.get(node.input(7)), axis=1)
        if weight.rank != 2:
            raise ValueError(f"attention weight of shape {list(weight.shape)}")
        sizes = node.attr("qkv_hidden_sizes") or [weight.shape[1] // 3] * 3
        yield from projections(node, weight, bias, sizes, position=None if weight.computed else 1)
        if node.op_type == "LongformerAttention":
            for place in (4, 5):
                extra = constants.get(node.input(place))
                if extra is not None and extra.rank == 2:
                    yield from projections(node, extra, None, [extra.shape[1] // 3] * 3, position=place, role="global")


def projections(
    node: Node,
    weight: Operand,
    bias: Operand | None,
    sizes: list[int],
    *,
    position: int | None,
    role: str | None = None,
) -> Iterator[LayerSpec]:
    """q, k and v as parts of a packed weight [inputs, sum of sizes], input `position` of the node (None where it cannot be perturbed)."""
    if sum(sizes) != weight.shape[1]:
        raise ValueError(f"sizes {sizes} of q, k, v do not fill {weight.shape[1]} columns")
    start = 0
    for part, size in zip("qkv", sizes, strict=True):
        span = (start, start + size)
        yield LayerSpec(
            kind=Kind.ATTENTION,
            operand=weight.narrow(1, *span),
            unit_axes=(1,),
            input_axes=(0,),
            fan_in=weight.shape[0],
            fan_out=size,
            part=part,
            role=role,
            input=node.input(0),
            output=node.outputs[0],
            feeds=("attention",),
            auxiliary=() if bias is None else (AuxiliaryConstant(operand=bias, role="bias", span=span),),
            place=None
            if position is None
            else WeightPlace(position=position, shape=weight.shape, window=((0, weight.shape[0]), span)),
        )
        start += size


class BiasedAttention(Operator):
    """MultiHeadAttention and relatives: the biases of the three projections before it, packed in one vector."""

    types = ("com.microsoft:MultiHeadAttention", "com.microsoft:PackedMultiHeadAttention",
             "com.microsoft:DecoderMaskedMultiHeadAttention")  # fmt: skip

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The bias, piece by piece, for the layers that made q, k and v."""
        places = {"MultiHeadAttention": 3, "PackedMultiHeadAttention": 3, "DecoderMaskedMultiHeadAttention": 10}
        bias = constants.get(node.input(places[node.op_type]))
        if bias is None or bias.rank != 1:
            return
        third = bias.shape[0] // 3
        for index, value in enumerate(node.inputs[:3]):
            if value is not None:
                yield DetachedConstant(operand=bias, to=value, span=(index * third, (index + 1) * third))


class RotaryTables(Operator):
    """Rotary embeddings: tables of cosines and sines, which nobody learns."""

    types = ("com.microsoft:GroupQueryAttention", "com.microsoft:RotaryEmbedding", "RotaryEmbedding",
             "com.microsoft:SparseAttention", "com.microsoft:PagedAttention")  # fmt: skip

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The tables, as no weights."""
        places = {"GroupQueryAttention": (7, 8), "RotaryEmbedding": (2, 3) if node.domain else (1, 2),
                  "SparseAttention": (7, 8), "PagedAttention": (7, 8)}  # fmt: skip
        for place in places[node.op_type]:
            table = constants.get(node.input(place))
            if table is not None:
                yield NotALayer(operand=table, reason="table of cosines or sines of a rotary embedding")
