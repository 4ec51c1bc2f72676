"""Stored tensors: what an initializer, a Constant node or a sparse initializer holds, decoded only when asked.

External data is memory-mapped, never read whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from initaudit.errors import InvalidModel, UnsupportedWeight
from initaudit.model.external import ExternalRange, external_range

MAX_ELEMENTS = 1 << 28
"""An array that the file does not store in full (a sparse initializer, what operators make of constants) is made only up to this many
elements, 1 GiB in float32: shapes are untrusted, and a few bytes may promise terabytes. Above the largest layers in use, a table of
262,144 words of 1,024 values; a judgement."""

_NUMPY_DTYPES: dict[int, np.dtype[Any]] = {
    code: np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code))
    for code in TensorProto.DataType.values()
    if code not in (TensorProto.UNDEFINED, TensorProto.STRING)
}
_REAL = frozenset(dtype.name for dtype in _NUMPY_DTYPES.values() if dtype.kind != "c")
MOST_AXES = 64
"""Of an array of numpy, whose NPY_MAXDIMS this is."""
_SUB_BYTE_BITS = {
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.FLOAT4E2M1: 4,
    getattr(TensorProto, "INT2", -1): 2,
    getattr(TensorProto, "UINT2", -2): 2,
}
"""Bits of the types of which several values share a byte (onnx.proto)."""


def dtype_name(code: int) -> str:
    """ONNX data type as numpy and ml_dtypes spell it (`float32`, `bfloat16`, `int4`, ...), `string`, or `type N`."""
    if code == TensorProto.STRING:
        return "string"
    known = _NUMPY_DTYPES.get(code)
    return known.name if known is not None else f"type {code}"


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A constant tensor as stored in the file. Identity is the object: two uses of one stored tensor share it."""

    name: str
    """Name of the initializer, or of the value a Constant node gives; as in the file, before any inlining."""
    proto: TensorProto | onnx.SparseTensorProto | None
    """Where the values live: the message that the fixer patches. None for the scalar attributes of a Constant."""
    dtype: str
    """numpy or ml_dtypes name, e.g. `float32`, `bfloat16`, `int4`; `string` and unknown types cannot be read."""
    shape: tuple[int, ...]
    folder: Path | None = None
    """Folder of the model, where external data may lie; None when the model came from memory."""
    literal: np.ndarray | None = field(default=None, repr=False)
    """Values of a Constant given by `value_float` and its kin."""
    origin: str = "initializer"
    """`initializer`, `constant` (a Constant node) or `sparse`."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def held(self) -> int:
        """Number of values that the file holds for it: `size`, except where the shape promises more than is stored."""
        if self.origin == "generated":
            return min(1, self.size)
        if isinstance(self.proto, onnx.SparseTensorProto):
            return min(self.size, math.prod(self.proto.values.dims))
        if isinstance(self.proto, TensorProto) and self.proto.data_type not in _NUMPY_DTYPES:
            return min(self.size, 8 * self.proto.ByteSize())  # of no type that is known to take less than a bit
        return self.size

    @property
    def is_floating(self) -> bool:
        """Whether the stored values are floating point of any width."""
        return self.dtype.startswith(("float", "bfloat", "complex"))

    @property
    def is_writable(self) -> bool:
        """Whether the file holds floating-point values one by one, so that others can stand in their place."""
        return self.is_floating and isinstance(self.proto, TensorProto)

    @property
    def is_real(self) -> bool:
        """Whether the values are real numbers: no texts, no complex numbers, nothing of a type that numpy does not know."""
        return self.dtype in _REAL

    @property
    def is_packed(self) -> bool:
        """Whether several values share a byte."""
        return isinstance(self.proto, TensorProto) and self.proto.data_type in _SUB_BYTE_BITS

    @property
    def is_external(self) -> bool:
        """Whether the values lie in a file of their own."""
        return isinstance(self.proto, TensorProto) and self.proto.data_location == TensorProto.EXTERNAL

    @property
    def is_raw(self) -> bool:
        """Whether the message holds the values as bytes, one behind the other, and not as numbers."""
        return isinstance(self.proto, TensorProto) and self.proto.HasField("raw_data")

    def external(self) -> ExternalRange | None:
        """The bytes in an external file, or None where the data is inline. Raises ExternalDataError."""
        if not isinstance(self.proto, TensorProto) or not self.is_external:
            return None
        return external_range(self.proto, self.folder, self.nbytes())

    def nbytes(self) -> int:
        """Bytes that the values take when packed as ONNX packs them."""
        if not isinstance(self.proto, TensorProto):
            return self.size * 8
        return _nbytes(self.proto, self.size)

    def array(self) -> np.ndarray:
        """The values, read-only, shape `self.shape`; external data comes as a view of a memory map.

        Raises UnsupportedWeight (a type numpy cannot hold) or ExternalDataError or InvalidModel.
        """
        if self.literal is not None:
            return self.literal
        if isinstance(self.proto, onnx.SparseTensorProto):
            return _dense(self.proto, self.name, self.folder)
        assert self.proto is not None
        return _decode(self.proto, self.shape, self.external(), self.nbytes())


def tensor_from_proto(proto: TensorProto, *, name: str, folder: Path | None, origin: str = "initializer") -> Tensor:
    """Wrap a TensorProto after checking that the bytes for all that it declares exist. Raises InvalidModel or ExternalDataError."""
    check_held(proto, name)
    return checked_tensor(proto, name=name, folder=folder, origin=origin)


def checked_tensor(proto: TensorProto, *, name: str, folder: Path | None, origin: str = "initializer") -> Tensor:
    """The same where `check_held` has looked at it, for which protobuf makes a copy of the values. Raises ExternalDataError."""
    shape = tuple(proto.dims)
    tensor = Tensor(
        name=name, proto=proto, dtype=dtype_name(proto.data_type), shape=shape, folder=folder, origin=origin
    )
    if proto.data_type in _NUMPY_DTYPES and folder is not None:
        tensor.external()
    return tensor


def check_held(proto: TensorProto, name: str) -> None:
    """Raises InvalidModel where a tensor holds other values than as many as its shape needs; external ones and unknown types are not counted."""
    shape = list(proto.dims)
    if any(d < 0 for d in shape):
        raise InvalidModel(f"tensor {name!r}: negative dimension in shape {shape}")
    size = math.prod(shape)
    if proto.data_type == TensorProto.STRING and len(proto.string_data) != size:
        raise InvalidModel(f"tensor {name!r}: holds {len(proto.string_data)} texts, shape {shape} needs {size}")
    if proto.data_type not in _NUMPY_DTYPES or proto.data_location == TensorProto.EXTERNAL:
        return
    if proto.HasField("raw_data"):
        have, want, unit = len(proto.raw_data), _nbytes(proto, size), "bytes"
    else:
        have, want, unit = _typed_length(proto), _typed_length_wanted(proto, size), "values"
    if have != want:
        raise InvalidModel(f"tensor {name!r}: holds {have} {unit}, shape {shape} needs {want}")


def sparse_tensor(proto: onnx.SparseTensorProto, *, name: str, folder: Path | None, origin: str = "sparse") -> Tensor:
    """Wrap a SparseTensorProto; it becomes dense when read."""
    shape = tuple(proto.dims)
    if any(d < 0 for d in shape):
        raise InvalidModel(f"sparse tensor {name!r}: negative dimension in shape {list(shape)}")
    for part in (proto.values, proto.indices):
        tensor_from_proto(part, name=name, folder=folder)
    return Tensor(
        name=name, proto=proto, dtype=dtype_name(proto.values.data_type), shape=shape, folder=folder, origin=origin
    )


def literal_tensor(values: Any, *, name: str) -> Tensor:
    """A Constant given by `value_float`, `value_ints` and their kin."""
    array = np.asarray(values)
    array.flags.writeable = False
    return Tensor(name=name, proto=None, dtype=array.dtype.name, shape=array.shape, literal=array, origin="constant")


def _nbytes(proto: TensorProto, size: int) -> int:
    bits = _SUB_BYTE_BITS.get(proto.data_type)
    if bits is not None:
        return (size * bits + 7) // 8
    known = _NUMPY_DTYPES.get(proto.data_type)
    return size * known.itemsize if known is not None else 0


def _typed_length(proto: TensorProto) -> int:
    """Values in the field that belongs to the element type, see onnx.proto; others are not read."""
    return len(getattr(proto, onnx.helper.tensor_dtype_to_field(proto.data_type)))


def _typed_length_wanted(proto: TensorProto, size: int) -> int:
    if proto.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        return 2 * size
    bits = _SUB_BYTE_BITS.get(proto.data_type)
    return size if bits is None else (size * bits + 7) // 8


def _decode(proto: TensorProto, shape: tuple[int, ...], external: ExternalRange | None, nbytes: int) -> np.ndarray:
    known = _NUMPY_DTYPES.get(proto.data_type)
    if known is None or known.name not in _REAL:  # no operator casts complex numbers, and no law draws them
        raise UnsupportedWeight(f"element type {dtype_name(proto.data_type)} cannot be read")
    if len(shape) > MOST_AXES:
        raise UnsupportedWeight(f"a tensor with {len(shape)} axes cannot be read, one with {MOST_AXES} could")
    if external is None and not proto.HasField("raw_data"):
        array = numpy_helper.to_array(proto)
        array.flags.writeable = False
        return array
    if external is not None:
        raw: Any = np.empty(0, np.uint8)
        if external.length:
            raw = external.bytes()
    else:
        raw = np.frombuffer(proto.raw_data, dtype=np.uint8)
    bits = _SUB_BYTE_BITS.get(proto.data_type)
    if bits is not None:
        return _unpack(np.asarray(raw), bits, known, shape)
    array = raw.view(known).reshape(shape) if nbytes else np.empty(shape, known)
    if not np.little_endian:  # ONNX stores little-endian
        array = array.byteswap()
    array.flags.writeable = False
    return array


def _unpack(raw: np.ndarray, bits: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    per_byte = 8 // bits
    codes = np.empty((raw.size, per_byte), np.uint8)
    for k in range(per_byte):  # first element in the low bits (ONNX, TensorProto.int32_data)
        codes[:, k] = (raw >> (bits * k)) & ((1 << bits) - 1)
    flat = codes.reshape(-1)[: math.prod(shape)]
    if dtype == np.dtype(ml_dtypes.float4_e2m1fn):
        return flat.view(dtype).reshape(shape)
    values = flat.astype(np.int8)
    if dtype.name.startswith("int"):
        half = 1 << (bits - 1)
        values = np.where(values >= half, values - (1 << bits), values).astype(np.int8)
    return values.astype(dtype).reshape(shape)


def _dense(proto: onnx.SparseTensorProto, name: str, folder: Path | None) -> np.ndarray:
    shape = tuple(proto.dims)
    size = math.prod(shape)
    if size > MAX_ELEMENTS:
        raise UnsupportedWeight(f"sparse tensor of {size} elements is too large to be made dense")
    try:
        stored = (tensor_from_proto(part, name=name, folder=folder) for part in (proto.values, proto.indices))
        values, indices = (tensor.array() for tensor in stored)
        indices = indices.astype(np.int64)
        flat = np.ravel_multi_index(tuple(indices.T), shape) if indices.ndim == 2 else indices
    except ValueError as error:
        raise InvalidModel(f"sparse tensor {name!r}: index out of range or wrong byte count: {error}") from error
    if (flat.size and (flat.min() < 0 or flat.max() >= size)) or flat.shape != values.shape:
        raise InvalidModel(f"sparse tensor {name!r}: index out of range, or not one index per value")
    out = np.zeros(size, values.dtype)
    out[flat] = values
    out.flags.writeable = False
    return out.reshape(shape)
