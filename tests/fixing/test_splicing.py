"""A model is written as pieces of the file that it came from: what is not changed is the same to the byte."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, StringStringEntryProto, TensorProto, helper, numpy_helper

from initaudit.errors import FixRefused, InvalidModel
from initaudit.fixing.patching import write_model
from initaudit.fixing.splicing import Range, length_of, pieces_of
from initaudit.model import load
from initaudit.model.load import load_model
from initaudit.model.outline import SMALLEST, fields, read_outline
from initaudit.model.tensors import Tensor
from tests.networks import mlp, model, save

SAMPLES = [
    path
    for path in sorted(Path(__file__).parents[2].glob("sample_models/*.onnx"))
    if path.stem != "weights_as_inputs"  # which stores nothing
]
UNKNOWN = b"\xaa\x3e\x03new"
"""A field of number 997, of a later version of ONNX."""


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights inside a file are mapped, however small it is."""
    monkeypatch.setattr(load, "MAPPED_FROM", 0)


def changed(path: Path | str, output: Path, *names: str) -> dict[str, np.ndarray]:
    """Write the model with other values in these tensors; gives the values."""
    read = load_model(path)
    touched = {id(t): t for _, t in read.graph.tensors() if t.name in names}
    values = {key: np.asarray(tensor.array(), np.float64) * 0.5 + 1 for key, tensor in touched.items()}
    write_model(read, output, values, touched=touched)
    return {touched[key].name: new for key, new in values.items()}


def a_float(path: Path) -> str:
    """The name of the largest float tensor of a model."""
    tensors = [t for _, t in load_model(path).graph.tensors() if t.is_floating and isinstance(t.proto, TensorProto)]
    return max(tensors, key=lambda t: t.size).name


def skeleton(path: Path, *names: str) -> ModelProto:
    """The model without the values of these tensors, and without where data lies."""
    proto = onnx.load(path, load_external_data=False)
    for tensor in [*proto.graph.initializer, *(a.t for n in proto.graph.node for a in n.attribute if a.HasField("t"))]:
        owner = tensor.name in names or any(
            tensor is a.t and n.output[0] in names for n in proto.graph.node for a in n.attribute
        )
        if owner:
            tensor.CopyFrom(TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type))
        elif tensor.external_data:
            del tensor.external_data[:]
    return proto


def alike(one: bytes, other: bytes) -> int:
    """Bytes that both begin with."""
    length = min(len(one), len(other))
    differ = np.frombuffer(one, np.uint8, length) != np.frombuffer(other, np.uint8, length)
    return int(differ.argmax()) if differ.any() else length


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_all_but_the_named_tensor_stays_in_every_sample(path: Path, tmp_path: Path) -> None:
    """Field by field; of the bytes, all before it and all behind it but for the length of the graph."""
    name = a_float(path)

    new = changed(path, tmp_path / "out.onnx", name)

    assert skeleton(tmp_path / "out.onnx", name) == skeleton(path, name)
    found = {t.name: t for _, t in load_model(tmp_path / "out.onnx").graph.tensors()}[name]
    assert np.array_equal(found.array(), new[name].astype(found.array().dtype))
    before, after = path.read_bytes(), (tmp_path / "out.onnx").read_bytes()
    if Path(f"{path}.data").exists():
        return
    ahead, behind = alike(before, after), alike(before[::-1], after[::-1])
    assert ahead + behind > len(before) - found.nbytes() * 2 - 300


@pytest.mark.usefixtures("mapped")
def test_a_mapped_model_is_written_without_its_weights_being_parsed(tmp_path: Path) -> None:
    """The same bytes but for the new ones, weights of unchanged tensors and those that stand in nodes included."""
    proto = mlp([128, 256, 256, 4])
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "unused"))
    path = save(proto, tmp_path / "m.onnx")
    assert any(t.external_data for t in load_model(path).proto.graph.initializer)

    new = changed(path, tmp_path / "out.onnx", "fc1.weight")
    written = onnx.load(tmp_path / "out.onnx")

    assert (tmp_path / "out.onnx").stat().st_size == Path(path).stat().st_size
    assert skeleton(tmp_path / "out.onnx", "fc1.weight") == skeleton(Path(path), "fc1.weight")
    stored = {t.name: numpy_helper.to_array(t) for t in written.graph.initializer}
    assert np.array_equal(stored["fc1.weight"], new["fc1.weight"].astype(np.float32))


