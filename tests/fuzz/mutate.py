"""Mutations of models: of the message, field by field, so that most still parse; and of its bytes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError
from onnx import ModelProto

NUMBERS = (0, 1, -1, 2, 7, 255, 1 << 16, (1 << 31) - 1, -(1 << 31), (1 << 62), -(1 << 62))
REALS = (0.0, -1.0, 1e-40, 1e38, -1e38, float("inf"), float("nan"))
TEXTS = ("", "x", "y", "w", "a\nb", "::error::x", "../x", "/etc/hostname", "\u202e", "z" * 300, "0", "N")
OPERATORS = [
    "Add",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "DequantizeLinear",
    "Expand",
    "Gather",
    "Gemm",
    "If",
    "LSTM",
    "Loop",
    "MatMul",
    "Pad",
    "Reshape",
    "Scan",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "TopK",
    "Transpose",
    "Where",
]


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """Another file, a few mutations away from this one."""
    if rng.random() < 0.3:
        return _bytes(bytearray(raw), rng)
    model = ModelProto()
    try:
        model.ParseFromString(raw)
    except (DecodeError, ValueError):
        return _bytes(bytearray(raw), rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        _mutate(model, rng)
    return model.SerializeToString()


def _bytes(raw: bytearray, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 2, 4, 16))):
        at = rng.randrange(len(raw)) if raw else 0
        match rng.randrange(5):
            case 0 if raw:
                raw[at] = rng.randrange(256)
            case 1:
                del raw[at : at + rng.randrange(1, 9)]
            case 2:
                raw[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 3 if raw:
                raw[at] ^= 1 << rng.randrange(8)
            case _:
                source = rng.randrange(len(raw)) if raw else 0
                raw[at:at] = raw[source : source + rng.randrange(1, 65)]
    return bytes(raw)


def _mutate(message: Any, rng: random.Random) -> None:
    """Go down to a random field of a random message in it, and change that."""
    while True:
        present = [f for f, _ in message.ListFields()]
        inside = [f for f in present if f.type == f.TYPE_MESSAGE]
        if not inside or rng.random() < 0.15:
            break
        field = rng.choice(inside)
        value = getattr(message, field.name)
        if not _is_repeated(field):
            message = value
        elif len(value):
            if rng.random() < 0.2:
                _mutate_list(value, rng)
                return
            message = rng.choice(value)
    fields = list(message.DESCRIPTOR.fields) if rng.random() < 0.3 else present
    if fields:
        _mutate_field(message, rng.choice(fields), rng)


def _mutate_list(value: Any, rng: random.Random) -> None:
    """Drop, repeat or exchange elements."""
    at = rng.randrange(len(value))
    match rng.randrange(3):
        case 0:
            del value[at]
        case 1:
            value.add().CopyFrom(value[at])
        case _:
            other = rng.randrange(len(value))
            first, second = type(value[at])(), type(value[at])()
            first.CopyFrom(value[at])
            second.CopyFrom(value[other])
            value[at].CopyFrom(second)
            value[other].CopyFrom(first)


def _mutate_field(message: Any, field: Any, rng: random.Random) -> None:
    if rng.random() < 0.25 or field.type == field.TYPE_MESSAGE:
        message.ClearField(field.name)
        return
    new = _value(field, rng)
    if not _is_repeated(field):
        setattr(message, field.name, new(getattr(message, field.name)))
        return
    values = list(getattr(message, field.name))
    at = rng.randrange(len(values) + 1)
    if values and rng.random() < 0.7:
        at = min(at, len(values) - 1)
        values[at] = new(values[at])
    else:
        values.insert(at, new(values[0] if values else None))
    del getattr(message, field.name)[:]
    getattr(message, field.name).extend(values)


def _value(field: Any, rng: random.Random) -> Callable[[Any], Any]:
    if field.type == field.TYPE_STRING:
        known = OPERATORS if field.name == "op_type" else TEXTS
        return lambda old: rng.choice((*known, str(old or "") + "x"))
    if field.type == field.TYPE_BYTES:
        return lambda old: _bytes(bytearray(old or b"x"), rng) if rng.random() < 0.7 else b""
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return lambda old: rng.choice(REALS)
    if field.type == field.TYPE_ENUM:
        return lambda old: rng.choice([v.number for v in field.enum_type.values])
    low = 0 if field.type in (field.TYPE_UINT64, field.TYPE_UINT32) else -(1 << 31)
    high = (1 << 31) - 1 if field.type in (field.TYPE_INT32, field.TYPE_UINT32) else (1 << 62)

    def number(old: Any) -> int:
        return min(high, max(low, rng.choice((*NUMBERS, int(old or 0) + 1, int(old or 0) - 1))))

    return number


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
