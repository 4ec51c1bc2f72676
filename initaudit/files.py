"""Writing files so that a reader sees the old bytes or the new ones, never half of them, and nothing but them changes.

A target that is no file (a device, a pipe) is written to and stays what it is; a link is followed; owner, group and mode stay. A run that was
killed leaves a temporary file, which the next one that writes into the same folder removes.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from initaudit.errors import UsageError

SUFFIX: Final = ".initaudit-part"
"""Of temporary files."""
_TEMPORARY: Final = re.compile(rf"\..*\.(\d+)\.[0-9a-f]{{16}}{re.escape(SUFFIX)}", re.DOTALL)
"""Their names; the number is the process that writes."""
STALE: Final = 3600.0
"""Seconds after which a temporary file that no process holds a lock on is taken for left behind, even where a process has the number of its
writer: numbers are used again."""
KEPT_OF_NAME: Final = 80
"""Characters of the target's name in that of its temporary file, so that the whole stays below the 255 bytes of a name."""


@contextmanager
def atomic_file(path: Path, *, like: Path | None = None) -> Iterator[IO[bytes]]:
    """A binary file that appears at `path` when the block ends well, and leaves nothing behind when it does not.

    It is written beside its target, synced and renamed (POSIX rename is atomic).

    Args:
        path: where; a file there is replaced, a link followed, a device or pipe written to.
        like: a file that a new one is no more open to others than.

    Raises:
        UsageError: it cannot be written, or not without a loss: of another hard link, of the owner.
    """
    try:
        target = Path(os.path.realpath(path))
        status = _status(target)
        if status is not None and not stat.S_ISREG(status.st_mode):
            with _through(target, status) as stream:
                yield stream
            return
        if status is not None and status.st_nlink > 1:
            raise UsageError(
                f"{path}: cannot be replaced: it is one of {status.st_nlink} hard links, and the others would keep the old content; "
                "write to another file"
            )
        _remove_leftovers(target.parent)
        with _beside(target, status, like) as stream:
            yield stream
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write all of `data` or nothing. Raises UsageError."""
    with atomic_file(path) as stream:
        stream.write(data)


def current_folder() -> Path | None:
    """The working directory; None where it was deleted under the process: only absolute paths lead anywhere then."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def lock(handle: int) -> bool:
    """Lock an open file as long as it is open; whether that succeeded. Where there are no locks, all succeed."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@contextmanager
def _through(target: Path, status: os.stat_result) -> Iterator[IO[bytes]]:
    """A file whose content goes into a device or pipe at the end, which itself stays."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    if not (stat.S_ISCHR(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
        raise OSError(errno.EINVAL, "it is neither a file nor a pipe nor a character device")
    with tempfile.TemporaryFile() as stream:
        yield stream
        stream.seek(0)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_NOCTTY), "wb") as into:
            shutil.copyfileobj(stream, into)


@contextmanager
def _beside(target: Path, status: os.stat_result | None, like: Path | None) -> Iterator[IO[bytes]]:
    """A file that takes the place of `target` at the end."""
    name = f".{target.name[:KEPT_OF_NAME]}.{os.getpid()}.{secrets.token_hex(8)}{SUFFIX}"
    temporary: Path | None = target.with_name(name)
    assert temporary is not None
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(handle, "wb") as stream:
            lock(handle)
            usual = stat.S_IMODE(os.fstat(handle).st_mode)  # what the umask leaves
            os.fchmod(handle, 0o600)  # until it is what it shall be
            yield stream
            stream.flush()
            if status is not None:
                _restore(handle, status)
            else:
                os.fchmod(handle, usual if like is None else usual & stat.S_IMODE(like.stat().st_mode) | stat.S_IWUSR)
            os.fsync(handle)
            temporary.replace(target)  # while it is locked: nobody may take it for left behind
        temporary = None
        _sync_folder(target.parent)
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _restore(handle: int, status: os.stat_result) -> None:
    """Owner, group and mode of the file that is replaced. Raises OSError where they cannot be kept."""
    now = os.fstat(handle)
    if (now.st_uid, now.st_gid) != (status.st_uid, status.st_gid):
        try:
            os.fchown(handle, status.st_uid, status.st_gid)
        except PermissionError as error:
            raise PermissionError(
                errno.EPERM, f"it belongs to user {status.st_uid} and group {status.st_gid}, which a new file would not"
            ) from error
    os.fchmod(handle, stat.S_IMODE(status.st_mode))  # after the owner: a change of it takes the set-id bits away


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that are gone."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            found = _TEMPORARY.fullmatch(entry.name)
            if found is not None and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    _remove_if_left(Path(entry.path), int(found[1]))


def _remove_if_left(path: Path, writer: int) -> None:
    if _runs(writer) and time.time() - path.stat().st_mtime < STALE:
        return
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if lock(handle):
            path.unlink()
    finally:
        os.close(handle)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """The rename itself must survive a crash of the machine, too."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