@pytest.mark.usefixtures("mapped")
def test_what_was_added_and_removed_is_all_that_differs(tmp_path: Path) -> None:
    """A tensor of its own for a copy, which may refer to where the values of the first stand in the file; the node that copied is gone."""
    proto = mlp([128, 256, 4])
    proto.graph.node.insert(1, helper.make_node("Identity", ["fc0.weight"], ["copy"]))
    path = Path(save(proto, tmp_path / "m.onnx"))
    read = load_model(path)
    own = TensorProto()
    own.CopyFrom(read.proto.graph.initializer[0])
    own.name = "copy"
    assert own.external_data

    read.proto.graph.initializer.append(own)
    read.proto.graph.node.remove(read.proto.graph.node[1])
    read.proto.metadata_props.add(key="k", value="v")
    write_model(read, tmp_path / "out.onnx", {}, touched={})

    inline = TensorProto()
    inline.CopyFrom(proto.graph.initializer[0])
    inline.name = "copy"
    proto.graph.initializer.append(inline)
    del proto.graph.node[1]
    proto.metadata_props.add(key="k", value="v")
    assert onnx.load(tmp_path / "out.onnx") == proto


@pytest.mark.parametrize("large", [False, True])
def test_fields_that_nobody_knows_yet_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, large: bool) -> None:
    """Of the model, of a node and of a tensor, also of the tensor that changes."""
    monkeypatch.setattr(load, "MAPPED_FROM", 0 if large else 1 << 30)
    proto = mlp([128, 256, 4])
    for message in (proto.graph.initializer[0], proto.graph.initializer[2], proto.graph.node[0]):
        message.MergeFromString(UNKNOWN)
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString() + UNKNOWN)

    changed(path, tmp_path / "out.onnx", "fc0.weight")

    assert path.read_bytes().count(UNKNOWN) == 4
    assert (tmp_path / "out.onnx").read_bytes().count(UNKNOWN) == 4


def test_values_in_nodes_bodies_and_functions_are_changed_where_they_stand(tmp_path: Path) -> None:
    """A Constant, an initializer of a branch, and a Constant of a function."""
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones((4, 4), np.float32), "c"))
    inner = numpy_helper.from_array(np.ones((4, 4), np.float32), "b")
    branch = helper.make_graph(
        [helper.make_node("MatMul", ["h", "b"], ["t"])],
        "then",
        [],
        [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)],
        [inner],
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["h"], ["e"])],
        "else",
        [],
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, None)],
    )
    called = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(np.ones((4, 4), np.float32), "w"))
    function = helper.make_function(
        "own",
        "Dense",
        ["x"],
        ["y"],
        [called, helper.make_node("MatMul", ["x", "w"], ["y"])],
        [helper.make_opsetid("", 17)],
    )
    nodes = [
        constant,
        helper.make_node("MatMul", ["x", "c"], ["g"]),
        helper.make_node("Dense", ["g"], ["h"], domain="own"),
        helper.make_node("If", ["choose"], ["y"], then_branch=branch, else_branch=other),
    ]
    proto = model(nodes, {"x": ["N", 4]}, ["y"], {"choose": np.array(True)}, domains=["own"])
    proto.functions.append(function)
    path = save(proto, tmp_path / "m.onnx")

    changed(path, tmp_path / "out.onnx", "c", "b", "w")
    after = {t.name: t.array() for _, t in load_model(tmp_path / "out.onnx").graph.tensors()}

    assert all(np.array_equal(after[name], np.full((4, 4), 1.5, np.float32)) for name in "cbw")
    written = onnx.load(tmp_path / "out.onnx")
    assert [n.op_type for n in written.graph.node] == [n.op_type for n in proto.graph.node]
    assert written.functions[0].node[1] == function.node[1]


def test_a_graph_in_two_parts_is_written_whole(tmp_path: Path) -> None:
    """Protobuf merges them; no piece of the file is the graph then."""
    later = ModelProto()
    later.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "late"))
    path = tmp_path / "m.onnx"
    path.write_bytes(mlp([8, 4]).SerializeToString() + later.SerializeToString())

    new = changed(path, tmp_path / "out.onnx", "fc0.weight")
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "out.onnx").graph.initializer}

    assert np.array_equal(stored["fc0.weight"], new["fc0.weight"].astype(np.float32))
    assert np.array_equal(stored["late"], np.ones(3))


