"""Operators of constants that compute: elementwise arithmetic with broadcasting, and quantisers of other tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.views.dtypes import numpy_dtype
from initaudit.views.memory import WIDEST, together
from initaudit.views.operand import Operand
from initaudit.views.steps import Inputs, Step, need

if TYPE_CHECKING:
    from initaudit.model.graph import Node

Binary = Callable[[Any, Any], Any]

_BINARY: dict[str, Binary] = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Pow": np.power}


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    integers = np.issubdtype(a.dtype, np.integer)
    return np.asarray(np.trunc(np.true_divide(a, b)).astype(a.dtype) if integers else np.true_divide(a, b))


def _binary(function: Binary) -> Step:
    def step(node: Node, inputs: Inputs) -> list[Operand]:
        a, b = need(inputs, 0), need(inputs, 1)
        if node.attr("broadcast") and node.attr("axis") is not None:  # opset < 7 aligns b with an axis of a
            tail = a.rank - int(node.attr("axis")) % a.rank - b.rank
            b = b.reshape((*b.shape, *([1] * tail)))
        return [_combined(node.op_type.lower(), a, b, function)]

    return step


def _combined(label: str, a: Operand, b: Operand, function: Binary) -> Operand:
    """function(a, b) with numpy's broadcasting; the larger operand is the weight, scalars are no tensors of it."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    main, other = (a, b) if a.size >= b.size else (b, a)
    extra = other.tensors if other.size > 1 else ()

    def compute(_: np.ndarray | None = None) -> np.ndarray:
        with np.errstate(all="ignore"):
            result = np.asarray(function(a.array(), b.array()))
        return result.astype(numpy_dtype(a.dtype), copy=False)

    def further(axis: int, low: int, high: int) -> Operand:
        def along(operand: Operand) -> Operand:
            own = axis - (len(shape) - operand.rank)
            return operand if own < 0 or operand.shape[own] == 1 else operand.narrow(own, low, high)

        return _combined(label, along(a), along(b), function)

    made = main.then(label, shape, compute, dtype=a.dtype, exact=False, with_=extra, narrowing=further)
    return replace(
        made,
        compute=compute,
        length=max(a.length, b.length) + 1,
        work=a.work + b.work + made.work - main.work,
        memory=together((a.memory, b.memory)).then(made.nbytes, 3 * WIDEST * made.size),
    )


def _constant_of_shape(node: Node, inputs: Inputs) -> list[Operand]:
    """A tensor that the file describes by its shape and one value; it stands for itself, nothing else is stored."""
    from initaudit.model.tensors import Tensor, tensor_from_proto

    shape = tuple(need(inputs, 0).integers())
    if min(shape, default=0) < 0:
        raise ValueError(f"negative dimension in {list(shape)}")
    proto = node.attr("value")
    value = (
        tensor_from_proto(proto, name="value", folder=None).array().reshape(-1)[0]
        if proto is not None
        else np.float32(0)
    )
    filled = np.broadcast_to(value, shape)
    output = node.outputs[0]
    name = output.name if output is not None else node.name
    tensor = Tensor(name=name, proto=None, dtype=filled.dtype.name, shape=shape, literal=filled, origin="generated")
    return [Operand(tensors=(tensor,), shape=shape, dtype=filled.dtype.name, compute=tensor.array)]


def _shape(node: Node, inputs: Inputs) -> list[Operand]:
    data = need(inputs, 0)
    dims = np.asarray(data.shape[node.attr("start", 0) : node.attr("end", data.rank)], np.int64)
    return [Operand(tensors=(), shape=dims.shape, dtype="int64", compute=lambda: dims)]


ARITHMETIC: dict[str, Step] = {
    **{name: _binary(function) for name, function in _BINARY.items()},
    "Div": _binary(_divide),
    "ConstantOfShape": _constant_of_shape,
    "Shape": _shape,
}


def qonnx_quant(node: Node, inputs: Inputs) -> list[Operand]:
    """Quant of qonnx and Brevitas: quantised and dequantised at once with (values, scale, zero point, bit width)."""
    values, scale, zero, bits = (need(inputs, i) for i in range(4))
    signed, narrow = bool(node.attr("signed", 1)), bool(node.attr("narrow", 0))

    def compute(array: np.ndarray) -> np.ndarray:
        width = float(bits.array().reshape(-1)[0])
        low = -(2 ** (width - 1)) + narrow if signed else 0.0
        high = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
        step, shift = scale.array().astype(np.float32), zero.array().astype(np.float32)
        codes = np.clip(np.rint(array / step + shift), low, high)
        return np.asarray((codes - shift) * step).astype(array.dtype)

    return [_requantised("quant", values, scale, zero, compute)]


def qonnx_bipolar(node: Node, inputs: Inputs) -> list[Operand]:
    """BipolarQuant of qonnx: the sign of the values, zero counted as positive, times a scale."""
    del node
    values, scale = need(inputs, 0), need(inputs, 1)

    def compute(array: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(array >= 0, 1.0, -1.0) * scale.array().astype(np.float32)).astype(array.dtype)

    return [_requantised("sign", values, scale, None, compute)]


def _requantised(
    label: str, values: Operand, scale: Operand, zero: Operand | None, compute: Callable[[np.ndarray], np.ndarray]
) -> Operand:
    """Values that are quantised and dequantised at once, on the way four times as wide numbers."""
    factors = sum(o.memory.peak + WIDEST * o.size for o in (scale, zero) if o is not None)
    return values.then(
        label,
        values.shape,
        compute,
        exact=False,
        scratch=4 * WIDEST * values.size + factors,
        with_=scale.tensors if scale.size > 1 else (),
    )


QONNX: dict[str, Step] = {"Quant": qonnx_quant, "IntQuant": qonnx_quant, "BipolarQuant": qonnx_bipolar}
"""Quantisers of qonnx and Brevitas, by operator."""
