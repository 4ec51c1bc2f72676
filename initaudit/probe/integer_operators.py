"""Operators of integer networks, each written in the real numbers that its codes stand for (schemas of ONNX and onnxruntime)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import helper

from initaudit.probe.real_writer import NotRealError, RealWriter

if TYPE_CHECKING:
    from onnx import NodeProto

Handler = Callable[[RealWriter, "NodeProto"], None]
_KEPT_BY_CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")


def _input(node: NodeProto, position: int) -> str:
    return node.input[position] if position < len(node.input) else ""


def _attributes(node: NodeProto, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Attributes by name; of an operator that counts channels last there are none to give."""
    if any(a.name == "channels_last" and a.i for a in node.attribute):
        raise NotRealError(f"{node.op_type} with channels last")
    return {a.name: helper.get_attribute_value(a) for a in node.attribute if names is None or a.name in names}


def _quantise(writer: RealWriter, node: NodeProto) -> None:
    writer.quantised(writer.passed(node.input[0]), node.input[1], _input(node, 2), node.output[0])


def _dequantise(writer: RealWriter, node: NodeProto) -> None:
    if node.input[0] in writer.real:
        writer.add("Identity", [writer.passed(node.input[0])], node.output[0])
    else:
        writer.made.append(node)


def _quantise_dynamically(writer: RealWriter, node: NodeProto) -> None:
    """The scale is that of the real numbers: one, without a zero point."""
    writer.add("Identity", [writer.passed(node.input[0])], node.output[0])
    writer.real.add(node.output[0])
    for output, value in zip(node.output[1:], (np.float32(1.0), np.float32(0.0)), strict=False):
        writer.add("Identity", [writer.constant(value)], output)


def _qlinear_conv(writer: RealWriter, node: NodeProto) -> None:
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = node.input[:8]
    attributes = _attributes(node, _KEPT_BY_CONV)
    rank = 2 + len(attributes.get("kernel_shape", (1, 1)))
    inputs = [writer.number(x, x_scale, x_zero), writer.number(w, w_scale, w_zero, axis=0, rank=rank)]
    if _input(node, 8):
        factor = writer.add("Mul", [writer.float_of(x_scale), writer.along(w_scale, 0, 1)])
        inputs.append(writer.add("Mul", [writer.float_of(node.input[8]), factor]))
    writer.add("Conv", inputs, node.output[0], **attributes)
    writer.factors[node.output[0]] = inputs[0]
    writer.quantised(node.output[0], y_scale, y_zero, node.output[0])


def _qlinear_matmul(writer: RealWriter, node: NodeProto) -> None:
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = node.input[:8]
    inputs = [writer.number(a, a_scale, a_zero), writer.number(b, b_scale, b_zero)]
    writer.add("MatMul", inputs, node.output[0])
    if not writer.network.is_data(b):
        writer.factors[node.output[0]] = inputs[0]
    writer.quantised(node.output[0], y_scale, y_zero, node.output[0])


def _qgemm(writer: RealWriter, node: NodeProto) -> None:
    a, a_scale, a_zero, b, b_scale, b_zero = node.input[:6]
    attributes = _attributes(node, ("alpha", "transA", "transB"))
    inputs = [writer.number(a, a_scale, a_zero)]
    inputs.append(writer.number(b, b_scale, b_zero, axis=0 if attributes.get("transB") else 1, rank=2))
    if _input(node, 6):
        factor = writer.add("Mul", [writer.float_of(a_scale), writer.along(b_scale, 0, 1)])
        inputs.append(writer.add("Mul", [writer.float_of(node.input[6]), factor]))
    writer.add("Gemm", inputs, node.output[0], **attributes)
    writer.factors[node.output[0]] = inputs[0]
    if _input(node, 7):
        writer.quantised(node.output[0], node.input[7], _input(node, 8), node.output[0])


def _integer_product(writer: RealWriter, node: NodeProto, operator: str, **axis: int) -> None:
    x, w = node.input[:2]
    inputs = [writer.number(x, "", _input(node, 2)), writer.number(w, "", _input(node, 3), **axis)]
    writer.add(operator, inputs, node.output[0], **_attributes(node, _KEPT_BY_CONV))
    writer.real.add(node.output[0])


def _matmul_integer(writer: RealWriter, node: NodeProto) -> None:
    _integer_product(writer, node, "MatMul")


def _conv_integer(writer: RealWriter, node: NodeProto) -> None:
    kernel = _attributes(node).get("kernel_shape", (1, 1))
    _integer_product(writer, node, "Conv", axis=0, rank=2 + len(kernel))


def _to_float(writer: RealWriter, node: NodeProto, places: Mapping[str, int]) -> None:
    """A product of com.microsoft that gives real numbers; the first operand of DynamicQuantizeMatMul has them already."""
    given = {name: _input(node, position) for name, position in places.items()}
    left = node.input[0]
    left = writer.number(left, given["a_scale"], given["a_zero"]) if "a_scale" in given else writer.passed(left)
    right = writer.number(node.input[1], given["b_scale"], given["b_zero"])
    if not given["bias"]:
        writer.add("MatMul", [left, right], node.output[0])
    else:
        writer.add("Add", [writer.add("MatMul", [left, right]), given["bias"]], node.output[0])


def _dynamic_matmul(writer: RealWriter, node: NodeProto) -> None:
    _to_float(writer, node, {"b_scale": 2, "b_zero": 3, "bias": 4})


def _matmul_to_float(writer: RealWriter, node: NodeProto) -> None:
    _to_float(writer, node, {"a_scale": 2, "b_scale": 3, "a_zero": 4, "b_zero": 5, "bias": 6})


def _binary(operator: str) -> Handler:
    def write(writer: RealWriter, node: NodeProto) -> None:
        a, a_scale, a_zero, b, b_scale, b_zero, y_scale = node.input[:7]
        operands = [writer.number(a, a_scale, a_zero), writer.number(b, b_scale, b_zero)]
        writer.quantised(writer.add(operator, operands), y_scale, _input(node, 7), node.output[0])

    return write


def _unary(operator: str, *kept: str) -> Handler:
    def write(writer: RealWriter, node: NodeProto) -> None:
        x = writer.number(*node.input[:3])
        value = writer.add(operator, [x], **_attributes(node, kept))
        writer.quantised(value, node.input[3], _input(node, 4), node.output[0])

    return write


def _concat(writer: RealWriter, node: NodeProto) -> None:
    scale, zero, *rest = node.input
    values = [writer.number(*rest[i : i + 3]) for i in range(0, len(rest), 3)]
    writer.quantised(writer.add("Concat", values, **_attributes(node)), scale, zero, node.output[0])


OPERATORS: Final[Mapping[str, Handler]] = {
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
    "DynamicQuantizeLinear": _quantise_dynamically,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _qlinear_matmul,
    "QGemm": _qgemm,
    "MatMulInteger": _matmul_integer,
    "ConvInteger": _conv_integer,
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "MatMulIntegerToFloat": _matmul_to_float,
    "QLinearAdd": _binary("Add"),
    "QLinearMul": _binary("Mul"),
    "QLinearSigmoid": _unary("Sigmoid"),
    "QLinearLeakyRelu": _unary("LeakyRelu", "alpha"),
    "QLinearSoftmax": _unary("Softmax", "axis"),
    "QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "QLinearAveragePool": _unary(
        "AveragePool", "auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"
    ),
    "QLinearConcat": _concat,
}
"""By operator."""
