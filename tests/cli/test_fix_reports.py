"""`initaudit fix`: where the model comes from, and what is said of what was done."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest

import initaudit
from initaudit.cli import run
from tests.networks import he, mlp, save, trained_like

ZERO = {"fc0.weight": np.zeros_like}
QUICK = ("--isolated", "--probe", "none", "--context", "fresh")


@pytest.fixture
def zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(save(mlp([32, 32, 4], change=ZERO), tmp_path / "zero.onnx"))


def test_the_document_says_what_was_changed(zero: Path, capfd: pytest.CaptureFixture[str]):
    """The report is of the model as it is now; `fix` holds the changes and the report of the model as it was."""
    code = run(["fix", str(zero), "-o", "new.onnx", *QUICK, "-q", "--output-format", "json"])
    output = capfd.readouterr()
    document = json.loads(output.out)
    schema = json.loads((Path(initaudit.__file__).parent / "schema.json").read_text())

    jsonschema.validate(document, schema)
    assert code == 0
    assert output.err == ""
    assert document["fix"]["written"] == ["new.onnx"]
    assert [change["initializer"] for change in document["fix"]["changes"]] == ["fc0.weight"]
    assert document["fix"]["changes"][0]["std_before"] == 0
    assert "INI003" in [f["code"] for f in document["fix"]["before"]["findings"]]
    assert "INI003" not in [f["code"] for f in document["reports"][0]["findings"]]


def test_what_no_draw_mends_is_copied_with_the_code_of_what_remains(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """A layer that training should have reached, say: nothing is to be changed, so that OUT is what there was."""
    change = {"fc1.weight": lambda w: he(w.shape, np.random.default_rng(1))}
    path, out = save(mlp([64, 64, 64, 8], draw=trained_like, change=change), tmp_path / "m.onnx"), tmp_path / "out.onnx"

    code = run(["fix", "--isolated", "--probe", "none", path, "-o", str(out)])

    assert code == 1
    assert "INI601 untrained-layer remains); " in capfd.readouterr().out
    assert out.read_bytes() == Path(path).read_bytes()


def test_reports_go_to_files(zero: Path, capfd: pytest.CaptureFixture[str]):
    """As those of `check`: formats by suffix, nothing on stdout."""
    run(["fix", str(zero), "-o", "new.onnx", *QUICK, "--report", "r.txt", "--report", "r.html"])
    output = capfd.readouterr()

    assert output.out == ""
    assert "wrote new.onnx" in output.err
    assert Path("r.txt").read_text().startswith("fc0: std 0 -> ")
    assert Path("r.html").read_text().startswith("<!doctype html>")


def test_a_model_on_stdin_is_fixed(zero: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Its name in reports and messages is <stdin>; it cannot be replaced."""
    content = zero.read_bytes()

    def stdin() -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    stdin()
    code = run(["fix", "-", "-o", "new.onnx", *QUICK, "--output-format", "json"])
    document = json.loads(capfd.readouterr().out)
    stdin()
    replaced = run(["fix", "-", "--in-place", *QUICK])

    assert code == 0
    assert document["fix"]["model"] == "<stdin>"
    assert np.any(onnx.numpy_helper.to_array(onnx.load("new.onnx").graph.initializer[0]))
    assert replaced == 2
    assert "cannot be replaced" in capfd.readouterr().err


@pytest.mark.parametrize("command", ["check", "inspect"])
def test_stdin_has_one_name(
    command: str, zero: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Also where what comes is no model."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"no model")))

    code = run([command, "-"])

    assert code == 2
    assert "initaudit: error: <stdin>: " in capfd.readouterr().err


def test_quiet_prints_what_was_asked_for(zero: Path, capfd: pytest.CaptureFixture[str]):
    """Without --output-format nothing was."""
    run(["fix", str(zero), "-o", "new.onnx", *QUICK, "-q"])

    assert capfd.readouterr() == ("", "")


def test_a_model_is_not_written_to_a_terminal(zero: Path, capfd: pytest.CaptureFixture[str]):
    """`-` is no file name."""
    assert run(["fix", str(zero), "-o", "-", *QUICK]) == 2
    assert "a model goes to a file" in capfd.readouterr().err


def test_the_list_of_layers_is_json_where_its_file_is(zero: Path, capfd: pytest.CaptureFixture[str]):
    """The suffix decides, as for reports."""
    run(["inspect", str(zero), "-o", "layers.json"])
    told = capfd.readouterr()
    run(["inspect", str(zero), "-o", "layers.json", "-q"])

    assert (told.out, told.err, capfd.readouterr().err) == ("", "wrote layers.json\n", "")
    assert len(json.loads(Path("layers.json").read_text())["layers"]) == 2
