"""`initaudit make` as it is typed."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import initaudit
from initaudit import cli
from initaudit.making.architectures import ARCHITECTURES


def make(*words: str | Path) -> int:
    """The exit code."""
    return cli.run(["make", *map(str, words)])


def test_the_file_is_what_the_function_makes(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """With the same options; and nothing is overwritten unless that is asked for."""
    file = tmp_path / "n.onnx"
    words = ("--mlp", "12,8x2,4", "--activation", "tanh", "--scheme", "normal:0.01", "--bias", "0.5", "--seed", "2")

    assert make(*words, "-o", file) == 0
    assert make("--mlp", "12,4", "-o", file) == 2

    made = initaudit.make("mlp", "12,8x2,4", activation="tanh", scheme="normal:0.01", bias=0.5, seed=2)
    assert onnx.load(file) == made
    assert capfd.readouterr().err.splitlines() == [
        f"wrote {file}",
        f"initaudit: error: {file}: exists already; --force overwrites it",
    ]
    assert make("--mlp", "12,4", "-o", file, "--force", "-q") == 0
    assert onnx.load(file) != made


def test_without_sizes_they_are_the_usual_ones(tmp_path: Path):
    """Of the architecture whose option stands alone."""
    assert make("--lstm", "-o", tmp_path / "n.onnx", "-q") == 0

    assert onnx.load(tmp_path / "n.onnx").graph.name == f"lstm {ARCHITECTURES['lstm'].sizes}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "give one of --mlp, --conv, --residual, --lstm, --transformer"),
        (("--mlp", "--lstm"), "give one of --mlp"),
        (("--mlp",), "give -o OUT"),
        (("--mlp", "-o", "-"), "give -o OUT"),
        (("--mlp", "-o", "no folder/n.onnx"), "there is no directory"),
        (("--mlp", "3,x", "-o", "n.onnx"), "are no sizes of mlp"),
        (("--mlp", "--dropout", "half", "-o", "n.onnx"), "'half' is no number"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    """Exit code 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)

    assert make(*words) == 2

    told = capfd.readouterr().err
    assert says in told
    assert len(told.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
