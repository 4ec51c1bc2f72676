"""A file that protobuf refuses for its depth is not called damaged."""

from __future__ import annotations

import pytest
from onnx import GraphProto, ModelProto, helper

from initaudit.errors import UnreadableModel
from initaudit.model.load import load_model


def length_delimited(number: int, content: bytes) -> bytes:
    """A field of a protobuf message that holds another message."""
    key, size = number << 3 | 2, len(content)
    encoded = bytearray([key])
    while size >= 0x80:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(encoded) + bytes([size]) + content


def nested(depth: int) -> bytes:
    """A model of Ifs within Ifs; protobuf writes no deeper message than it reads, so the bytes are put together here."""
    graph = GraphProto(name="g", node=[helper.make_node("Relu", ["x"], ["y"])]).SerializeToString()
    for _ in range(depth):
        attribute = b"\x0a\x01b" + length_delimited(6, graph) + b"\xa0\x01\x05"
        graph = length_delimited(1, b"\x22\x02If" + length_delimited(5, attribute))
    return ModelProto(ir_version=8).SerializeToString() + length_delimited(7, graph)


def test_the_message_says_that_graphs_are_nested_too_deep():
    """Protobuf reads a hundred messages in messages, three for each If."""
    with pytest.raises(UnreadableModel, match="nested deeper than protobuf reads"):
        load_model(nested(40))


def test_a_shallow_file_cut_short_is_damaged():
    """The depth is not the reason."""
    with pytest.raises(UnreadableModel, match="truncated or damaged"):
        load_model(nested(20)[:-3])
