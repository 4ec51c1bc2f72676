"""The parent's side of a worker: start it, give it tasks, kill it at their limits."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar, cast

from initaudit.errors import LostWorker
from initaudit.frames import Frame, GarbledFrameError, read_frame, write_frame
from initaudit.memory import private_memory
from initaudit.task import SLOWEST_BYTES_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from initaudit.task import Limits, Task

T = TypeVar("T")

POLL_SECONDS = 0.02
"""Between two looks at the worker's memory: at 5 GB/s, the speed of filling memory, 100 MB can slip through."""
SLOWEST_START = 120.0
"""Seconds for a worker to begin: its imports take less than one, but many workers may start at once on a busy machine."""
FAREWELL_SECONDS = 2.0
"""For a worker to remove its temporary files before it is killed. A judgement: an unlink takes milliseconds, a busy machine some more."""
MOST_KEPT = 512 << 20
"""Bytes of private memory with which a worker may go on to the next task: half of what a small machine has for two."""

STARTER = """
import sys
sys.path.insert(0, sys.argv.pop())
import initaudit
del sys.path[0]
from initaudit.engines.worker import main
main()
"""
"""What the process runs: `initaudit.engines.worker` of this very package, wherever the parent imported it from. Nothing else is
imported from there, and (`-P`) nothing from the current directory: a model's folder may hold anything."""


class Worker:
    """A process that does tasks, one at a time; started when it is made. As a context manager it is gone at the end."""

    def __init__(self, module: str, *, probes: bool = False) -> None:
        """Start it. `module` is imported before there is work; `probes` says whether a probe is likely to follow."""
        debugging = bool(os.environ.get("INITAUDIT_DEBUG"))
        root = str(Path(__file__).resolve().parents[2])
        likely = "probe" if probes else "none"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", STARTER, str(os.getpid()), module, likely, root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if debugging else subprocess.DEVNULL,
            start_new_session=True,  # what it forks is killed with it; and Ctrl-C in a terminal is the parent's
        )
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._doing = "starting"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id, also its process group."""
        return self._process.pid

    @property
    def may_go_on(self) -> bool:
        """Whether it lives and holds little of what it did."""
        return self._process.poll() is None and private_memory(self.pid) < MOST_KEPT

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
        ends = time.monotonic() + SLOWEST_START
        job = Frame(kind="task", body=None, blobs=(pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL),))
        threading.Thread(target=self._send, args=(job,), daemon=True).start()
        while True:
            try:
                frame = self._frames.get(timeout=POLL_SECONDS)
            except queue.Empty:
                self._check(ends, task.limits)
                continue
            if frame is None:
                raise LostWorker(self._obituary(task.limits))
            match frame.kind:
                case "result":
                    return pickle.loads(frame.blobs[0])  # noqa: S301  of our own process
                case "error":
                    raise _Told(pickle.loads(frame.blobs[0]))  # noqa: S301
                case "bug":
                    raise _Told(LostWorker(str(frame.body)))
                case "memory":
                    raise LostWorker(self._too_much(task.limits))
                case "begun":
                    ends = time.monotonic() + task.limits.seconds
                case "weighs":
                    ends += frame.body / SLOWEST_BYTES_PER_SECOND
                case _:
                    self._doing = str(frame.body)
                    if progress is not None:
                        progress(self._doing)
            self._check(ends, task.limits)

    def _check(self, ends: float, limits: Limits) -> None:
        if private_memory(self.pid) > limits.memory:
            raise LostWorker(self._too_much(limits))
        if time.monotonic() > ends:
            raise LostWorker(f"took more than {limits.seconds:.0f} s (while {self._doing}); raise --timeout")

    def _too_much(self, limits: Limits) -> str:
        return f"needed more than {limits.memory / 2**20:.0f} MiB of memory while {self._doing}; raise --max-memory"

    def close(self, *, idle: bool = False) -> None:
        """End the process and everything it started: by request, so that it can remove what it has not finished, then by force."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                if idle and self._process.stdin is not None:
                    self._process.stdin.close()  # it leaves at the end of its tasks
                else:
                    self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(FAREWELL_SECONDS)
        if self._process.poll() is None:  # not reaped yet, so the number is still its own
            with contextlib.suppress(OSError):
                _kill(self.pid)
            self._process.wait()
        self._reader.join(timeout=1.0)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _send(self, frame: Frame) -> None:
        with contextlib.suppress(OSError, ValueError):  # a worker that is gone shows itself in the reading loop
            write_frame(cast("BinaryIO", self._process.stdin), frame)

    def _read(self) -> None:
        with contextlib.suppress(GarbledFrameError, OSError, ValueError):
            while (frame := read_frame(cast("BinaryIO", self._process.stdout))) is not None:
                self._frames.put(frame)
        self._frames.put(None)

    def _obituary(self, limits: Limits) -> str:
        """Why the process ended without an answer."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(FAREWELL_SECONDS)
        code = self._process.poll()
        if code is None or code >= 0:
            return f"the process that read it ended without an answer (exit code {code}) while {self._doing}"
        if code == -signal.SIGKILL:
            return f"the process that read it was killed (SIGKILL, perhaps for want of memory) while {self._doing}"
        if hasattr(signal, "SIGBUS") and code == -signal.SIGBUS:
            return f"the file became shorter, or could not be read, while it was read (SIGBUS, {self._doing})"
        if code == -signal.SIGABRT:  # what C++ does where an allocation fails
            return f"the process that read it gave up (SIGABRT, perhaps for want of {limits.memory / 2**20:.0f} MiB) while {self._doing}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"the process that read it crashed ({name}) while {self._doing}"


class _Told(Exception):
    """The task failed, the worker did not."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _kill(pid: int) -> None:
    """The process and those of its group."""
    if os.name == "posix":
        os.killpg(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGTERM)


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
    if worker is not None and not worker.may_go_on:
        worker.close()
        worker = None
    try:
        worker = worker or Worker(task.work.__module__)
    except OSError as error:
        raise LostWorker(f"no process could be started to read it: {error.strerror or error}") from error
    _busy.add(worker)
    try:
        return worker.do(task, progress)
    finally:
        _busy.discard(worker)
        if worker.may_go_on:
            keep(worker)
        else:
            worker.close()
