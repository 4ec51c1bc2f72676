"""What tests let a worker do: functions at the top of a module, for tasks are pickled."""

from __future__ import annotations

import importlib
import mmap
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from initaudit.engines.local import Local
from initaudit.errors import InvalidModel
from initaudit.task import Limits, Task

if TYPE_CHECKING:
    from initaudit.engines.auditing import Subject
    from initaudit.task import Watch


def number(watch: Watch) -> int:
    """The process id."""
    watch.doing("counting")
    return os.getpid()


def raise_error(message: str, watch: Watch) -> None:
    """An error of the documented tree."""
    raise InvalidModel(message)


def raise_bug(watch: Watch) -> None:
    """An error that nobody means."""
    raise ZeroDivisionError("oops")


def hang(watch: Watch) -> None:
    """More than anybody waits for."""
    watch.doing("hanging")
    time.sleep(1000)


def hang_after(size: int, watch: Watch) -> None:
    """Tell of bytes that must be read, and hang for half a second."""
    watch.weighs(size)
    time.sleep(0.5)


def hang_repeatedly(times: int, watch: Watch) -> None:
    """Tell of so many repetitions, and hang for half a second."""
    watch.repeats(times)
    time.sleep(0.5)


def load(module: str, watch: Watch) -> None:
    """Import what the work needs."""
    importlib.import_module(module)


def allocate(size: int, watch: Watch) -> int:
    """Fill memory with what is no array's."""
    watch.doing("filling")
    return len(bytearray(size))


def hold(size: int, watch: Watch) -> None:
    """Fill memory, and keep it for a minute."""
    watch.doing("holding")
    held = bytearray(b"1") * size
    time.sleep(60)
    del held


def die(number: int, watch: Watch) -> None:
    """As a crash of native code."""
    watch.doing("dying")
    os.kill(os.getpid(), number)
    signal.pause()


def read_after_the_end(path: str, watch: Watch) -> int:
    """What is left of a mapped file that became shorter."""
    with Path(path).open("r+b") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        file.truncate(0)
        return sum(mapped)


def leave_a_file(folder: str, watch: Watch) -> None:
    """Begin a file, as one that is written and not finished; it goes with the task."""
    path = Path(folder, "begun")
    try:
        path.touch()
        time.sleep(1000)
    finally:
        path.unlink()


def share_and_hang(folder: str, watch: Watch) -> None:
    """Workers of its own that work on when it is gone."""
    watch.doing("sharing")
    for _ in Local(workers=2).run([Task(note_and_hang, (folder,), Limits(seconds=1000, memory=1 << 30))] * 2):
        pass


def note_and_hang(folder: str, watch: Watch) -> None:
    """Leave the process id, and a worker that is busy."""
    Path(folder, str(os.getpid())).touch()
    time.sleep(1000)


def die_of(subject: Subject, number: int, watch: Watch) -> None:
    """As a crash of native code at work on a model."""
    die(number, watch)
