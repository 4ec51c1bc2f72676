"""Read a model file without reading its weights.

Weights stored inside the .onnx file are turned into references to the bytes where they lie in it, as external data;
onnxruntime then maps them instead of holding a copy for every session. The file is walked as protobuf lays it out
(varint keys, length-delimited fields): ModelProto.graph = 7, GraphProto.initializer = 5, TensorProto.raw_data = 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from onnx import GraphProto, ModelProto, StringStringEntryProto, TensorProto

if TYPE_CHECKING:
    from mmap import mmap

GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9
"""Field numbers of ModelProto.graph, GraphProto.initializer and TensorProto.raw_data (onnx.proto)."""
VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
"""Wire types (protobuf encoding)."""
WIRE_TYPES = frozenset({VARINT, FIXED64, LENGTH_DELIMITED, FIXED32})
SMALLEST = 1 << 16
"""Bytes from which a weight is referred to. A judgement: smaller ones may be shapes, which the runtime must know while it
loads, and are copied faster than looked up."""
MOST_FIELDS = 2_000_000
"""Fields of one message that are walked over, about two seconds. A judgement: large language models have some tens of thousands of nodes and
weights; a file of more is parsed as a whole."""


class MalformedError(ValueError):
    """The bytes are not laid out as protobuf."""


def read_outline(raw: bytes | mmap, location: str) -> ModelProto:
    """The model with its larger initializers as external data in the file itself.

    Args:
        raw: the whole file.
        location: its name within its folder.

    Raises:
        MalformedError or google.protobuf.message.DecodeError where the bytes are no model.
    """
    graphs = [(start, stop) for number, _, start, stop in fields(raw, 0, len(raw)) if number == GRAPH]
    if len(graphs) != 1:  # a split message, which protobuf allows and nobody writes
        return ModelProto.FromString(bytes(raw))
    start, stop = graphs[0]
    model = ModelProto.FromString(_without(raw, 0, len(raw), {GRAPH}))
    model.graph.CopyFrom(GraphProto.FromString(_without(raw, start, stop, {INITIALIZER})))
    for number, _, inner, end in fields(raw, start, stop):
        if number == INITIALIZER:
            model.graph.initializer.append(read_tensor(raw, inner, end, location))
    return model


def read_tensor(raw: bytes | mmap, start: int, stop: int, location: str) -> TensorProto:
    """The initializer that stands there, referring to its values where they are large."""
    stored = [(a, b) for number, _, a, b in fields(raw, start, stop) if number == RAW_DATA]
    if len(stored) != 1 or stored[0][1] - stored[0][0] < SMALLEST:
        return TensorProto.FromString(raw[start:stop])
    tensor = TensorProto.FromString(_without(raw, start, stop, {RAW_DATA}))
    tensor.data_location = TensorProto.EXTERNAL
    offset, end = stored[0]
    entries = {"location": location, "offset": str(offset), "length": str(end - offset)}
    tensor.external_data.extend(StringStringEntryProto(key=key, value=value) for key, value in entries.items())
    return tensor


def _without(raw: bytes | mmap, start: int, stop: int, numbers: set[int]) -> bytes:
    """The message without the fields of these numbers."""
    return b"".join(raw[a:b] for number, a, _, b in fields(raw, start, stop) if number not in numbers)


def fields(raw: bytes | mmap, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Each field of a message: its number, where its key starts, and where its content starts and stops."""
    position = start
    count = 0
    while position < stop:
        count += 1
        begin = position
        key, position = _varint(raw, position, stop)
        kind = key & 7
        if key < 8 or count > MOST_FIELDS:
            raise MalformedError("field number 0, or more fields than a model has")
        if kind == LENGTH_DELIMITED:
            length, position = _varint(raw, position, stop)
        elif kind == VARINT:
            _, end = _varint(raw, position, stop)
            length = end - position
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise MalformedError(f"wire type {kind}")
        if position + length > stop:
            raise MalformedError("a field is longer than its message")
        yield key >> 3, begin, position, position + length
        position += length


def _varint(raw: bytes | mmap, position: int, stop: int) -> tuple[int, int]:
    """A variable-length integer and the position behind it."""
    value = shift = 0
    while position < stop and shift < 64:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise MalformedError("an integer does not end")
