"""Files appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from initaudit.errors import UsageError
from initaudit.files import atomic_file, write_atomically


def test_a_failure_leaves_the_old_file_and_no_rubbish(tmp_path: Path):
    """An exception while writing changes nothing."""
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def fail() -> None:
        with atomic_file(target) as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_missing_folder_is_a_clear_error(tmp_path: Path):
    """The message names the file."""
    with pytest.raises(UsageError, match="cannot be written"):
        write_atomically(tmp_path / "no" / "a.bin", b"x")


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path):
    """SIGKILL in the middle of a write: a reader still sees the old bytes."""
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom initaudit.files import atomic_file\n"
        f"with atomic_file(Path({str(target)!r})) as stream:\n"
        "    stream.write(b'new' * 100000)\n    stream.flush()\n    print('half', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    assert target.read_bytes() == b"old"


def test_permissions_are_kept(tmp_path: Path):
    """A file that is replaced keeps its mode."""
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    target.chmod(0o640)

    write_atomically(target, b"new")

    assert target.stat().st_mode & 0o777 == 0o640
