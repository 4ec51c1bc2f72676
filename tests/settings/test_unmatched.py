"""Tables of the configuration that match nothing are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from initaudit.cli import run
from initaudit.settings.settings import load_settings
from initaudit.settings.unmatched import unmatched
from tests.networks import mlp, save

FILE = """
[files."exprots/*.onnx"]
seed = 5
context = "trained"
[files."exports/*.onnx".layers."head*"]
severity = {INI101 = "info", INI102 = "info"}
[layers."bakbone.*"]
ignore = "INI601"
severity = {INI101 = "info"}
[layers."fc*"]
threshold = {INI101.ratio = 0.2}
"""

NO_MODEL = 'files."exprots/*.onnx" (initaudit.toml:3) matched no model'
NO_LAYER = 'layers."bakbone.*" (initaudit.toml:7) matched no layer'
NO_HEAD = 'layers."head*" (initaudit.toml:5) matched no layer'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "initaudit.toml").write_text(FILE)
    (tmp_path / "exports").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_that_fits_no_model_or_no_layer_is_told_once(project: Path):
    """However many options it holds; a table of layers in one of models is for the layers of these."""
    settings = load_settings(project)

    told = unmatched(settings, {"exports/a.onnx": {"fc0"}, "b.onnx": {"head"}})

    assert sorted(told) == sorted([NO_MODEL, NO_HEAD, NO_LAYER])


def test_a_model_that_cannot_be_audited_may_have_any_layer(project: Path):
    """What is not known is not called missing."""
    assert unmatched(load_settings(project), {"exports/a.onnx": None}) == (NO_MODEL,)


def test_the_notes_stand_on_stderr(project: Path, capfd: pytest.CaptureFixture[str]):
    """As those of ignores that nobody needs; `-q` has none."""
    save(mlp([16, 16, 4]), project / "exports" / "a.onnx")
    arguments = ["check", "exports", "--probe", "none", "--exit-zero"]

    code = run(arguments)
    told = capfd.readouterr().err
    run([*arguments, "-q"])
    quiet = capfd.readouterr().err

    assert code == 0
    assert [line for line in told.splitlines() if "matched no" in line] == [
        f"initaudit: note: {note}" for note in (NO_LAYER, NO_MODEL, NO_HEAD)
    ]
    assert "matched no" not in quiet
