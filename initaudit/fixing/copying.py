"""Bytes from one open file to another without passing through this process: shared by the file system where it can, else copied by the kernel."""

from __future__ import annotations

import errno
import os
from typing import Final

from initaudit.errors import InvalidModel

BLOCK: Final = 4096
"""Bytes of a block of the usual file systems: what is shared begins and ends at a multiple of it."""
_CHUNK: Final = 1 << 20
"""Bytes that are read and written at once where the kernel does not copy. A judgement: larger ones are no faster."""
_NOT_HERE: Final = frozenset({errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF})
"""What a system says that does not copy between these two files."""


def copy_range(source: int, start: int, length: int, target: int, offset: int) -> None:
    """Copy bytes [start, start + length) of the file `source` to `offset` of the file `target`; both are descriptors.

    Raises InvalidModel where the source is shorter.
    """
    done = 0
    while done < length:
        copied = _in_kernel(source, start + done, length - done, target, offset + done)
        if copied is None:
            break
        if copied == 0:
            raise InvalidModel("the file ended early while it was copied")
        done += copied
    while done < length:
        block = os.pread(source, min(length - done, _CHUNK), start + done)
        if not block:
            raise InvalidModel("the file ended early while it was copied")
        put(target, block, offset + done)
        done += len(block)


def _in_kernel(source: int, start: int, length: int, target: int, offset: int) -> int | None:
    """Bytes that the kernel copied; blocks are shared where the file system does that. None where it does not copy between these files."""
    if not hasattr(os, "copy_file_range"):
        return None
    try:
        return os.copy_file_range(source, target, length, start, offset)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return None
        raise


def put(target: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset` of an open file."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(target, rest, offset)
        rest, offset = rest[written:], offset + written
