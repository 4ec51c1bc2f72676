"""New values for weights that are stored as integers: codes and the scales that count their steps are written together, zero points stay.

Which code and which scale stand behind an element of the operand is found as `positions` finds it, by sending numbers the way the values go, so that
it does not matter whether the scale is one of the tensor, of an axis or of a block, nor what moves the values afterwards.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from initaudit.errors import FixRefused
from initaudit.redrawing.positions import indices, storing
from initaudit.views.dtypes import integer_bounds

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model
    from initaudit.model.tensors import Tensor
    from initaudit.redrawing.contents import Contents
    from initaudit.views.weight import WeightView

WHOLE_BYTES = frozenset(("int8", "uint8", "int16", "uint16"))
"""Types of codes that are written; others share their bytes."""


def is_quantised(view: WeightView) -> bool:
    """Whether the weight is stored as integers that a scale makes real numbers of."""
    return (
        bool(view.tensors) and not view.tensors[0].is_floating and any(s.startswith("dequantize") for s in view.steps)
    )


def put_quantised(view: WeightView, model: Model, values: np.ndarray, contents: Contents) -> tuple[str, np.ndarray]:
    """Codes and scales with which the weight is `values` (float64, shape of the operand), each to half a step.

    Gives the name of the scales, and for each element by what its step is multiplied.

    What shares a scale with no value that changes keeps its codes.

    Raises FixRefused where they cannot be written without changing something else, and why.
    """
    codes, scales, zeros = _stored(view, model)
    code_of, scale_of, zero_of = _ways(view, codes, scales, zeros)
    held = np.array(scales.array()).reshape(-1)
    changed = np.zeros(scales.size, bool)
    changed[scale_of[values != np.array(view.array(), np.float64)]] = True  # NaN differs from itself
    bounds = integer_bounds(codes.dtype)
    assert bounds is not None
    low, high = max(bounds[0], -bounds[1]), bounds[1]  # as quantisers have it: signed codes are symmetric
    steps = _steps(values, scale_of, zero_of, low, high, held)
    new = np.clip(np.rint(values / steps.astype(np.float64)[scale_of]) + zero_of, low, high)
    at = changed[scale_of]
    flat = np.array(codes.array()).reshape(-1)
    flat[code_of[at]] = new[at].astype(flat.dtype)
    contents.put(codes, None, flat)
    contents.put(scales, None, np.where(changed, steps, held))
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(changed, steps.astype(np.float64) / held, 1.0)
    return scales.name, growth[scale_of]


def integer_bias(layer: Layer, model: Model) -> Tensor | None:
    """The bias of a layer that is stored as integers, which runtimes count in steps of the weight's scale, where it is not zero.

    Raises FixRefused where it cannot be written.
    """
    view = layer.auxiliary.get("bias")
    if view is None or not view.tensors or view.tensors[0].is_floating or not np.asarray(view.array()).any():
        return None
    bias = view.tensors[0]
    with storing(bias, np.zeros(bias.size)):
        if np.asarray(view.array()).any():
            raise FixRefused(f"its bias {bias.name} is stored with a zero point")
    _own(bias, model, "bias")
    return bias


def keep_integer_bias(layer: Layer, model: Model, growth: np.ndarray, contents: Contents) -> None:
    """Codes, and scales where it has its own, with which an integer bias stays what it is, to half a step, though each unit's step is multiplied by `growth`.

    Its zero points are zero (see `integer_bias`). Raises FixRefused where its steps do not follow those of the weight.
    """
    codes, *others = layer.auxiliary["bias"].tensors
    steps = growth.mean(axis=layer.weight.input_axes).reshape(-1)
    scales = [tensor for tensor in others if tensor.is_floating]
    one_step = any(scale.size == 1 for scale in scales) and np.ptp(steps) > 0
    fit = codes.size == steps.size and all(scale.size in (1, steps.size) for scale in scales)
    follows = len(scales) == 1 or (not scales and _counts_in_steps_of_weight(layer))
    if not (fit and follows) or one_step or not np.isfinite(steps).all():
        raise FixRefused(f"the scale of its bias {codes.name} cannot follow that of the weight")
    counted = np.rint(np.array(codes.array(), np.float64).reshape(-1) / steps)
    low, high = integer_bounds(codes.dtype) or (0, 0)
    if not ((counted >= low) & (counted <= high)).all():
        raise FixRefused(f"its bias {codes.name} does not fit into {codes.dtype} in steps of the weight's new scale")
    contents.put(codes, None, counted)
    for scale in scales:
        _own(scale, model, "scale of the bias")
        contents.put(scale, None, np.array(scale.array(), np.float64).reshape(-1) * steps[: scale.size])


def _counts_in_steps_of_weight(layer: Layer) -> bool:
    """Whether the integers of the bias mean twice as much where the weight's scale is twice as large, as in QLinearConv and QGemm."""
    view, scales = layer.auxiliary["bias"], layer.weight.tensors[1]
    before = np.array(view.array(), np.float64)
    with storing(scales, 2 * np.array(scales.array(), np.float64)):
        return np.allclose(view.array(), 2 * before, rtol=1e-3, atol=0.0)


