"""External data is copied once, all that the model refers to, and nothing else of it changes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from initaudit.errors import ExternalDataError
from initaudit.fixing import copying
from initaudit.fixing.copying import BLOCK
from initaudit.fixing.external_data import NEAR
from initaudit.fixing.patching import copy_unchanged, write_model
from initaudit.model.load import load_model
from tests.networks import mlp


def refer(tensor: TensorProto, location: str, **entries: object) -> None:
    """Make a message refer to a file instead of holding its values."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))


def change(path: Path, output: Path, **values: float) -> None:
    """Write the model with these tensors full of one value each."""
    read = load_model(path)
    touched = {id(t): t for _, t in read.graph.tensors() if t.name in values}
    write_model(read, output, {k: np.full(t.shape, values[t.name]) for k, t in touched.items()}, touched=touched)


def stored(path: Path) -> dict[str, np.ndarray]:
    """Values of a file, external data included."""
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def entries(path: Path) -> dict[str, dict[str, str]]:
    """What each tensor says of where its data is."""
    graph = onnx.load(path, load_external_data=False).graph
    return {t.name: {e.key: e.value for e in t.external_data} for t in graph.initializer}


def test_a_file_for_each_tensor_becomes_one_for_all(tmp_path: Path) -> None:
    """The model has one data file however many it came from."""
    path = tmp_path / "m.onnx"
    onnx.save(mlp([8, 16, 4]), path, save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=0)
    before = stored(path)

    change(path, tmp_path / "out.onnx", **{"fc1.weight": 0.5})
    after = stored(tmp_path / "out.onnx")

    assert {e["location"] for e in entries(tmp_path / "out.onnx").values()} == {"out.onnx.data"}
    assert np.array_equal(after.pop("fc1.weight"), np.full((4, 16), 0.5, np.float32))
    assert all(np.array_equal(values, before[name]) for name, values in after.items())


def test_tensors_of_the_training_part_keep_their_data(tmp_path: Path) -> None:
    """Also those of functions that nobody calls, and of nodes."""
    proto = mlp([8, 4])
    values = np.arange(6, dtype=np.float32)
    (tmp_path / "m.data").write_bytes(b"\0" * 100 + values.tobytes() + b"\0" * 100)
    tensors = [proto.training_info.add().initialization.initializer.add()]
    tensors.append(
        proto.functions.add(name="f", domain="d").node.add(op_type="Constant").attribute.add(name="value", type=4).t
    )
    for tensor in tensors:
        tensor.CopyFrom(numpy_helper.from_array(values, "start"))
        refer(tensor, "m.data", offset=100, length=24)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())

    change(tmp_path / "m.onnx", tmp_path / "out.onnx", **{"fc0.weight": 1.0})
    (tmp_path / "m.data").unlink()
    written = onnx.load(tmp_path / "out.onnx", load_external_data=False)

    for tensor in (written.training_info[0].initialization.initializer[0], written.functions[0].node[0].attribute[0].t):
        assert np.array_equal(numpy_helper.to_array(tensor, str(tmp_path)), values)


def test_a_part_for_training_without_its_data_is_not_written(tmp_path: Path) -> None:
    """What cannot be copied is said."""
    proto = mlp([8, 4])
    tensor = proto.training_info.add().initialization.initializer.add()
    tensor.CopyFrom(numpy_helper.from_array(np.ones(4, np.float32), "start"))
    refer(tensor, "gone.data")
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())

    with pytest.raises(ExternalDataError, match="start"):
        change(tmp_path / "m.onnx", tmp_path / "out.onnx")

    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_of_two_tensors_in_the_same_bytes_only_the_changed_one_changes(tmp_path: Path) -> None:
    """Equal values that somebody stored once; both may overlap in part as well."""
    proto = mlp([8, 8, 8])
    data = np.arange(100, dtype=np.float32)
    (tmp_path / "m.data").write_bytes(data.tobytes())
    first, second = proto.graph.initializer[0], proto.graph.initializer[2]
    refer(first, "m.data", offset=0, length=256)
    refer(second, "m.data", offset=128, length=256)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())

    change(tmp_path / "m.onnx", tmp_path / "out.onnx", **{"fc0.weight": 9.0})
    after = stored(tmp_path / "out.onnx")

    assert np.array_equal(after["fc0.weight"], np.full((8, 8), 9, np.float32))
    assert np.array_equal(after["fc1.weight"].reshape(-1), data[32:96])


def test_what_a_tensor_says_of_its_data_is_true(tmp_path: Path) -> None:
    """The checksum is that of the new file; an entry of another kind stays; a length is there although it was not."""
    proto = mlp([8, 4])
    weight = proto.graph.initializer[0]
    (tmp_path / "m.data").write_bytes(weight.raw_data)
    checksum = hashlib.sha1(weight.raw_data).hexdigest()
    refer(weight, "m.data", checksum=checksum, note="kept")
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())

    change(tmp_path / "m.onnx", tmp_path / "out.onnx", **{"fc0.weight": 3.0})
    said = entries(tmp_path / "out.onnx")

    written = (tmp_path / "out.onnx.data").read_bytes()
    assert said["fc0.weight"]["checksum"] == hashlib.sha1(written).hexdigest() != checksum
    assert said["fc0.weight"]["note"] == "kept"
    assert said["fc0.weight"]["length"] == "128"
    assert written[int(said["fc0.weight"]["offset"]) :][:128] == np.full(32, 3, np.float32).tobytes()
    assert said["fc0.bias"] == {}


@pytest.mark.parametrize(("gap", "copied"), [(NEAR, True), (NEAR + BLOCK, False)])
def test_the_weights_of_another_model_in_the_same_file_are_not_copied(
    tmp_path: Path, gap: int, *, copied: bool
) -> None:
    """Padding between tensors is; and each keeps its place within a block of the file system, so that blocks can be shared."""
    proto = mlp([8, 8, 8])
    first, second = proto.graph.initializer[0], proto.graph.initializer[2]
    places = {"fc0.weight": 5000, "fc1.weight": 5000 + 256 + gap}
    data = bytearray(b"other" * (1 << 16))
    for tensor in (first, second):
        data[places[tensor.name] : places[tensor.name] + 256] = tensor.raw_data
        refer(tensor, "m.data", offset=places[tensor.name], length=256)
    (tmp_path / "m.data").write_bytes(data)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())

    copy_unchanged(load_model(tmp_path / "m.onnx"), tmp_path / "out.onnx")
    before, after = stored(tmp_path / "m.onnx"), stored(tmp_path / "out.onnx")

    assert all(np.array_equal(before[name], values) for name, values in after.items())
    moved = {name: int(entry["offset"]) for name, entry in entries(tmp_path / "out.onnx").items() if entry}
    assert all((moved[name] - places[name]) % BLOCK == 0 for name in places)
    assert ((tmp_path / "out.onnx.data").stat().st_size > NEAR) == copied


def test_bytes_are_copied_where_the_kernel_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two file systems, or where there is no such call."""
    path = tmp_path / "m.onnx"
    onnx.save(mlp([300, 2000, 4]), path, save_as_external_data=True, location="m.data", size_threshold=0)
    monkeypatch.setattr(copying.os, "copy_file_range", refuse)

    copy_unchanged(load_model(path), tmp_path / "out.onnx")

    before, after = stored(path), stored(tmp_path / "out.onnx")
    assert before["fc0.weight"].nbytes > copying._CHUNK
    assert all(np.array_equal(before[name], values) for name, values in after.items())


def refuse(*_: object) -> int:
    """What the kernel says of two file systems."""
    raise OSError(18, os.strerror(18))
