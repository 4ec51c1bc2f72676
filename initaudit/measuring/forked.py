"""Share pure work with forked copies of this process, where that is safe; otherwise do it here.

Threads do not help here: statistics are thousands of calls of some 20 microseconds each, and handing over the interpreter's lock
takes longer (measured: two threads need 1.1 to 1.7 times the time of one, two processes 0.7).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from initaudit.process import end_with

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

MOST_PROCESSES: Final = 4
"""Processes at most: more would wait for memory, and the bound on resident memory holds for each of them."""

TURN: Final = 4
"""Bytes of a part's number in the queue, a pipe: its 64 KiB hold the numbers of 16,384 parts."""

T = TypeVar("T")
R = TypeVar("R")


def processes() -> int:
    """How many processes may share work: 1 unless this one has a single thread, as a fork copies no others, and several cores."""
    if sys.platform != "linux":
        return 1
    try:
        threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return 1
    return 1 if threads != 1 else min(MOST_PROCESSES, len(os.sched_getaffinity(0)))


def share(work: Callable[[T], R], parts: Sequence[T], count: int) -> list[R]:
    """`work` of every part, in their order, done by `count` processes; each takes the next part when it is ready.

    Results are pickled. What a process leaves undone, because it fails or is killed, is done here, so that an error is raised
    where it can be told.
    """
    if count < 2 or len(parts) < 2:
        return [work(part) for part in parts]
    from multiprocessing import get_context

    context = get_context("fork")
    turns, fill = os.pipe()  # a number is read by one process only, and no lock is left behind by one that is killed
    os.write(fill, b"".join(i.to_bytes(TURN, sys.byteorder) for i in range(len(parts))))
    os.close(fill)

    def take() -> dict[int, R]:
        found = {}
        while turn := os.read(turns, TURN):
            i = int.from_bytes(turn, sys.byteorder)
            found[i] = work(parts[i])
        return found

    children = []
    for _ in range(count - 1):
        reader, writer = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=(take, reader, writer, os.getpid()), daemon=True)
        child.start()
        writer.close()
        children.append((child, reader))
    try:
        found = take()
    except BaseException:  # the children's work is lost: nobody waits for it
        for child, _ in children:
            child.terminate()
        raise
    finally:
        os.close(turns)
    for child, reader in children:
        with contextlib.suppress(EOFError):
            found |= reader.recv()
        reader.close()
        child.join()
    return [found[i] if i in found else work(part) for i, part in enumerate(parts)]


def _child(take: Callable[[], dict[int, R]], reader: Connection, writer: Connection, parent: int) -> None:
    """Send what was done, or nothing; end with the parent, whose pipes this process holds, too."""
    end_with(parent)
    reader.close()  # so that nothing is left to wait for once the parent's end is gone
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        writer.send(take())
    except Exception:  # noqa: BLE001 - the parent does these parts again and meets the same error
        os._exit(1)