def _stored(view: WeightView, model: Model) -> tuple[Tensor, Tensor, Tensor | None]:
    """Codes, scales and zero points, the first two of which nothing else reads."""
    codes, *others = view.tensors
    if codes.dtype not in WHOLE_BYTES:
        raise FixRefused(
            f"the weight is stored as {codes.dtype}, several to a byte, or as no integer that is written here"
        )
    if not others or len(others) > 2 or not others[0].is_floating:
        raise FixRefused("its scale is not stored in the file: it is computed, or an input")
    scales, zeros = others[0], others[1] if len(others) == 2 else None
    if zeros is not None and zeros.is_floating:
        raise FixRefused("its scale is computed from several tensors")
    _own(codes, model, "weight")
    _own(scales, model, "scale")
    return codes, scales, zeros


def _own(tensor: Tensor, model: Model, what: str) -> None:
    """Raises FixRefused unless the tensor is stored as such and read in one place."""
    if not isinstance(tensor.proto, TensorProto):
        raise FixRefused(f"its {what} is no initializer, and cannot be written")
    readers = [value for value, other in model.graph.tensors() if other.proto is tensor.proto]
    uses = sum(len(value.consumers) + value.is_output for value in readers)
    if uses > 1:
        raise FixRefused(f"its {what} {tensor.name} is read in {uses} places, and what else reads it would change")


def _ways(
    view: WeightView, codes: Tensor, scales: Tensor, zeros: Tensor | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each element of the operand: the position of its code, that of its scale, and its zero point."""
    with ExitStack() as sent:
        sent.enter_context(storing(codes, np.zeros(codes.size)))
        sent.enter_context(storing(scales, np.ones(scales.size)))
        zero_of = -np.array(view.array(), np.float64)
    with ExitStack() as sent:
        if zeros is not None:
            sent.enter_context(storing(zeros, np.zeros(zeros.size)))
        with storing(scales, np.ones(scales.size)):
            code_of = indices(view, codes)
        with storing(codes, np.ones(codes.size)):
            scale_of = indices(view, scales)
    if code_of.size != codes.size:
        raise FixRefused("it is a part of a quantised tensor, whose other parts would change with the scale")
    return code_of, scale_of, zero_of


def _steps(
    values: np.ndarray, scale_of: np.ndarray, zero_of: np.ndarray, low: int, high: int, held: np.ndarray
) -> np.ndarray:
    """Scales, in their own type, just large enough for the values; what was there where all values are zero."""
    room = np.where(values >= 0, high - zero_of, zero_of - low)
    if ((room <= 0) & (values != 0)).any():
        raise FixRefused("its zero point leaves no code for values of one sign")
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(values == 0, 0.0, np.abs(values) / room)
    steps = np.zeros(held.size)
    np.maximum.at(steps, scale_of.reshape(-1), wanted.reshape(-1))
    sound = np.isfinite(held.astype(np.float64)) & (held > 0)
    steps = np.where(steps > 0, steps, np.where(sound, held, 1.0).astype(np.float64))
    rounded = steps.astype(held.dtype)
    short = rounded.astype(np.float64) < steps
    return np.where(short, np.nextafter(rounded, np.array(np.inf, held.dtype)), rounded)
