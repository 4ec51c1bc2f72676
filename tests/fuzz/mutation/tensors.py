"""Tensors of every element type in every form in which ONNX stores them, true and false."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import SparseTensorProto, TensorProto, helper

from tests.fuzz.mutation.values import NUMBERS, TEXTS

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

TYPES = tuple(TensorProto.DataType.values())
BESIDE = "beside.bin"
"""A file that lies beside the model of every case."""
LOCATIONS = (
    BESIDE,
    BESIDE,
    BESIDE,
    "missing.bin",
    "../beside.bin",
    "/etc/hostname",
    "",
    ".",
    "a" * 300,
    "link.bin",
    "b/../beside.bin",
)
SHAPES = (
    (),
    (1,),
    (0,),
    (4,),
    (4, 4),
    (8, 4),
    (4, 8),
    (1, 4, 1),
    (3, 3, 3, 3),
    (2, 2, 2, 2, 2),
    (4, 0),
    (16,),
    (1, 16, 4),
    (17,),
)
FALSE_SHAPES = ((-1,), (1 << 40,), (1 << 31, 1 << 31), (1 << 62, 4), (1 << 16, 1 << 16, 0), (1,) * 70)
FORMS = ("raw", "typed", "external", "wrong field", "both", "short")
"""The first three are sound."""


def any_shape(rng: random.Random) -> tuple[int, ...]:
    """Now and then one that no file holds the values of."""
    return rng.choice(FALSE_SHAPES) if rng.random() < 0.15 else rng.choice(SHAPES)


def any_tensor(rng: random.Random, name: str = "", shape: Sequence[int] | None = None) -> TensorProto:
    """A tensor of any type, shape and form."""
    shape = any_shape(rng) if shape is None else shape
    code = TensorProto.FLOAT if rng.random() < 0.4 else rng.choice(TYPES)
    return stored(rng, name, code, shape, any_form(rng))


def any_form(rng: random.Random) -> str:
    """Usually a sound one."""
    return rng.choice(FORMS) if rng.random() < 0.3 else rng.choice(FORMS[:3])


def stored(rng: random.Random, name: str, code: int, shape: Sequence[int], form: str) -> TensorProto:
    """A tensor with random values in the given form; a shape too large to be stored in full has a few bytes."""
    code = code if code in TYPES else TensorProto.FLOAT  # an earlier mutation may have made it anything
    tensor = TensorProto(name=name, data_type=code, dims=shape)
    size = min(math.prod(shape), 4096) if all(d >= 0 for d in shape) else 4
    if code == TensorProto.STRING:
        tensor.string_data.extend(rng.choice(TEXTS).encode() for _ in range(size))
        return tensor
    if code == TensorProto.UNDEFINED:
        tensor.raw_data = rng.randbytes(4 * size)
        return tensor
    raw = _packed(rng, code, size)
    if form == "external":
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": rng.choice(LOCATIONS), "offset": "0", "length": str(len(raw)), "checksum": "0"}
        for key in [k for k in entries if rng.random() < 0.8]:
            lie = rng.random() < 0.1
            tensor.external_data.add(key=key, value=str(rng.choice((*NUMBERS, "x", "1e3"))) if lie else entries[key])
        return tensor
    if form in ("typed", "both"):
        _fill(tensor, helper.tensor_dtype_to_field(code), raw, rng)
    if form == "wrong field":
        _fill(tensor, rng.choice(("float_data", "int32_data", "int64_data", "double_data", "uint64_data")), raw, rng)
    if form in ("raw", "both", "short"):
        tensor.raw_data = raw[: len(raw) // 2] if form == "short" else raw
    return tensor


def _packed(rng: random.Random, code: int, size: int) -> bytes:
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(code))
    if dtype.kind in "fc" and rng.random() < 0.8:
        scale = rng.choice((1e-30, 0.02, 0.3, 0.3, 0.3, 1.0, 1e30))
        with np.errstate(all="ignore"):  # beyond half precision
            return np.array([rng.gauss(0.0, scale) for _ in range(size)]).astype(dtype).tobytes()
    bits = 4 if "4" in dtype.name[-3:] else 2 if dtype.name.endswith("int2") else 8 * dtype.itemsize
    fill = rng.choice((b"\0", b"\xff", None, None, None))
    count = (size * bits + 7) // 8
    return fill * count if fill else rng.randbytes(count)


def _fill(tensor: TensorProto, name: str, raw: bytes, rng: random.Random) -> None:
    field: Any = getattr(tensor, name)
    width = {"float_data": 4, "int32_data": 4}.get(name, 8)
    if name == helper.tensor_dtype_to_field(tensor.data_type) and tensor.data_type not in (1, 6, 7, 11, 12, 13):
        field.extend([rng.randrange(256) for _ in range(min(4096, math.prod(tensor.dims) if tensor.dims else 1))])
        return
    dtype = {"float_data": "f4", "int32_data": "i4", "int64_data": "i8", "double_data": "f8", "uint64_data": "u8"}[name]
    field.extend(np.frombuffer(raw[: len(raw) // width * width], dtype).tolist())


def any_sparse(rng: random.Random, name: str = "s") -> SparseTensorProto:
    """A few values of a large whole; indices in either form, some out of range, unsorted or too few."""
    shape = any_shape(rng)
    count = rng.randrange(5)
    values = stored(
        rng, name, rng.choice((1, 1, 1, 7, 10, 11, 16, 22)), (count,), rng.choice(("raw", "typed", "external"))
    )
    flat = rng.random() < 0.5
    limit = max(1, min(math.prod(shape), 1 << 60)) if all(d >= 0 for d in shape) else 4
    size = count if flat else count * len(shape)
    numbers = [rng.randrange(-1, limit + 1) if flat else rng.randrange(-1, 5) for _ in range(size)]
    dims = (count,) if flat else (count, len(shape))
    indices = TensorProto(name="i", data_type=TensorProto.INT64, dims=dims, int64_data=sorted(numbers))
    return SparseTensorProto(values=values, indices=indices, dims=shape)


def mutate_tensors(model: onnx.ModelProto, rng: random.Random) -> None:
    """One initializer stored in another form, of another type or shape, dense or sparse; or a new one that some node reads."""
    graph = model.graph
    if not graph.initializer or rng.random() < 0.1:
        graph.initializer.append(any_tensor(rng, rng.choice(TEXTS)))
        return
    old = rng.choice(graph.initializer)
    name, dims = old.name, tuple(old.dims)
    match rng.randrange(6):
        case 0:
            old.CopyFrom(stored(rng, name, old.data_type, dims, any_form(rng)))
        case 1:
            old.CopyFrom(any_tensor(rng, name, dims))
        case 2:
            old.CopyFrom(any_tensor(rng, name))
        case 3:
            graph.initializer.remove(old)
            graph.sparse_initializer.append(any_sparse(rng, name))
        case 4:  # the same bytes under another shape
            del old.dims[:]
            old.dims.extend(rng.choice((dims[::-1], (math.prod(dims),), (1, *dims), (*dims, 1), any_shape(rng))))
        case _:  # a part of the bytes of a certain kind: special numbers in an otherwise usual tensor
            raw = bytearray(old.raw_data)
            at = rng.randrange(len(raw) + 1)
            raw[at : at + 8] = rng.choice(
                (b"\0" * 8, b"\xff" * 8, b"\0\0\x80\x7f" * 2, b"\0\0\xc0\x7f" * 2, b"\x01\0\0\0" * 2)
            )
            old.raw_data = bytes(raw[: len(old.raw_data)])
