"""Files appear whole or not at all."""

from __future__ import annotations

import os
import signal
import socket
import stat
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


def test_a_device_and_a_pipe_are_written_to_and_stay(tmp_path: Path):
    """`-o /dev/null` must not replace the null device of the machine, nor a pipe that somebody reads."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    write_atomically(pipe, b"report")

    assert os.read(reader, 100) == b"report"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    os.close(reader)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a device")
def test_a_device_stays_a_device(tmp_path: Path):
    """A node like /dev/null, made here: never try it on the machine's own."""
    null = tmp_path / "null"
    os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))

    write_atomically(null, b"report")

    assert stat.S_ISCHR(null.stat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["null"]


def test_what_is_neither_a_file_nor_a_pipe_is_refused(tmp_path: Path):
    """A folder and a socket keep their place."""
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))

        for name in ("folder", "socket"):
            with pytest.raises(UsageError, match=f"{name}: cannot be written: it is"):
                write_atomically(tmp_path / name, b"x")

    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "socket"]


def test_a_link_is_followed(tmp_path: Path):
    """The real file changes, the link stays one; a link to nothing makes its target."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.bin").write_bytes(b"old")
    (tmp_path / "a.bin").symlink_to("real/a.bin")
    (tmp_path / "b.bin").symlink_to("real/b.bin")

    write_atomically(tmp_path / "a.bin", b"new")
    write_atomically(tmp_path / "b.bin", b"first")

    assert (tmp_path / "a.bin").is_symlink()
    assert (tmp_path / "real" / "a.bin").read_bytes() == b"new"
    assert (tmp_path / "real" / "b.bin").read_bytes() == b"first"


def test_a_file_with_several_hard_links_is_not_parted_from_them(tmp_path: Path):
    """Replacing one of them would leave the others with the old content: it is said, and nothing changes."""
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    (tmp_path / "same.bin").hardlink_to(target)

    with pytest.raises(UsageError, match="2 hard links"):
        write_atomically(target, b"new")

    assert target.read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_owner_group_and_set_id_bits_are_kept(tmp_path: Path):
    """A file of another user stays theirs."""
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    os.chown(target, 12345, 23456)
    target.chmod(0o2750)

    write_atomically(target, b"new")

    status = target.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 23456, 0o2750)


def test_a_new_file_is_no_more_open_than_its_source(tmp_path: Path):
    """0600 gives 0600; without a source the umask decides."""
    source, umask = tmp_path / "a.onnx", os.umask(0o022)
    source.write_bytes(b"secret")
    source.chmod(0o600)
    try:
        with atomic_file(tmp_path / "b.onnx", like=source) as stream:
            stream.write(b"secret")
        write_atomically(tmp_path / "c.onnx", b"x")
    finally:
        os.umask(umask)

    assert stat.S_IMODE((tmp_path / "b.onnx").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "c.onnx").stat().st_mode) == 0o644


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path):
    """And what a living one is writing is not."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom initaudit.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as stream:\n    print('half', flush=True)\n    time.sleep(60)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / name)], stdout=subprocess.PIPE)
        for name in ("killed.bin", "living.bin")
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    writers[0].kill()
    writers[0].wait()
    assert len(list(tmp_path.iterdir())) == 2

    write_atomically(tmp_path / "next.bin", b"x")
    left = sorted(p.name for p in tmp_path.iterdir())

    writers[1].kill()
    for writer in writers:
        writer.communicate()
    assert len(left) == 2
    assert left[0].startswith(".living.bin.")
    assert left[1] == "next.bin"
