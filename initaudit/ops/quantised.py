"""Integer forms of convolutions and matrix products: the layer of the float operator, its weight dequantised."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from initaudit.op import AuxiliaryConstant, Found, LayerSpec, Operator
from initaudit.ops.convolution import convolution
from initaudit.ops.linear import linear
from initaudit.views.quantised import dequantise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node, Value
    from initaudit.views import Constants, Operand

MAX_SEARCH = 4
"""Operators between an integer product and the multiplication by its scales: a Cast, at most a Reshape or two."""


class Places(NamedTuple):
    """Input positions of an integer operator; None where it has no such input."""

    weight: int
    scale: int | None = None
    zero: int | None = None
    bias: int | None = None
    input_scale: int | None = None


CONVOLUTIONS = {
    "ConvInteger": Places(weight=1, zero=3),
    "com.microsoft:ConvInteger": Places(weight=1, zero=3),
    "QLinearConv": Places(weight=3, scale=4, zero=5, bias=8, input_scale=1),
    "com.microsoft:QLinearConv": Places(weight=3, scale=4, zero=5, bias=8, input_scale=1),
}
"""By operator (schemas of ONNX and onnxruntime)."""
PRODUCTS = {
    "MatMulInteger": Places(weight=1, zero=3),
    "QLinearMatMul": Places(weight=3, scale=4, zero=5),
    "com.microsoft:QGemm": Places(weight=3, scale=4, zero=5, bias=6, input_scale=1),
    "com.microsoft:DynamicQuantizeMatMul": Places(weight=1, scale=2, zero=3, bias=4),
    "com.microsoft:MatMulIntegerToFloat": Places(weight=1, scale=3, zero=5, bias=6),
}
"""The same for matrix products."""


def _key(node: Node) -> str:
    return f"{node.domain}:{node.op_type}" if node.domain else node.op_type


def real_input(value: Value | None) -> Value | None:
    """What was quantised to give the integers that an operator reads."""
    maker = value.producer if value is not None else None
    quantised = maker is not None and maker.op_type in ("DynamicQuantizeLinear", "QuantizeLinear")
    return maker.input(0) if quantised and maker is not None else value


class IntegerConvolution(Operator):
    """ConvInteger and QLinearConv."""

    types = tuple(CONVOLUTIONS)

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The convolution; scales count along the output channels."""
        places = CONVOLUTIONS[_key(node)]
        weight, output = _float_weight(node, places, constants, axis=0)
        if weight is not None:
            bias = _float_bias(node, places, constants)
            channels_last = bool(node.attr("channels_last", 0))
            spec = convolution(node, weight, bias, output=output, channels_last=channels_last)
            yield replace(spec, input=real_input(node.input(0)), place=None)


class IntegerProduct(Operator):
    """MatMulInteger, QLinearMatMul, QGemm and relatives: x·W with W of 8 bits."""

    types = tuple(PRODUCTS)

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The linear layer; scales count along the units."""
        places = PRODUCTS[_key(node)]
        transposed = bool(node.attr("transB", 0))
        stored = constants.get(node.input(places.weight))
        if stored is None:
            yield from self._on_left(node, constants)
            return
        weight, output = _float_weight(node, places, constants, axis=0 if transposed else stored.rank - 1)
        if weight is not None and weight.size > 1:
            bias = _float_bias(node, places, constants)
            yield linear(
                weight,
                source=real_input(node.input(0)),
                output=output,
                transposed=transposed,
                auxiliary=() if bias is None else (AuxiliaryConstant(operand=bias, role="bias"),),
            )

    def _on_left(self, node: Node, constants: Constants) -> Iterator[LayerSpec]:
        """W·x, where the first operand is constant."""
        stored = constants.get(node.input(0))
        if node.op_type not in ("QLinearMatMul", "MatMulInteger") or stored is None or stored.size <= 1:
            return
        linear_form = node.op_type == "QLinearMatMul"
        scale, output = constants.get(node.input(1)), node.outputs[0]
        if not linear_form:
            scale, output = _scale_behind(node.outputs[0], constants, side=0)
        weight = dequantise(stored, scale, constants.get(node.input(2)), axis=max(stored.rank - 2, 0))
        yield linear(weight, source=real_input(node.input(3 if linear_form else 1)), output=output, on_left=True)


def _float_weight(
    node: Node, places: Places, constants: Constants, *, axis: int
) -> tuple[Operand | None, Value | None]:
    """The weight in real units, and the first value that holds the product in real units."""
    output = node.outputs[0]
    codes = constants.get(node.input(places.weight))
    if codes is None:
        return None, output
    zero = None if places.zero is None else constants.get(node.input(places.zero))
    if places.scale is not None:
        scale = constants.get(node.input(places.scale))
    else:
        scale, output = _scale_behind(output, constants, side=1)
    if scale is not None and scale.size > 1:
        scale = _as_factors(scale, codes, axis)
    if zero is not None and zero.size > 1:
        zero = _as_factors(zero, codes, axis)
    return dequantise(codes, scale, zero, axis=axis), output


def _as_factors(factor: Operand, codes: Operand, axis: int) -> Operand | None:
    """Factors in any shape that holds one per unit, as a vector; None where they do not fit."""
    return factor.reshape((factor.size,)) if factor.size == codes.shape[axis] else None


def _scale_behind(output: Value | None, constants: Constants, *, side: int) -> tuple[Operand | None, Value | None]:
    """Scale of the weight of an integer product, and the product in real units.

    Exporters multiply it by input scale · weight scale; where both are constant (the input comes from a quantised table) the
    weight's is the one on its `side`.
    """
    at = output
    for _ in range(MAX_SEARCH):
        if at is None or len(at.consumers) != 1:
            break
        node, position = at.consumers[0]
        if node.op_type == "Mul":
            factor = node.input(1 - position)
            maker = factor.producer if factor is not None else None
            if maker is not None and maker.op_type == "Mul":
                scales = [constants.get(value) for value in maker.inputs]
                known = [scale for scale in scales if scale is not None]
                return scales[side] if len(known) == 2 else next(iter(known), None), node.outputs[0]
            fixed = constants.get(factor)
            if fixed is None:
                break
            return fixed, node.outputs[0]
        if node.op_type not in ("Cast", "Reshape", "Add"):
            break
        at = node.outputs[0]
    return None, output


def _float_bias(node: Node, places: Places, constants: Constants) -> Operand | None:
    """The bias in real units: integers of QLinearConv and QGemm count input scale · weight scale."""
    bias = None if places.bias is None else constants.get(node.input(places.bias))
    if bias is None or bias.is_floating:
        return bias
    given = [constants.get(node.input(i)) for i in (places.input_scale, places.scale) if i is not None]
    scales = [s for s in given if s is not None]
    if len(scales) != 2:
        return bias
    first, second = scales

    def compute(codes: np.ndarray) -> np.ndarray:
        factor = first.array().astype(np.float32) * second.array().astype(np.float32)
        return np.asarray(codes.astype(np.float32) * factor.reshape(-1 if factor.size > 1 else ()))

    return bias.then("dequantize", bias.shape, compute, dtype="float32", exact=False)
