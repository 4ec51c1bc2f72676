"""A model is written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from initaudit.errors import ExternalDataError, InvalidModel, UsageError
from initaudit.fixing import patching
from initaudit.fixing.external_data import places_of
from initaudit.fixing.patching import copy_unchanged, write_model
from initaudit.model.load import Model, load_model
from tests.networks import mlp

if TYPE_CHECKING:
    from initaudit.model.tensors import Tensor


def loaded(path: Path | str) -> tuple[Model, dict[str, Tensor]]:
    """A model to be patched, and its tensors by name."""
    found = load_model(path)
    return found, {tensor.name: tensor for _, tensor in found.graph.tensors()}


def stored(path: Path) -> dict[str, np.ndarray]:
    """Values of a file, external data included."""
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def external(folder: Path, *, threshold: int = 0) -> Path:
    """A model of two layers whose tensors from `threshold` bytes on lie in `m.data`."""
    path = folder / "m.onnx"
    onnx.save(mlp([8, 16, 4], bias=0.5), path, save_as_external_data=True, location="m.data", size_threshold=threshold)
    return path


@pytest.mark.parametrize("threshold", [0, 256], ids=["all-outside", "weights-outside"])
def test_new_values_are_written_inside_or_outside_as_the_old_ones_were(tmp_path: Path, threshold: int) -> None:
    """The named tensors have them, the others their own; each outside begins at a multiple of 64 bytes."""
    source = external(tmp_path, threshold=threshold)
    model_, tensors = loaded(source)
    new = {name: np.full(tensors[name].shape, 0.25) for name in ("fc0.weight", "fc1.bias")}
    ids = {id(tensors[name]): values for name, values in new.items()}

    written = write_model(model_, tmp_path / "out.onnx", ids, touched={id(tensors[n]): tensors[n] for n in new})

    assert [p.name for p in written] == ["out.onnx", "out.onnx.data"]
    assert all(p.is_file() for p in written)
    expected = stored(source) | new
    found = stored(tmp_path / "out.onnx")
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    outside = [
        t for t in onnx.load(tmp_path / "out.onnx", load_external_data=False).graph.initializer if t.external_data
    ]
    assert len(outside) == (4 if threshold == 0 else 2)
    assert all(int({e.key: e.value for e in t.external_data}["offset"]) % 64 == 0 for t in outside)


def test_an_existing_data_file_is_not_overwritten(tmp_path: Path) -> None:
    """It may belong to the very model that is read."""
    source = external(tmp_path)
    (tmp_path / "out.onnx.data").write_bytes(b"precious")

    written = copy_unchanged(load_model(source), tmp_path / "out.onnx")

    assert [p.name for p in written] == ["out.onnx", "out.onnx.1.data"]
    assert (tmp_path / "out.onnx.data").read_bytes() == b"precious"
    assert stored(source).keys() == stored(tmp_path / "out.onnx").keys()


def test_a_model_that_cannot_be_written_leaves_no_data_file(tmp_path: Path) -> None:
    """Whole or not at all, also where the data was written first."""
    source = external(tmp_path)
    (tmp_path / "out.onnx").mkdir()

    with pytest.raises(UsageError, match=r"out\.onnx"):
        copy_unchanged(load_model(source), tmp_path / "out.onnx")

    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.data", "m.onnx", "out.onnx"]


def test_data_that_ends_early_is_refused(tmp_path: Path) -> None:
    """A file that shrinks while it is copied gives no half model."""
    model_, _ = loaded(external(tmp_path))
    (tmp_path / "m.data").write_bytes(b"")

    with pytest.raises(ExternalDataError, match="are needed"):
        write_model(model_, tmp_path / "out.onnx", {}, touched={})

    assert not (tmp_path / "out.onnx").exists()
    assert not (tmp_path / "out.onnx.data").exists()


def test_data_that_shrinks_while_it_is_copied_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The length was checked before; what is missing since then is noticed, and no half model appears."""
    model_, _ = loaded(external(tmp_path))
    places = places_of(model_.proto.graph.initializer, tmp_path)
    monkeypatch.setattr(patching, "places_of", lambda *_: places)
    (tmp_path / "m.data").write_bytes(b"")

    with pytest.raises(InvalidModel, match="ended early"):
        write_model(model_, tmp_path / "out.onnx", {}, touched={})

    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.data", "m.onnx"]


def test_an_unchanged_copy_is_the_same_bytes(tmp_path: Path) -> None:
    """Not a re-encoding of them, which may order fields differently."""
    path = tmp_path / "m.onnx"
    proto = mlp([8, 4])
    path.write_bytes(proto.SerializeToString() + onnx.ModelProto(doc_string="appended").SerializeToString())

    written = copy_unchanged(load_model(path), tmp_path / "out.onnx")

    assert written == [tmp_path / "out.onnx"]
    assert (tmp_path / "out.onnx").read_bytes() == path.read_bytes()


def test_large_data_is_copied_whole(tmp_path: Path) -> None:
    """Piece by piece, so that a model larger than memory passes."""
    path = tmp_path / "m.onnx"
    onnx.save(mlp([512, 12_000]), path, save_as_external_data=True, location="m.data", size_threshold=0)

    copy_unchanged(load_model(path), tmp_path / "out.onnx")

    before, after = stored(path), stored(tmp_path / "out.onnx")
    assert before["fc0.weight"].nbytes > 1 << 24
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_model_without_a_file_is_written_from_memory(tmp_path: Path) -> None:
    """There are no bytes to copy."""
    written = copy_unchanged(load_model(mlp([8, 4])), tmp_path / "out.onnx")

    assert written == [tmp_path / "out.onnx"]
    assert stored(tmp_path / "out.onnx").keys() == {"fc0.weight", "fc0.bias"}
