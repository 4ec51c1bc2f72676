"""load_model: what it takes, and that a large file is mapped rather than read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import initaudit
from initaudit.errors import ModelError
from initaudit.model import load as model_module
from initaudit.model.load import load_model
from tests.networks import mlp, normal, save


def stds(source: object) -> list[float]:
    """Standard deviation of every layer."""
    return [row["std"] for row in initaudit.audit(source, probe="none").rows()]


def test_path_bytes_and_proto_give_the_same_audit(tmp_path: Path):
    """Wherever the model comes from."""
    proto = mlp([64, 48, 10])
    path = save(proto, tmp_path / "m.onnx")

    assert stds(path) == stds(Path(path)) == stds(Path(path).read_bytes()) == stds(proto)


def test_an_onnx_ir_model_is_taken(tmp_path: Path):
    """Where that library is installed."""
    onnx_ir = pytest.importorskip("onnx_ir")
    path = save(mlp([64, 48, 10]), tmp_path / "m.onnx")

    assert stds(onnx_ir.load(path)) == stds(path)


def test_anything_else_is_refused():
    """With the type in the message."""
    with pytest.raises(ModelError, match="list"):
        load_model([1, 2])


def test_the_weights_of_a_large_file_are_mapped_and_audit_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No copy in memory, same figures, same probe, same hash."""
    path = save(mlp([64, 256, 96, 10]), tmp_path / "m.onnx")
    read = initaudit.audit(path)
    monkeypatch.setattr(model_module, "MAPPED_FROM", 1)

    mapped = initaudit.audit(path)

    tensor = next(t for _, t in load_model(path).graph.tensors() if t.name == "fc0.weight")
    assert isinstance(tensor.array().base, np.memmap | np.ndarray)
    assert tensor.external() is not None
    assert mapped.audit is not None
    assert read.audit is not None
    assert mapped.audit.model.sha256 == read.audit.model.sha256
    for a, b in zip(mapped.rows(), read.rows(), strict=True):
        assert {k: pytest.approx(v, rel=1e-5) if isinstance(v, float) else v for k, v in a.items()} == b


def test_a_damaged_large_file_is_explained_as_a_small_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Mapping must not hide what is wrong."""
    path = tmp_path / "m.onnx"
    path.write_bytes(mlp([64, 48, 10]).SerializeToString()[:-5])
    monkeypatch.setattr(model_module, "MAPPED_FROM", 1)

    with pytest.raises(ModelError, match="truncated or damaged"):
        load_model(path)


def test_fix_of_a_large_file_keeps_the_weights_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The output is one file, as the input was."""
    path = save(mlp([64, 96, 96, 10], draw=normal(1e-3)), tmp_path / "m.onnx")
    monkeypatch.setattr(model_module, "MAPPED_FROM", 1)

    result = initaudit.fix(path, tmp_path / "out.onnx", config=initaudit.Config(probe="none", context="fresh"))

    assert [p.name for p in result.written] == ["out.onnx"]
    written = onnx.load(tmp_path / "out.onnx", load_external_data=False)
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in written.graph.initializer)
