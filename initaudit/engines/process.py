"""The parent's side of a worker: start it, give it tasks, kill it at their limits."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from initaudit.errors import LostWorker
from initaudit.frames import Frame, GarbledFrameError
from initaudit.memory import private_memory
from initaudit.process import Process, python, signal_name, size_in_words
from initaudit.task import SLOWEST_BYTES_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from initaudit.task import Limits, Task

T = TypeVar("T")

POLL_SECONDS = 0.02
"""Between two looks at the worker's memory: at 5 GB/s, the speed of filling memory, 100 MB can slip through."""
SLOWEST_START = 120.0
"""Seconds for a worker to begin: its imports take less than one, but many workers may start at once on a busy machine."""
FAREWELL_SECONDS = 2.0
"""For a worker to remove its temporary files before it is killed. A judgement: an unlink takes milliseconds, a busy machine some more."""
FAREWELL_POLL = 0.002
"""Between two looks whether it has left. A judgement: it takes some 10 ms."""
MOST_KEPT = 512 << 20
"""Bytes of private memory with which a worker may go on to the next task: half of what a small machine has for two."""


class Worker(Process):
    """A process that does tasks, one at a time; started when it is made. As a context manager it is gone at the end."""

    def __init__(self, module: str, *, probes: bool = False) -> None:
        """Start it. `module` is imported before there is work; `probes` says whether a probe is likely to follow."""
        command = python("initaudit.engines.worker", str(os.getpid()), module, "probe" if probes else "none")
        super().__init__(command, stderr=None if os.environ.get("INITAUDIT_DEBUG") else subprocess.DEVNULL)
        self._doing = "starting"
        self._looked = 0.0
        """When its memory was last looked at."""

    @property
    def may_go_on(self) -> bool:
        """Whether it lives and holds little of what it did."""
        return self.alive and private_memory(self.pid) < MOST_KEPT

    def do(self, task: Task[T], progress: Callable[[str], None] | None = None) -> T:
        """What the task's function returns.

        Args:
            task: what to do, and its limits.
            progress: called with a phrase for what is being done.

        Raises:
            LostWorker: the process ended, or was killed at a limit, and why.
            InitauditError: what the function raised.
        """
        try:
            result: T = self._done(task, progress)
        except BaseException as error:
            if not isinstance(error, _Told):
                self.close()
                raise
            raise error.error from None
        return result

    def _done(self, task: Task[T], progress: Callable[[str], None] | None) -> Any:
        self._doing = "starting"
        begun, allowed = time.monotonic(), SLOWEST_START
        job = Frame(kind="task", body=None, blobs=[pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)])
        self._sender(job).start()
        while True:
            frame = self._next_frame(POLL_SECONDS)
            if isinstance(frame, GarbledFrameError) or (frame is None and not self._pending()):
                raise LostWorker(self._obituary(task.limits))
            if frame is None:
                self._check(begun, allowed, task.limits)
                continue
            match frame.kind:
                case "result":
                    return pickle.loads(frame.blobs[0])  # noqa: S301  of our own process
                case "error":
                    raise _Told(pickle.loads(frame.blobs[0]))  # noqa: S301
                case "bug":
                    raise _Told(LostWorker(str(frame.body), cause=LostWorker.BUG))
                case "memory":
                    raise self._too_much(task.limits)
                case "begun":
                    begun, allowed = time.monotonic(), task.limits.seconds
                case "weighs":
                    allowed += frame.body / SLOWEST_BYTES_PER_SECOND
                case "repeats":
                    allowed += frame.body * task.limits.seconds
                case _:
                    self._doing = str(frame.body)
                    if progress is not None:
                        progress(self._doing)
            self._check(begun, allowed, task.limits)

    def _check(self, begun: float, allowed: float, limits: Limits) -> None:
        now = time.monotonic()
        if now > self._looked + POLL_SECONDS:
            self._looked = now
            if private_memory(self.pid) > limits.memory:
                raise self._too_much(limits)
        if now > begun + allowed:
            text = f"took more than {allowed:{'.0f' if allowed >= 10 else '.3g'}} s (while {self._doing}); raise {limits.seconds_option}"
            raise LostWorker(text, cause=LostWorker.TIMEOUT)

    def _too_much(self, limits: Limits) -> LostWorker:
        size, option = size_in_words(limits.memory), limits.memory_option
        text = f"needed more than {size} of memory while {self._doing}; raise {option}"
        return LostWorker(text, cause=LostWorker.MEMORY)

    def close(self, *, idle: bool = False) -> None:
        """End the process and everything it started: by request, so that it can remove what it has not finished, then by force."""
        if self.alive:
            with contextlib.suppress(OSError):
                if idle and self._process.stdin is not None:
                    self._process.stdin.close()  # it leaves at the end of its tasks
                else:
                    self._process.terminate()
            patience = time.monotonic() + FAREWELL_SECONDS
            while self.alive and time.monotonic() < patience:
                time.sleep(FAREWELL_POLL)
        super().close()

    def _obituary(self, limits: Limits) -> str:
        """Why the process ended without an answer."""
        code, doing = self._end(), self._doing
        if code >= 0:
            return f"the process that read it ended without an answer (exit code {code}) while {doing}"
        match name := signal_name(code):
            case "SIGKILL":
                return f"the process that read it was killed (SIGKILL, perhaps for want of memory) while {doing}"
            case "SIGBUS":
                return f"the file became shorter, or could not be read, while it was read (SIGBUS, {doing})"
            case "SIGABRT":  # what C++ does where an allocation fails
                size = size_in_words(limits.memory)
                return f"the process that read it gave up (SIGABRT, perhaps for want of {size}) while {doing}"
        return f"the process that read it crashed ({name}) while {doing}"


class _Told(Exception):
    """The task failed, the worker did not."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


_spare: list[Worker] = []
"""Workers that wait for a task."""
_busy: set[Worker] = set()
"""Workers that do one."""
_turn = threading.Lock()
atexit.register(lambda: discard(everything=True))


def prestart(module: str, *, probes: bool) -> None:
    """Start a worker now, so that its imports run beside the command's own; `do` takes it."""
    keep(Worker(module, probes=probes))


def keep(worker: Worker) -> None:
    """Let the next task have a worker that is not needed now."""
    with _turn:
        _spare.append(worker)


def discard(*, everything: bool = False) -> None:
    """End the workers that wait, or every one."""
    with _turn:
        workers = [*_spare, *(_busy if everything else ())]
        _spare.clear()
    for worker in workers:
        worker.close(idle=not everything)


def do(task: Task[T], progress: Callable[[str], None] | None = None) -> T:
    """What the task's function returns, done by a worker that waits or by a new one; errors as for `Worker.do`."""
    with _turn:
        worker = _spare.pop() if _spare else None
    if worker is not None and not worker.alive:
        worker.close()
        worker = None
    try:
        worker = worker or Worker(task.imports or task.work.__module__)
    except (OSError, RuntimeError) as error:
        raise LostWorker(
            f"no process could be started to read it: {getattr(error, 'strerror', None) or error}"
        ) from error
    _busy.add(worker)
    try:
        return worker.do(task, progress)
    finally:
        _busy.discard(worker)
        if worker.may_go_on:
            keep(worker)
        else:
            worker.close()
