"""A model on stdin, read by the command itself: for so long, and so much of it."""

from __future__ import annotations

import select
import sys
import time
from typing import TYPE_CHECKING

from initaudit.cli.models import STDIN_NAME
from initaudit.errors import UnreadableModel
from initaudit.task import SLOWEST_BYTES_PER_SECOND, Limits

if TYPE_CHECKING:
    from typing import BinaryIO

    from initaudit.config import Config

COPIES = 4
"""Of the content, at most, in this process and in the worker: as it is read, as it is handed over, and on both sides of the pipe."""
PIECE = 1 << 20
"""Bytes asked for at once. A judgement: more than a pipe holds (64 KiB, pipe(7)), less than anybody notices."""


def read_stdin(config: Config) -> bytes:
    """What is on stdin, within the limits of the options. Raises UnreadableModel."""
    limits = Limits.of(timeout=config.timeout, max_memory=config.max_memory)
    return read_within(STDIN_NAME, seconds=limits.seconds, size=limits.memory // COPIES)


def read_within(name: str, *, seconds: float, size: int) -> bytes:
    """All of it. Raises UnreadableModel where it has not ended after `seconds` (its bytes add to them), or has more than `size` bytes."""
    stream: BinaryIO = sys.stdin.buffer
    content = bytearray()
    ends = time.monotonic() + seconds
    while True:
        if not _has_more(stream, ends + len(content) / SLOWEST_BYTES_PER_SECOND - time.monotonic()):
            raise UnreadableModel(f"{name}: did not end within {seconds:.0f} s; raise --timeout")
        piece = stream.read1(PIECE)  # type: ignore[attr-defined]
        if not piece:
            return bytes(content)
        content += piece
        if len(content) > size:
            raise UnreadableModel(
                f"{name}: has more than {size >> 20} MiB; raise --max-memory to {COPIES} times its size, or give a file"
            )


def _has_more(stream: BinaryIO, seconds: float) -> bool:
    """Whether there is something to read, its end included, before the time is over; where the system cannot tell, that is assumed."""
    try:
        return bool(select.select([stream], [], [], max(0.0, seconds))[0])
    except (OSError, ValueError):  # no socket, on Windows; a stream without a file below
        return seconds > 0
