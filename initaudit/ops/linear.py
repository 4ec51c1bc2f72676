"""Matrix products with a constant: Gemm and MatMul in all their forms, the weight on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.op import AuxiliaryConstant, Found, LayerSpec, NotALayer, Operator, WeightPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.views import Constants, Operand


def linear(
    weight: Operand,
    *,
    source: Value | None,
    output: Value | None,
    on_left: bool = False,
    transposed: bool = False,
    auxiliary: tuple[AuxiliaryConstant, ...] = (),
    doubt: int = 0,
    place: WeightPlace | None = None,
) -> LayerSpec:
    """A linear layer x·W (W [..., K, N], or [..., N, K] if transposed) or W·x (W [..., M, K], or [..., K, M] if transposed).

    Leading axes count independent copies (experts, heads). A vector is one unit.
    """
    rank = weight.rank
    if rank == 1:
        inputs: tuple[int, ...] = (0,)
        units: tuple[int, ...] = ()
        fan_in, fan_out = weight.shape[0], 1
    else:
        contracted = rank - 1 if on_left != transposed else rank - 2
        free = 2 * rank - 3 - contracted
        inputs, units = (contracted,), (free,)
        fan_in, fan_out = weight.shape[contracted], weight.shape[free]
    return LayerSpec(
        kind=Kind.LINEAR,
        operand=weight,
        unit_axes=units,
        input_axes=inputs,
        fan_in=fan_in,
        fan_out=fan_out,
        input=source,
        output=output,
        channel_axis=-2 if on_left else -1,
        auxiliary=auxiliary,
        doubt=doubt,
        place=place,
    )


def scaled(weight: Operand, factor: float) -> Operand:
    """The weight times a factor of the operator (alpha)."""
    if factor == 1.0:
        return weight
    return weight.then(f"mul({factor:g})", weight.shape, lambda a: a * a.dtype.type(factor), exact=False)


class Gemm(Operator):
    """alpha·A·B + beta·C with either operand transposed."""

    types = ("Gemm", "com.microsoft:FusedGemm", "com.microsoft:GemmFloat8")

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """One linear layer; B is the weight unless only A is constant."""
        left, right = constants.get(node.input(0)), constants.get(node.input(1))
        on_left = right is None
        weight = left if right is None else right
        if weight is None:
            return
        if left is not None:
            yield from of_constants(left, right, node)
        transposed = bool(node.attr("transA" if on_left else "transB", 0))
        bias = constants.get(node.input(2))
        auxiliary = (
            ()
            if bias is None
            else (AuxiliaryConstant(operand=scaled(bias, float(node.attr("beta", 1.0))), role="bias"),)
        )
        yield linear(
            scaled(weight, float(node.attr("alpha", 1.0))),
            source=node.input(1 if on_left else 0),
            output=node.outputs[0],
            on_left=on_left,
            transposed=transposed,
            auxiliary=auxiliary,
            doubt=int(left is not None and right is not None),
            place=WeightPlace(position=1 - on_left, shape=weight.shape),
        )


def of_constants(left: Operand | None, right: Operand | None, node: Node) -> Iterator[NotALayer]:
    """The first of two constants is data (an initial state, a table of positions) unless it is a factor of another layer's weight."""
    if left is not None and right is not None:
        yield NotALayer(operand=left, reason=f"constant data that goes into a product ({node.op_type})")


class MatMul(Operator):
    """Matrix product with numpy's rules, and its fused forms."""

    types = (
        "MatMul",
        "com.microsoft:FusedMatMul",
        "com.microsoft:TransposeMatMul",
        "com.microsoft:FusedMatMulActivation",
    )

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """One linear layer; B is the weight unless only A is constant."""
        left, right = constants.get(node.input(0)), constants.get(node.input(1))
        on_left = right is None
        weight = left if right is None else right
        if weight is None:
            return
        if left is not None:
            yield from of_constants(left, right, node)
        if weight.rank == 0 or not weight.is_floating:
            return
        side = "A" if on_left else "B"
        place = WeightPlace(position=1 - on_left, shape=weight.shape)
        if node.attr(f"transBatch{side}", 0):  # batch axes stand behind the rows: [M, batch..., K]
            weight = weight.transpose((*range(1, weight.rank - 1), 0, weight.rank - 1))
        yield linear(
            scaled(weight, float(node.attr("alpha", 1.0))),
            source=node.input(1 if on_left else 0),
            output=node.outputs[0],
            on_left=on_left,
            transposed=bool(node.attr(f"trans{side}", 0)),
            doubt=int(left is not None and right is not None),
            place=place,
        )


class GemmFastGelu(Operator):
    """gelu(A·B + C), with the tanh approximation; B is the weight, C may be missing."""

    types = ("com.microsoft:GemmFastGelu",)

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """One linear layer whose output has gone through the activation."""
        weight, bias = constants.get(node.input(1)), constants.get(node.input(2))
        if weight is not None and weight.rank > 0:
            yield linear(
                weight,
                source=node.input(0),
                output=node.outputs[0],
                auxiliary=() if bias is None else (AuxiliaryConstant(operand=bias, role="bias"),),
            )
