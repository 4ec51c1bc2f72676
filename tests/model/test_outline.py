"""A model read without its weights is the same model, and its weights are found where they lie in the file."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, numpy_helper

from initaudit.model.outline import (
    FIXED32,
    FIXED64,
    LENGTH_DELIMITED,
    SMALLEST,
    VARINT,
    MalformedError,
    fields,
    read_outline,
)
from tests.networks import mlp, save

LARGE, SMALL = SMALLEST // 4, SMALLEST // 4 - 1
"""Elements of float32 that are just enough to be referred to, and one fewer."""


def varint(value: int) -> bytes:
    """As protobuf writes an integer: seven bits a byte, lowest first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, kind: int, content: bytes) -> bytes:
    """One field of a message."""
    length = varint(len(content)) if kind == LENGTH_DELIMITED else b""
    return varint(number << 3 | kind) + length + content


def sizes(*counts: int) -> ModelProto:
    """Layers of one input each, with this many weights."""
    proto = mlp([1, 1])
    for i, count in enumerate(counts):
        values = np.random.default_rng(i).normal(size=count).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(values, f"w{i}"))
    return proto


def outside(proto: ModelProto) -> dict[str, dict[str, str]]:
    """Tensors that are references, with what they refer to."""
    return {
        t.name: {e.key: e.value for e in t.external_data}
        for t in proto.graph.initializer
        if t.data_location == TensorProto.EXTERNAL
    }


def inlined(outline: ModelProto, raw: bytes) -> ModelProto:
    """The outline with every weight back in its place."""
    whole = ModelProto()
    whole.CopyFrom(outline)
    places = outside(outline)
    for tensor in whole.graph.initializer:
        if tensor.name in places:
            start, length = (int(places[tensor.name][key]) for key in ("offset", "length"))
            tensor.raw_data = raw[start : start + length]
            tensor.ClearField("data_location")
            del tensor.external_data[:]
    return whole


def messages() -> Iterator[ModelProto]:
    """Models with all that stands beside weights in a file."""
    yield sizes(LARGE, SMALL, 0, 3 * LARGE)
    rich = sizes(LARGE)
    rich.doc_string = "ä" * 300
    rich.metadata_props.add(key="k", value="v")
    rich.training_info.add().algorithm.initializer.append(numpy_helper.from_array(np.ones(LARGE, np.float32), "inner"))
    rich.graph.sparse_initializer.add().dims.extend([4])
    rich.graph.initializer.append(onnx.helper.make_tensor("typed", TensorProto.FLOAT, [LARGE], np.ones(LARGE)))
    yield rich
    yield ModelProto(ir_version=9, graph=onnx.GraphProto(name="empty"))


@pytest.mark.parametrize("proto", list(messages()), ids=["sizes", "rich", "empty"])
def test_with_the_weights_put_back_it_is_the_same_model(proto: ModelProto) -> None:
    """Field by field, in the order of the file, weights in other places than the graph's list included."""
    raw = proto.SerializeToString()

    assert inlined(read_outline(raw, "m.onnx"), raw) == proto


def test_weights_are_referred_to_from_64_kib_on() -> None:
    """Smaller ones may be shapes, which the runtime must see."""
    places = outside(read_outline(sizes(LARGE, SMALL, 2 * LARGE).SerializeToString(), "a b.onnx"))

    assert {name: entry["length"] for name, entry in places.items()} == {"w0": str(4 * LARGE), "w2": str(8 * LARGE)}
    assert {entry["location"] for entry in places.values()} == {"a b.onnx"}


def test_onnx_reads_the_weights_through_the_references(tmp_path: Path) -> None:
    """They are external data like any other, in the model file itself."""
    proto = sizes(LARGE, 2 * LARGE)
    path = Path(save(proto, tmp_path / "m.onnx"))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        outline = read_outline(raw, path.name)

    onnx.load_external_data_for_model(outline, str(tmp_path))

    for ours, theirs in zip(outline.graph.initializer, proto.graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(ours), numpy_helper.to_array(theirs))


