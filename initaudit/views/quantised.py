"""Quantised constants: DequantizeLinear and QuantizeLinear with a scale per tensor, axis or block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.views.dtypes import integer_bounds, numpy_dtype

if TYPE_CHECKING:
    from initaudit.views.operand import Operand

FLOAT = 4
"""Bytes of float32, in which scales are applied."""


def dequantise(
    codes: Operand, scale: Operand | None, zero: Operand | None = None, *, axis: int = 1, block: int = 0
) -> Operand:
    """(codes - zero) · scale, as ONNX's DequantizeLinear; without a scale, the codes about their zero point."""
    axis = axis % codes.rank if codes.rank else 0
    dtype = scale.dtype if scale is not None else "float32"
    target = numpy_dtype(dtype)

    def compute(values: np.ndarray) -> np.ndarray:
        result = values.astype(np.float32)
        if zero is not None:
            result -= _spread(zero.array().astype(np.float32), values.shape, axis, block)
        if scale is not None:
            result *= _spread(scale.array().astype(np.float32), values.shape, axis, block)
        return result.astype(target, copy=False)

    def further(other: int, low: int, high: int) -> Operand:
        part = codes.narrow(other, low, high)
        if other != axis or _per_tensor(scale, zero):
            along = [o if o is None or o.rank < 2 else o.narrow(other, low, high) for o in (scale, zero)]
            return dequantise(part, *along, axis=axis, block=block)
        if not block and all(o is None or o.size == 1 or o.rank == 1 for o in (scale, zero)):
            along = [o if o is None or o.size == 1 else o.narrow(0, low, high) for o in (scale, zero)]
            return dequantise(part, *along, axis=axis)
        whole = replace(dequantise(codes, scale, zero, axis=axis, block=block), narrowing=None)
        return whole.narrow(other, low, high)

    label = f"dequantize(axis={axis},block={block})" if block else f"dequantize(axis={axis})"
    if _per_tensor(scale, zero):
        label = "dequantize"
    extra = [t for o in (scale, zero) if o is not None for t in o.tensors]
    scratch = _scratch(codes, scale, zero, axis)
    return codes.then(
        label, codes.shape, compute, dtype=dtype, exact=False, scratch=scratch, narrowing=further, with_=extra
    )


def quantise(values: Operand, scale: Operand, zero: Operand | None, *, axis: int, block: int, dtype: str) -> Operand:
    """round(values / scale) + zero, saturated, as ONNX's QuantizeLinear."""
    axis = axis % values.rank if values.rank else 0
    bounds = integer_bounds(dtype)
    target = numpy_dtype(dtype)

    def compute(array: np.ndarray) -> np.ndarray:
        result: np.ndarray = array.astype(np.float32) / _spread(
            scale.array().astype(np.float32), array.shape, axis, block
        )
        if bounds is None:
            return result.astype(target)
        result = np.rint(result)
        if zero is not None:
            result += _spread(zero.array().astype(np.float32), array.shape, axis, block)
        codes: np.ndarray = np.clip(result, *bounds).astype(np.int64).astype(target)
        return codes

    scratch = 4 * FLOAT * values.size + _scratch(values, scale, zero, axis)  # divided, rounded, cut, and as int64
    return values.then("quantize", values.shape, compute, dtype=dtype, exact=False, scratch=scratch)


def _scratch(codes: Operand, scale: Operand | None, zero: Operand | None, axis: int) -> int:
    """Bytes beside the result: the codes as float32, scales or zero points as they are stored, as float32 and for each code, and its block."""
    factors = [o.memory.peak + o.memory.kept + FLOAT * o.size for o in (scale, zero) if o is not None]
    spread = 0 if _per_tensor(scale, zero) else FLOAT * codes.size
    return FLOAT * codes.size + spread + max(factors, default=0) + 2 * 8 * (codes.shape[axis] if codes.rank else 1)


def _per_tensor(*operands: Operand | None) -> bool:
    return all(o is None or o.size == 1 for o in operands)


def _spread(values: np.ndarray, shape: tuple[int, ...], axis: int, block: int) -> np.ndarray:
    """Scales or zero points so that they broadcast against `shape`."""
    if values.size == 1:
        return values.reshape(())
    if values.ndim == 1:
        if values.shape[0] != shape[axis]:
            raise ValueError(f"{values.shape[0]} scales for an axis of {shape[axis]}")
        return values.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    if values.shape[axis] != shape[axis]:
        per = block or -(-shape[axis] // max(1, values.shape[axis]))
        if per < 1 or -(-shape[axis] // per) != values.shape[axis]:
            raise ValueError(f"{values.shape[axis]} scales for {shape[axis]} values in blocks of {block}")
        values = np.take(values, np.arange(shape[axis]) // per, axis=axis)
    return values
