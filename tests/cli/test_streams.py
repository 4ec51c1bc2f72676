"""Standard output and error closed, full or left early, and a working directory that is gone: one line at most, and the right exit code."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.networks import mlp, save

ROOT = Path(__file__).resolve().parents[2]
FULL = os.makedev(1, 7)


def shell(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A line of shell in which `initaudit` runs the command; what it writes to `error` comes back as stderr."""
    call = f'initaudit() {{ "{sys.executable}" -m initaudit "$@"; }}\n{script}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", call, "bash", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a small model."""
    return str(save(mlp([16, 16, 4]), tmp_path_factory.mktemp("models") / "m.onnx"))


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A device that takes nothing, of our own."""
    device = tmp_path / "full"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, FULL)
        device.open("wb").close()
    except PermissionError:
        pytest.skip("no device may be made here")
    return device


@pytest.mark.parametrize("redirection", [">&-", "> {full}"])
def test_a_report_that_nobody_gets_is_an_error(redirection: str, path: str, full: Path, tmp_path: Path):
    """Exit code 2 and one line that says so, no traceback."""
    done = shell(f"initaudit check --isolated --probe none -q $1 {redirection.format(full=full)}", tmp_path, path)

    assert done.returncode == 2
    assert "cannot write the output" in done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr


def test_a_closed_standard_error_costs_nothing_but_the_messages(path: str, tmp_path: Path):
    """The report is whole; a failure keeps its exit code."""
    fine = shell("initaudit check --isolated --probe none $1 2>&-", tmp_path, path)
    failing = shell("initaudit check --isolated --probe none none.onnx 2>&-", tmp_path, path)

    assert fine.returncode == 0
    assert "parameters audited" in fine.stdout
    assert failing.returncode == 2


def test_a_failure_that_nobody_reads_is_a_failure(full: Path, tmp_path: Path):
    """A full standard error does not make another exit code of it."""
    done = shell(f"initaudit check --isolated --probe none none.onnx 2> {full}", tmp_path)

    assert done.returncode == 2


def test_a_reader_that_had_enough_ends_the_command_quietly(tmp_path: Path):
    """As `| head -1` does."""
    done = shell("{ initaudit schema; } | head -1", tmp_path)

    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_a_deleted_working_directory_does_not_matter_to_absolute_paths(path: str, tmp_path: Path):
    """Configuration is looked for nowhere; a relative path is refused in one line."""
    folder = tmp_path / "gone"
    folder.mkdir()

    absolute = shell('rmdir "$PWD"; initaudit check --probe none "$1"', folder, path)
    folder.mkdir()
    relative = shell('rmdir "$PWD"; initaudit check --probe none m.onnx', folder, path)

    assert absolute.returncode == 0
    assert "parameters audited" in absolute.stdout
    assert relative.returncode == 2
    assert relative.stderr.count("\n") == 1
    assert "internal error" not in relative.stderr
