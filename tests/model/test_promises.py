"""What a shape promises is held against the bytes that exist before anything is counted or made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from initaudit import audit
from initaudit.errors import ExternalDataError, InvalidModel, ModelError
from initaudit.extraction.extract import extract_layers
from initaudit.model.load import load_model
from initaudit.model.tensors import tensor_from_proto

LENGTHS = st.sampled_from([-(1 << 63), -1, 0, 1, 2, 4, 7, 1 << 31, 1 << 32, (1 << 63) - 1])
TYPES = st.sampled_from([*TensorProto.DataType.values(), 99])
VALUES_PER_BYTE = 8
"""No type takes less than a bit."""


def network(nodes: list[onnx.NodeProto], stored: list[TensorProto]) -> onnx.ModelProto:
    """A model from `x` [N, 4] to `y`."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], stored)
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=10)


def counted(model: onnx.ModelProto) -> tuple[int, int]:
    """Parameters that a layer accounts for, and all."""
    extraction = extract_layers(load_model(model))
    return extraction.audited, extraction.parameters


@given(dims=st.lists(LENGTHS, max_size=4), kind=TYPES, raw=st.binary(max_size=24), sparse=st.booleans())
def test_no_more_parameters_are_counted_than_the_file_has_bits(dims: list[int], kind: int, raw: bytes, sparse: bool):
    """Whatever dimensions, type and bytes a stored tensor claims: it is refused, or counted by what it holds."""
    stored = TensorProto(name="w", data_type=kind, dims=dims, raw_data=raw)
    model = network([helper.make_node("MatMul", ["x", "w"], ["y"])], [] if sparse else [stored])
    if sparse:
        values = numpy_helper.from_array(np.ones(2, np.float32), "w")
        indices = numpy_helper.from_array(np.arange(2), "i")
        model.graph.sparse_initializer.add(values=values, indices=indices, dims=dims)

    try:
        audited, parameters = counted(model)
    except ModelError:
        return

    assert 0 <= audited <= parameters <= VALUES_PER_BYTE * model.ByteSize()


@given(
    lengths=st.lists(LENGTHS.filter(lambda n: n >= 0), min_size=1, max_size=3),
    maker=st.sampled_from(["fill", "expand", "tile"]),
)
def test_what_operators_make_of_a_value_is_no_parameter(lengths: list[int], maker: str):
    """A shape and one value describe terabytes; the file holds one value."""
    shape = numpy_helper.from_array(np.array(lengths, np.int64), "s")
    one = numpy_helper.from_array(np.full([1] * len(lengths), 0.5, np.float32), "o")
    node = {
        "fill": helper.make_node("ConstantOfShape", ["s"], ["w"], value=one),
        "expand": helper.make_node("Expand", ["o", "s"], ["w"]),
        "tile": helper.make_node("Tile", ["o", "s"], ["w"]),
    }[maker]
    if maker == "fill":
        node.attribute[0].t.dims[:] = [1]
    model = network([node, helper.make_node("MatMul", ["x", "w"], ["y"])], [shape, one])

    try:
        audited, parameters = counted(model)
    except ModelError:
        return

    assert 0 <= audited <= parameters <= 1


def test_weights_that_share_a_tensor_that_cannot_be_read_are_missed_once():
    """What is left of the parameters is never negative."""
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    model = network(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])],
        [],
    )
    model.graph.sparse_initializer.add(values=values, indices=indices, dims=[1 << 20, 1 << 20])

    report = audit(model, probe="none")

    assert (report.audited, report.parameters) == (0, 1)
    assert report.skipped


def test_packed_weights_count_no_more_than_their_bytes_hold():
    """N and K are attributes; a ConstantOfShape can stand for the bytes."""
    shape = numpy_helper.from_array(np.array([1 << 20, 1, 1 << 10], np.int64), "s")
    zero = numpy_helper.from_array(np.zeros(1, np.uint8), "z")
    scales = numpy_helper.from_array(np.ones(4, np.float32), "c")
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["w"], value=zero),
        helper.make_node(
            "MatMulNBits", ["x", "w", "c"], ["y"], domain="com.microsoft", K=2048, N=1 << 20, bits=4, block_size=2048
        ),
    ]

    audited, parameters = counted(network(nodes, [shape, scales]))

    assert 0 <= audited <= parameters <= 12


@pytest.mark.parametrize("block", [0, 32, 1 << 40])
def test_a_block_longer_than_the_stored_bytes_is_refused(block: int):
    """The size of a block is an attribute; its padding must be stored, too."""
    packed = numpy_helper.from_array(np.zeros((4, 1, 8), np.uint8), "w")
    scales = numpy_helper.from_array(np.ones((4, 1), np.float32), "c")
    node = helper.make_node(
        "MatMulNBits", ["x", "w", "c"], ["y"], domain="com.microsoft", K=4, N=4, bits=4, block_size=block
    )

    extraction = extract_layers(load_model(network([node], [packed, scales])))

    assert not extraction.layers
    assert any("weights of 4 bits" in skipped.reason for skipped in extraction.skipped)


def test_texts_that_are_not_there_are_refused():
    """A tensor of text has as many texts as elements."""
    proto = TensorProto(name="t", data_type=TensorProto.STRING, dims=[1 << 40], string_data=[b"a"])

    with pytest.raises(InvalidModel, match="holds 1 texts"):
        tensor_from_proto(proto, name="t", folder=None)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"location": "w.bin", "offset": "8"}, "has 64 bytes, 72 are needed"),
        ({"location": "w.bin", "offset": "-8"}, "at offset -8"),
        ({"location": "w.bin", "offset": "x"}, "not a number"),
        ({"location": "w.bin", "length": "-64"}, "external length -64"),
        ({"location": "w.bin", "length": str(1 << 62)}, "external length"),
        ({"location": "none.bin"}, "is missing"),
        ({"location": "folder"}, "is not a regular file"),
        ({"location": "fifo"}, "is not a regular file"),
        ({"location": "link"}, "leads outside"),
        ({"location": "loop"}, "tensor 'w'"),
    ],
)
def test_external_data_that_is_not_all_there_is_refused_when_the_file_is_read(
    tmp_path: Path, entries: dict[str, str], says: str
):
    """Nothing is opened, waited for or counted."""
    import os

    folder = tmp_path / "models"
    (folder / "folder").mkdir(parents=True)
    (folder / "w.bin").write_bytes(b"\0" * 64)
    (tmp_path / "secret.bin").write_bytes(b"\0" * 64)
    (folder / "link").symlink_to(tmp_path / "secret.bin")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "fifo")
    stored = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        stored.external_data.add(key=key, value=value)
    model = network([helper.make_node("MatMul", ["x", "w"], ["y"])], [stored])
    (folder / "m.onnx").write_bytes(model.SerializeToString())

    with pytest.raises(ExternalDataError, match=says):
        load_model(folder / "m.onnx")
