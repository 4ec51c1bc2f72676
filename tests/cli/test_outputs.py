"""What is written never takes the place of what is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from initaudit.cli import run
from tests.networks import mlp, save


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "m.onnx", "--output-format", "json", "-o", "m.onnx"],
        ["check", "m.onnx", "--output-format", "json", "-o", "same.onnx"],
        ["fix", "m.onnx", "-o", "new.onnx", "--output-format", "json", "--report", "m.onnx"],
        ["fix", "m.onnx", "-o", "m2.onnx", "--force", "--output-format", "json", "--report", "m2.onnx"],
        ["baseline", "m.onnx", "-o", "m.onnx"],
        ["inspect", "m.onnx", "-o", "m.onnx"],
        ["diff", "m.onnx", "m2.onnx", "--output-format", "json", "-o", "m2.onnx"],
        ["check", "m.onnx", "-o", "r.json", "-o", "r.json"],
    ],
    ids=" ".join,
)
def test_a_model_is_not_replaced_by_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
):
    """Nor two reports by each other: an error, before any work, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    save(mlp([4, 4]), tmp_path / "m.onnx")
    save(mlp([4, 4]), tmp_path / "m2.onnx")
    (tmp_path / "same.onnx").symlink_to("m.onnx")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    code = run([*arguments, "--isolated"] if arguments[0] != "inspect" else arguments)

    assert code == 2
    assert "error" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_fixed_model_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """It is audited again, which a pipe does not allow: refused instead of waiting for ever."""
    path = save(mlp([4, 4]), tmp_path / "m.onnx")
    os.mkfifo(tmp_path / "pipe")

    code = run(["fix", path, "-o", str(tmp_path / "pipe"), "--force", "--isolated"])

    assert code == 2
    assert "is no file" in capsys.readouterr().err
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("argument", ["models", "models/*.onnx"])
def test_a_link_to_nothing_is_no_model_that_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argument: str
):
    """A model that was not fetched closes the gate."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    save(mlp([4, 4]), tmp_path / "models" / "a.onnx")
    (tmp_path / "models" / "b.onnx").symlink_to("../annex/b.onnx")

    code = run(["check", argument, "--isolated", "--probe", "none"])

    assert code == 2
    assert "b.onnx: No such file" in capsys.readouterr().err


def test_inputs_that_are_not_numbers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """NaN in the user's data is no fault of the network."""
    path = save(mlp([4, 4]), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.full((8, 4), np.nan, np.float32))

    code = run(["check", path, "--isolated", "--input-data", str(tmp_path / "x.npy")])

    assert code == 2
    assert "holds NaN or infinity" in capsys.readouterr().err
