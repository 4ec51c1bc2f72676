"""What SECURITY.md promises and no other test shows; and that it names tests that there are."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import initaudit
from initaudit.errors import InitauditError
from tests.networks import mlp, save

ROOT = Path(__file__).resolve().parents[1]
WATCH = """
import os, sys
def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto"):
        with open(os.environ["CONNECTIONS"], "a") as file:
            file.write(f"{event} {arguments!r}\\n")
sys.addaudithook(note)
"""
"""What Python runs first in every process whose path has it: it notes each connection."""


def watched(folder: Path, *command: str) -> list[str]:
    """The connections that a Python process and those that it starts open."""
    (folder / "sitecustomize.py").write_text(WATCH)
    log = folder / "connections"
    log.touch()
    paths = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": paths, "CONNECTIONS": str(log)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return log.read_text().splitlines()


def test_an_audit_opens_no_connection(tmp_path: Path):
    """Neither the command nor the probe's process; a connection would be seen."""
    path = save(mlp([16, 16, 4]), tmp_path / "m.onnx")
    page = tmp_path / "page.html"

    calling = watched(tmp_path, "-c", "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))")
    (tmp_path / "connections").unlink()
    auditing = watched(tmp_path, "-m", "initaudit", "check", "--isolated", path, "-o", str(page))

    assert len(calling) == 1
    assert auditing == []
    assert page.exists()


def test_weights_alone_are_audited_without_onnxruntime(tmp_path: Path):
    """With `--probe none` it is not even loaded."""
    path = save(mlp([16, 16, 4]), tmp_path / "m.onnx")
    code = (
        "import sys\nfrom initaudit.cli import run\n"
        "assert run(['check', '--isolated', '--probe', 'none', sys.argv[1]]) == 0\n"
        "assert 'onnxruntime' not in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, cwd=ROOT)


def test_an_audit_changes_no_file(tmp_path: Path):
    """The model and its folder are as they were."""
    path = save(mlp([16, 16, 4]), tmp_path / "m.onnx")
    before = hashlib.sha256(Path(path).read_bytes()).hexdigest()

    initaudit.audit(path)

    assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == before
    assert list(tmp_path.iterdir()) == [Path(path)]


class Trap:
    """What writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickled_inputs_are_refused(suffix: str, tmp_path: Path):
    """An array of objects is a pickle, and reading a pickle runs it."""
    path = save(mlp([16, 16, 4]), tmp_path / "m.onnx")
    data, sprung = tmp_path / f"inputs{suffix}", tmp_path / "sprung"
    objects = np.array([Trap(sprung)], dtype=object)
    if suffix == ".npy":
        np.save(data, objects, allow_pickle=True)
    else:
        np.savez(data, x=objects)

    with pytest.raises(InitauditError, match=re.escape(data.name)):
        initaudit.audit(path, input_data=str(data))

    assert not sprung.exists()


def named_tests() -> list[str]:
    """The tests that SECURITY.md names."""
    return re.findall(r"`(tests/[\w/]+\.py::\w+)`", (ROOT / "SECURITY.md").read_text("utf-8"))


def test_every_promise_names_tests():
    """A row of the table without one is no promise."""
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    promised = text[text.index("## Promised") : text.index("## Not promised")]
    rows = [line for line in promised.splitlines() if line.startswith("|")][2:]

    assert len(rows) > 5
    assert all("`tests/" in row for row in rows)


def test_a_test_that_is_named_is_there():
    """Under that name, in that file."""
    named = [name.partition("::")[::2] for name in named_tests()]
    trees = {file: ast.parse((ROOT / file).read_text("utf-8")) for file, _ in named}
    there = {(file, n.name) for file, tree in trees.items() for n in tree.body if isinstance(n, ast.FunctionDef)}

    assert named
    assert set(named) - there == set()
