"""Files of weights hold what they are given, and are the same for the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest

import initaudit
from initaudit.cli import run
from initaudit.errors import UsageError
from initaudit.exporting.weights_file import write_weights
from tests.networks import mlp, save

VALUES = {
    "file": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "a.b/c": np.ones(3, np.float16),
    "count": np.array(0, np.int64),
}


def test_an_npz_holds_every_array_under_its_name(tmp_path: Path) -> None:
    """Also one that is called `file`, and one that lies transposed in memory."""
    write_weights(tmp_path / "w.npz", VALUES)

    found = np.load(tmp_path / "w.npz")

    assert set(found) == set(VALUES)
    for name, values in VALUES.items():
        assert found[name].dtype == values.dtype
        assert np.array_equal(found[name], values)


def test_what_numpy_does_not_know_is_written_as_float32(tmp_path: Path) -> None:
    """Which holds every value of bfloat16."""
    values = np.array([0.1, 3.0], ml_dtypes.bfloat16)

    write_weights(tmp_path / "w.npz", {"w": values})

    assert np.array_equal(np.load(tmp_path / "w.npz")["w"], values.astype(np.float32))


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    """No time stands in the file."""
    for name in ("a.npz", "b.npz"):
        write_weights(tmp_path / name, VALUES)

    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_safetensors_hold_the_same(tmp_path: Path) -> None:
    """In their own form."""
    safetensors = pytest.importorskip("safetensors.numpy", reason="the extra torch is not installed")

    write_weights(tmp_path / "w.safetensors", VALUES)
    found = safetensors.load_file(tmp_path / "w.safetensors")

    assert all(np.array_equal(found[name], values) for name, values in VALUES.items())


@pytest.mark.skipif(importlib.util.find_spec("safetensors") is not None, reason="safetensors is installed")
def test_without_the_package_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    """Before any work."""
    with pytest.raises(UsageError, match=r"initaudit\[torch\]"):
        initaudit.fix(mlp([8, 4]), tmp_path / "o.onnx", export_weights=tmp_path / "w.safetensors")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["w.pt", "w"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str) -> None:
    """Before any work."""
    with pytest.raises(UsageError, match="npz or"):
        initaudit.fix(mlp([8, 4]), tmp_path / "o.onnx", export_weights=tmp_path / name)


def test_fix_writes_the_weights_of_the_model_that_it_writes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With the new values; and says so."""
    proto = mlp([64, 64, 8], change={"fc0.weight": np.zeros_like})
    proto.producer_name = "pytorch"
    path = save(proto, tmp_path / "m.onnx")
    command = ["fix", "--isolated", "--probe", "none", "--context", "fresh", path]

    code = run([*command, "-o", str(tmp_path / "o.onnx"), "--export-weights", str(tmp_path / "w.npz")])

    assert code == 0
    assert f"wrote 4 tensors to {tmp_path / 'w.npz'}" in capfd.readouterr().out
    written = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "o.onnx").graph.initializer}
    weights = np.load(tmp_path / "w.npz")
    assert weights["fc0.weight"].any()
    assert all(np.array_equal(weights[name], values) for name, values in written.items())
    assert run([*command, "-o", str(tmp_path / "p.onnx"), "--export-weights", str(tmp_path / "w.npz")]) == 2
    assert not (tmp_path / "p.onnx").exists()


def test_weights_are_those_of_a_model_that_is_written(tmp_path: Path) -> None:
    """Without one there is nothing to export; with a dry run nothing is written."""
    with pytest.raises(UsageError, match="give an output"):
        initaudit.fix(mlp([8, 4]), export_weights=tmp_path / "w.npz")

    result = initaudit.fix(
        mlp([8, 4]),
        tmp_path / "o.onnx",
        config=initaudit.Config(probe="none"),
        dry_run=True,
        export_weights=tmp_path / "w.npz",
    )

    assert result.exported is None
    assert list(tmp_path.iterdir()) == []
