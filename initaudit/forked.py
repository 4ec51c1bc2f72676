"""Share pure work with forked copies of this process, where that is safe; otherwise do it here.

Threads do not help here: statistics are thousands of calls of some 20 microseconds each, and handing over the interpreter's lock
takes longer (measured: two threads need 1.1 to 1.7 times the time of one, two processes 0.7).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

MOST_PROCESSES: Final = 4
"""Processes at most: more would wait for memory, and the bound on resident memory holds for each of them."""

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


def share(work: Callable[[Sequence[T]], R], parts: Sequence[Sequence[T]]) -> list[R]:
    """`work` of every part: of the first one here, of each other one in a forked process at the same time.

    Results are pickled. A part whose process fails is done here, so an error is raised where it can be told.
    """
    if len(parts) < 2:
        return [work(part) for part in parts]
    from multiprocessing import get_context

    context = get_context("fork")
    children = []
    for part in parts[1:]:
        reader, writer = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=(work, part, reader, writer), daemon=True)
        child.start()
        writer.close()
        children.append((child, reader, part))
    found = [work(parts[0])]
    for child, reader, part in children:
        try:
            result: Any = reader.recv()
        except EOFError:
            result = work(part)
        reader.close()
        child.join()
        found.append(result)
    return found


def _child(work: Callable[[Sequence[T]], R], part: Sequence[T], reader: Connection, writer: Connection) -> None:
    """Send the result, or nothing."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    reader.close()
    try:
        writer.send(work(part))
    except Exception:  # noqa: BLE001 - the parent does the part again and meets the same error
        os._exit(1)
