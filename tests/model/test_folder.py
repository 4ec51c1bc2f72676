"""Files of models below a folder."""

from __future__ import annotations

from pathlib import Path

from initaudit.model.folder import models_below


def test_models_come_by_name_whatever_order_the_folder_has(tmp_path: Path):
    """The plan of a run, and so its name, is the same on every file system: one lists what is there as it was made, another by a hash."""
    for name in "dahbgcfe":
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.onnx").touch()
        (tmp_path / f"{name}.ONNX").touch()

    found = [str(path.relative_to(tmp_path)) for path in models_below(tmp_path)]

    assert found == [f"{name}.ONNX" for name in "abcdefgh"] + [f"{name}/m.onnx" for name in "abcdefgh"]
