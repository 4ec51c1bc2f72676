"""Globs over paths of models, in `exclude` and in tables under `files`."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from initaudit.cli.models import expand
from initaudit.errors import UsageError
from initaudit.settings.globs import fits, read_globs
from initaudit.settings.settings import load_settings


@pytest.mark.parametrize(
    ("glob", "path", "is_like"),
    [
        ("exports/**/*.onnx", "exports/m.onnx", True),
        ("exports/**/*.onnx", "exports/a/m.onnx", True),
        ("exports/**/*.onnx", "exports/a/b/m.onnx", True),
        ("exports/**/*.onnx", "/work/exports/a/b/m.onnx", True),
        ("exports/**/*.onnx", "imports/a/m.onnx", False),
        ("exports/**/b/**/m.onnx", "exports/a/b/c/d/m.onnx", True),
        ("exports/**", "exports/a/m.onnx", True),
        ("**/m.onnx", "m.onnx", True),
        ("/exports/**/*.onnx", "/work/exports/m.onnx", False),
        ("/work/**/*.onnx", "/work/exports/m.onnx", True),
        ("exports/*.onnx", "exports/a/m.onnx", False),
        ("./m.onnx", "exports/m.onnx", True),
        ("", "m.onnx", False),
        (".", "m.onnx", False),
    ],
)
def test_two_stars_are_any_number_of_folders(glob: str, path: str, is_like: bool):
    """None included; one star stays within a folder, and a glob that is not absolute fits the end of a path."""
    assert fits(PurePath(path), glob) is is_like


def test_an_exclusion_of_nothing_excludes_nothing(tmp_path):
    """`--exclude "$DRAFTS"` with a variable that is not set leaves every model in."""
    model = tmp_path / "m.onnx"
    model.touch()

    exclude = read_globs([""])

    assert exclude == read_globs("") == ()
    assert expand([str(tmp_path)], exclude) == [str(model)]


def test_an_exclusion_of_the_working_directory_is_an_error():
    """`.` names no file, and who writes it expects something of it."""
    with pytest.raises(UsageError, match=r"'\.' names no file"):
        read_globs(["."])


def test_exclusions_and_tables_read_two_stars_alike(tmp_path):
    """One glob, one meaning."""
    for name in ("drafts/m.onnx", "drafts/a/b/m.onnx", "m.onnx"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "initaudit.toml").write_text("[files.'drafts/**/*.onnx']\nseed = 5")
    settings = load_settings(tmp_path)

    seeds = [settings.config(str(tmp_path / name)).seed for name in ("drafts/m.onnx", "drafts/a/b/m.onnx", "m.onnx")]

    assert seeds == [5, 5, 0]
    assert expand([str(tmp_path)], ["drafts/**/*.onnx"]) == [str(tmp_path / "m.onnx")]