def test_a_graph_in_two_pieces_is_merged_as_protobuf_merges_it() -> None:
    """A message may repeat a field: the pieces are one graph."""
    first, second = sizes(LARGE), ModelProto()
    second.graph.initializer.append(numpy_helper.from_array(np.ones(LARGE, np.float32), "late"))
    raw = first.SerializeToString() + second.SerializeToString()

    outline = read_outline(raw, "m.onnx")

    assert outline == ModelProto.FromString(raw)
    assert "late" in {t.name for t in outline.graph.initializer}


FIELDS = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 1 << 20), st.just(VARINT), st.integers(0, (1 << 64) - 1).map(varint)),
        st.tuples(st.integers(1, 1 << 20), st.just(FIXED64), st.binary(min_size=8, max_size=8)),
        st.tuples(st.integers(1, 1 << 20), st.just(FIXED32), st.binary(min_size=4, max_size=4)),
        st.tuples(st.integers(1, 1 << 20), st.just(LENGTH_DELIMITED), st.binary(max_size=300)),
    ),
    max_size=8,
)


@given(written=FIELDS, before=st.binary(max_size=3), behind=st.binary(max_size=3))
def test_every_field_is_found_with_its_content(
    written: list[tuple[int, int, bytes]], before: bytes, behind: bytes
) -> None:
    """Of any number and wire type, within the bounds that are given, whatever stands around."""
    parts = [field(*entry) for entry in written]
    raw = before + b"".join(parts) + behind

    found = list(fields(raw, len(before), len(raw) - len(behind)))

    assert [(number, raw[start:stop]) for number, _, start, stop in found] == [(n, c) for n, _, c in written]
    starts = [0, *accumulate(map(len, parts))][:-1]
    assert [begin - len(before) for _, begin, _, _ in found] == starts


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(field(1, LENGTH_DELIMITED, b"abc")[:-1], id="content-cut"),
        pytest.param(field(1, FIXED64, b"12345678")[:-1], id="number-cut"),
        pytest.param(varint(1 << 3 | VARINT), id="nothing-behind-the-key"),
        pytest.param(varint(1 << 3 | VARINT) + b"\xff", id="integer-cut"),
        pytest.param(varint(1 << 3 | VARINT) + b"\xff" * 10 + b"\x01", id="integer-of-eleven-bytes"),
        pytest.param(varint(1 << 3 | LENGTH_DELIMITED) + varint(1 << 62), id="endless-content"),
        pytest.param(field(1, 3, b""), id="group"),
        pytest.param(field(1, 7, b""), id="no-wire-type"),
    ],
)
def test_what_is_not_laid_out_as_protobuf_is_said_to_be_so(raw: bytes) -> None:
    """No offset outside the file is ever followed."""
    with pytest.raises(MalformedError):
        list(fields(raw, 0, len(raw)))


def test_a_message_ends_where_its_parent_says() -> None:
    """A content that would reach into the next message is too long, although the bytes are there."""
    raw = field(1, LENGTH_DELIMITED, b"abc")

    with pytest.raises(MalformedError, match="longer than its message"):
        list(fields(raw + b"more", 0, len(raw) - 1))


CUT_OFF = sizes(LARGE, 8).SerializeToString()


@given(st.integers(0, 300) | st.integers(len(CUT_OFF) - 300, len(CUT_OFF)))
def test_a_file_that_was_cut_off_is_read_only_where_protobuf_reads_it(length: int) -> None:
    """Between two fields it is a shorter message; anywhere else, none."""
    raw = CUT_OFF[:length]

    try:
        expected = ModelProto.FromString(raw)
    except DecodeError:
        with pytest.raises((MalformedError, DecodeError)):
            read_outline(raw, "m.onnx")
    else:
        assert inlined(read_outline(raw, "m.onnx"), raw) == expected
