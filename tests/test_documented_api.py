"""The Python code of the documentation runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import initaudit
from tests.networks import mlp, save

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_code_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """In a folder with a sound model."""
    save(mlp([32, 32, 10]), tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)

    exec(compile(BLOCKS[number], f"{PAGE.name} block {number}", "exec"), {})
    out = capsys.readouterr().out

    for said in re.findall(r"print\(.*?#\s(<.*>|\{.*\})$", BLOCKS[number], re.MULTILINE):
        assert said in out


def test_the_tree_of_errors_is_that_of_the_package():
    """Each name is there, below its parent."""
    (tree,) = re.findall(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL)
    depths = [(len(indent) // 4, name) for indent, name in re.findall(r"^([│├└─ ]*)(\w+)", tree, re.MULTILINE)]
    parents: list[type] = []

    for depth, name in depths:
        kind = getattr(initaudit, name)
        assert kind.__base__ is (parents[depth - 1] if depth else Exception)
        parents[depth:] = [kind]
    assert len(depths) == len(
        [
            n
            for n in initaudit.__all__
            if isinstance(getattr(initaudit, n), type) and issubclass(getattr(initaudit, n), Exception)
        ]
    )
