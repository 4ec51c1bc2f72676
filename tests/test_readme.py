"""What the README shows is what happens: its sessions, its tables, its Python.

`pytest --update-docs tests/test_readme.py tests/formats/test_screenshot.py` writes the sessions and the picture anew.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from initaudit.cli import COMMANDS, cli, run
from tests.networks import mlp, save

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
SESSION = re.compile(r"(?<=```console\n)\$ (.*)\n([\s\S]*?)(?=```)")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")
COLUMNS = 88
"""Width of the sessions: what GitHub shows without scrolling."""
CLOSE = 0.05
"""Relative difference between numbers that another processor may make."""


def happens(command: str) -> str:
    """What a terminal shows of a command, run in the checkout: the report, then what goes to stderr."""
    program, *arguments = shlex.split(command)
    assert program == "initaudit"
    done = subprocess.run(
        [sys.executable, "-m", "initaudit", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def same(shown: str, happened: str) -> bool:
    """Equal, but for blanks and the last digits of numbers."""
    words = [NUMBER.sub("#", text).split() for text in (shown, happened)]
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (shown, happened)]
    return words[0] == words[1] and all(math.isclose(a, b, rel_tol=CLOSE) for a, b in zip(*numbers, strict=True))


@pytest.mark.parametrize("command", [match[1] for match in SESSION.finditer(README.read_text("utf-8"))])
def test_a_session_is_what_happens(command: str, request: pytest.FixtureRequest):
    """Word by word; the numbers within what another processor makes of them."""
    happened = happens(command)
    if request.config.getoption("--update-docs"):
        text = README.read_text("utf-8")
        anew = SESSION.sub(lambda m: f"$ {command}\n{happened}" if m[1] == command else m[0], text)
        README.write_text(anew, encoding="utf-8")
    shown = next(m[2] for m in SESSION.finditer(README.read_text("utf-8")) if m[1] == command)

    assert same(shown, happened), (
        f"the README shows\n{shown}\nand it is\n{happened}\n(pytest --update-docs tests/test_readme.py writes it anew)"
    )


def test_another_word_or_another_number_is_no_session():
    """What the comparison lets pass is small."""
    assert same("std 0.102  p = 1.2e-05", "std 0.1021 p = 1.21e-05")
    assert not same("std 0.102", "std 0.122")
    assert not same("std 0.102", "std 0.102 too")
    assert not same("1 error", "1 errors")


def table(heading: str) -> dict[str, str]:
    """The rows of the README's table whose first column is headed so: first column to second."""
    lines = iter(README.read_text("utf-8").splitlines())
    next(line for line in lines if line.startswith(f"| {heading} |"))
    next(lines)
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        first, second = (cell.strip() for cell in line.strip("|").split("|"))
        rows[first] = second
    return rows


def test_the_commands_are_those_of_the_program():
    """Each with what `initaudit --help` says of it."""
    assert table("command") == {f"`initaudit {name}`": text for name, text in COMMANDS.items()}


def test_the_exit_codes_are_those_of_the_program(tmp_path: Path):
    """Those that `initaudit --help` names; 0, 1 and 2 as they come (130: tests/cli/test_cli.py)."""
    sound = save(mlp([16, 16, 4]), tmp_path / "sound.onnx")
    faulty = save(mlp([16, 16, 4], change={"fc0.weight": lambda w: 0 * w}), tmp_path / "faulty.onnx")

    codes = [
        run(["check", "--isolated", "-q", "--probe", "none", path]) for path in (sound, faulty, str(tmp_path / "gone"))
    ]

    assert codes == [0, 1, 2]
    assert list(table("exit code")) == re.findall(r"\b\d+\b", cli.epilog or "") == ["0", "1", "2", "130"]


@pytest.mark.parametrize("number", range(len(re.findall("```python\n", README.read_text("utf-8")))))
def test_the_python_runs(number: int):
    """As written, in the checkout."""
    code = re.findall(r"```python\n([\s\S]*?)```", README.read_text("utf-8"))[number]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=False)

    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.splitlines()) > 1