def test_a_model_larger_than_a_message_may_be_keeps_its_form(tmp_path: Path) -> None:
    """2.5 GB of weights inside the file, which protobuf could not write: the lengths of what surrounds them are right."""
    proto = mlp([4, 4])
    proto.graph.initializer.append(TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=[5 << 27]))
    whole = proto.SerializeToString()
    ((begin, stop),) = [(b, e) for n, b, _, e in fields(whole, 0, len(whole)) if n == 7]
    *_, (_, last, inner, end) = [f for f in fields(whole, stop - proto.graph.ByteSize(), stop) if f[0] == 5]
    size = 5 << 29
    tensor = whole[inner:end] + varint(9 << 3 | 2) + varint(size)
    field = varint(5 << 3 | 2) + varint(len(tensor) + size) + tensor
    graph = whole[stop - proto.graph.ByteSize() : last] + field
    head = whole[:begin] + varint(7 << 3 | 2) + varint(len(graph) + size + len(whole[end:stop])) + graph
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.write(head)
        file.seek(size, os.SEEK_CUR)  # a hole, which takes no room on the disk
        file.write(whole[end:])
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        outline = read_outline(raw, "m.onnx")
        outline.metadata_props.append(StringStringEntryProto(key="k", value="v" * 10))
        weight = outline.graph.initializer[0]
        new = np.ones((4, 4), np.float32)

        pieces = pieces_of(outline, raw, {id(weight): new}, location="m.onnx")

        assert pieces is not None
        assert max(map(length_of, pieces)) >= size
        assert all(isinstance(piece, Range) for piece in pieces if length_of(piece) > 100)
        written = b"".join(
            raw[p.start : min(p.stop, p.start + 400)]
            if isinstance(p, Range)
            else p.tobytes()
            if isinstance(p, np.ndarray)
            else p
            for p in pieces
        )
        assert written.count(new.tobytes()) == 1
        added = len(StringStringEntryProto(key="k", value="v" * 10).SerializeToString()) + 2
        assert sum(map(length_of, pieces)) == path.stat().st_size + added


def varint(value: int) -> bytes:
    """As protobuf writes an integer: seven bits a byte, lowest first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_a_file_that_changes_meanwhile_is_not_mixed_with_what_was_read(tmp_path: Path) -> None:
    """It is said, and nothing is written."""
    path = Path(save(mlp([8, 4]), tmp_path / "m.onnx"))
    read = load_model(path)
    os.utime(path, ns=(1, 1))

    with pytest.raises(InvalidModel, match="changed while"):
        write_model(read, tmp_path / "out.onnx", {}, touched={})

    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.parametrize("large", [False, True])
def test_data_outside_that_is_inside_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, large: bool
) -> None:
    """A tensor may refer to bytes of the model file itself, which would not stay where they are."""
    monkeypatch.setattr(load, "MAPPED_FROM", 0 if large else 1 << 30)
    proto = mlp([8, 4])
    tensor = TensorProto(
        name="odd", data_type=TensorProto.FLOAT, dims=[SMALLEST // 4], data_location=TensorProto.EXTERNAL
    )
    for key, value in {"location": "m.onnx", "offset": "0", "length": str(SMALLEST)}.items():
        tensor.external_data.add(key=key, value=value)
    proto.graph.initializer.append(tensor)
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString() + ModelProto(doc_string=" " * SMALLEST).SerializeToString())

    with pytest.raises(FixRefused, match="within the model file itself"):
        write_model(load_model(path), tmp_path / "out.onnx", {}, touched={})


def test_nothing_is_held_of_tensors_that_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No value is asked for but those that change: 16 MB and more pass from file to file."""
    path = Path(save(mlp([2048, 2048, 4]), tmp_path / "m.onnx"))
    read = load_model(path)
    assert read.mapped
    monkeypatch.setattr(Tensor, "array", lambda self: pytest.fail(f"{self.name} was read"))

    write_model(read, tmp_path / "out.onnx", {}, touched={})

    assert (tmp_path / "out.onnx").read_bytes() == path.read_bytes()
