"""Where the elements of an operand are stored, and storing others there; nothing else of the parsed message changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto

from initaudit.errors import FixRefused
from initaudit.model.stored import clear_values

if TYPE_CHECKING:
    from initaudit.model.tensors import Tensor
    from initaudit.views.weight import WeightView

LIMB_BITS = 8
"""Positions pass a Cast in pieces of this many bits: every float type from bfloat16 (8 bits of significand) up holds them exactly."""


def positions(view: WeightView) -> np.ndarray | None:
    """Index into the flat stored tensor of each element of the operand, shape `view.shape`, int64; None where they are the same array.

    Raises FixRefused where the operand is computed (unpacked, scaled, repeated) rather than moved; what is dequantised see `redrawing.quantised`.
    """
    if not view.tensors:
        raise FixRefused("the weight is not stored in the file")
    tensor = view.tensors[0]
    if not tensor.is_writable:
        raise FixRefused(
            f"the weight is stored as {tensor.dtype} ({view.computed or 'without a scale'}); values are written only as floats, or as integers of whole "
            "bytes with a scale: fix the model before it is quantised"
        )
    if not view.steps and view.shape == tensor.shape:
        return None
    if view.computed or len(view.tensors) > 1:
        raise FixRefused(f"the weight is computed in the graph ({view.computed or 'from several tensors'})")
    if any(s.startswith("cast") for s in view.steps):
        index = indices(view, tensor)
    else:
        assert isinstance(tensor.proto, TensorProto)
        with _values(tensor.proto, np.arange(tensor.size, dtype=np.int64), TensorProto.INT64):
            index = np.array(view.array(), np.int64)
    taken = np.zeros(tensor.size, bool)
    taken[index] = True  # np.unique takes seconds a million of different integers
    if np.count_nonzero(taken) != index.size:
        raise FixRefused("one stored value stands for several weights")
    return index


def indices(view: WeightView, tensor: Tensor) -> np.ndarray:
    """The same of one of the tensors that the operand comes from, whatever changes the type of its values on the way.

    Raises FixRefused where something computes with them.
    """
    numbers = np.arange(1, tensor.size + 1)
    found = np.zeros(view.shape)
    for shift in range(0, tensor.size.bit_length(), LIMB_BITS):
        with storing(tensor, (numbers >> shift) & ((1 << LIMB_BITS) - 1)):
            found += np.asarray(view.array(), np.float64) * (1 << shift)
    if not ((found == np.rint(found)) & (found >= 1) & (found <= tensor.size)).all():
        raise FixRefused(f"the weight is computed in the graph ({', '.join(view.steps)})")
    return found.astype(np.int64) - 1


@contextmanager
def storing(tensor: Tensor, values: np.ndarray) -> Iterator[None]:
    """The tensor holds other values, as float32, for a while."""
    assert isinstance(tensor.proto, TensorProto)
    with _values(tensor.proto, values.astype(np.float32), TensorProto.FLOAT):
        yield


def set_values(tensor: Tensor, values: np.ndarray) -> None:
    """Store `values` (flat or shaped, float64) in the tensor's own dtype, rounded once. The message becomes inline raw data."""
    proto = tensor.proto
    assert isinstance(proto, TensorProto)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(proto.data_type)
    raw = values.reshape(tensor.shape).astype(dtype, copy=False).tobytes()
    clear_values(proto)
    proto.raw_data = raw


@contextmanager
def _values(proto: TensorProto, values: np.ndarray, data_type: int) -> Iterator[None]:
    """The message holds other values for a while."""
    saved = TensorProto()
    saved.CopyFrom(proto)
    clear_values(proto)
    proto.data_type = data_type
    proto.raw_data = values.tobytes()
    try:
        yield
    finally:
        proto.CopyFrom(saved)
