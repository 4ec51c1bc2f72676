"""A process of its own for the probe, so that no model can take the audit down with it.

A model is untrusted: its kernels may crash, loop for ever or fill the memory. The child has a memory limit and a time
limit, is killed with its whole process group at either, and goes when the parent goes, however that ends: it reads the
pipe from the parent all the time and leaves at its end. Nothing is written to disk.

Memory is limited twice. The parent looks at the child's private memory (`RssAnon`: mapped weight files do not count,
the kernel can drop their pages) every few milliseconds, which says what really happened; and the child limits its own
data segment (RLIMIT_DATA), so that one huge allocation fails at once inside onnxruntime with a message that names the
node. An address-space limit (RLIMIT_AS) would be wrong: the file maps of large models count there.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from initaudit.errors import ProbeError, UsageError
from initaudit.frames import Frame, GarbledFrameError, read_frame, write_frame
from initaudit.memory import private_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    Progress = Callable[[str], None]

READY_SECONDS = 5.0
"""For which a process that has answered is waited for until it has cleared up: on an idle machine that takes some 0.05 s."""
POLL_SECONDS = 0.01
"""Between two looks at the child's memory: at 5 GB/s, the speed of filling memory, 50 MB can slip through."""
STDERR_KEPT = 64
"""Lines of the child's stderr kept for the reason. A judgement: the last one names it."""


ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""For numpy's own products in the process: their last bits depend on the number of threads, which would be that of the cores."""
ANSWERS = frozenset(("result", "usage", "error"))
"""Kinds of frames that end a job."""

STARTER = """
import sys
sys.path.insert(0, sys.argv.pop())
import initaudit
del sys.path[0]
from initaudit.probe.child import main
main()
"""
"""What the process runs: `initaudit.probe.child` of this very package, wherever the parent imported it from. Nothing
else is imported from there, and (`-P`) nothing from the current directory: a model's folder may hold anything."""


class Aborted(ProbeError):
    """The process was ended, or ended, before it was done: at a limit, by a crash, or because its answer is not wanted any more."""


class Child:
    """A probe process, started before there is work for it so that its imports overlap with the parent's.

    It takes one job after another, until one ends it. Use as a context manager: whatever happens, the process is gone at the end.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        """Start the process. `command` replaces `python -m initaudit.probe.child` in tests. Raises ProbeError where it cannot be started."""
        try:
            self._process = subprocess.Popen(
                command or [sys.executable, "-P", "-c", STARTER, str(Path(__file__).resolve().parents[2])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, **ONE_THREAD},
            )
        except OSError as error:
            raise ProbeError(f"the probe's process could not be started: {error.strerror or error}") from error
        self.served = 0
        """Jobs that it has answered."""
        self._frames: queue.SimpleQueue[Frame | GarbledFrameError] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=STDERR_KEPT)
        self._doing = "starting"
        self._partial: dict[str, Any] | None = None
        self._threads = [
            threading.Thread(target=self._read_frames, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            self.close()
            raise ProbeError(f"the probe's process could not be watched: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id, also its process group; until `close` no other process can have it."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs. One that has ended keeps its id, for it is only looked at, not waited for."""
        if self._process.returncode is not None:
            return False
        if not hasattr(os, "waitid"):
            return self._process.poll() is None
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:  # this process has its children reaped by the system: the id is free
            return self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it can take a job: it runs, and has cleared up behind the last one."""
        if self.served == 0:
            return self.alive
        patience = time.monotonic() + READY_SECONDS
        while self._pending() and time.monotonic() < patience:
            frame = self._next_frame()
            if frame is not None:
                return isinstance(frame, Frame) and frame.kind == "ready" and self._frames.empty()
        return False

    def submit(
        self,
        job: dict[str, Any],
        blobs: Sequence[bytes] = (),
        *,
        timeout: float,
        max_memory: int,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> dict[str, Any]:
        """Hand over a job and wait for its result. Unless the process itself answers, it is gone afterwards.

        Args:
            job: what JSON can hold; see `initaudit.probe.child`.
            blobs: bytes that go with it, such as a serialised model.
            timeout: seconds from now.
            max_memory: bytes of private memory.
            progress: called with a phrase for what is being done, such as "measuring the forward signal".
            stop: when it is set, the process is ended.

        Returns:
            The JSON object that the child answers. Where it ended before it was done, but had something to show, that,
            with the reason under the key `interrupted`.

        Raises:
            Aborted: with what became of the child.
            ProbeError: with the child's own reason.
            UsageError: an option about the inputs does not fit the model.
        """
        deadline = time.monotonic() + timeout
        self._doing, self._partial = "starting", None
        self._stderr.clear()
        frame = Frame(kind="job", body={**job, "max_memory": max_memory}, blobs=tuple(blobs))
        sender = threading.Thread(target=self._send, args=(frame,), daemon=True)
        answer: Frame | None = None
        try:
            sender.start()
            answer = self._wait(deadline, timeout, max_memory, progress, stop)
            return _result(answer)
        except RuntimeError as error:
            raise ProbeError(f"the probe's process could not be given its job: {error}") from error
        except ProbeError as error:
            if self._partial is None:
                raise
            return {**self._partial, "interrupted": str(error)}
        finally:
            self.served += 1
            if answer is None or not _ended(sender):
                self.close()
                _ended(sender)

    def _wait(
        self,
        deadline: float,
        timeout: float,
        max_memory: int,
        progress: Progress | None,
        stop: threading.Event | None,
    ) -> Frame:
        """The answer; what comes before it is noted on the way. Raises Aborted."""
        while True:
            frame = self._next_frame()
            if isinstance(frame, GarbledFrameError):
                raise Aborted(f"onnxruntime's process gave an unreadable answer while {self._doing}")
            if frame is not None and frame.kind in ANSWERS:
                return frame
            if frame is not None and frame.kind == "partial":
                self._partial = dict(frame.body)
            elif frame is not None and frame.kind == "progress":
                self._doing = str(frame.body)
                if progress is not None:
                    progress(self._doing)
            elif not self._pending():
                raise Aborted(self._obituary())
            if stop is not None and stop.is_set():
                raise Aborted(f"was given up while {self._doing}")
            self._check_limits(deadline, timeout, max_memory)

    def _check_limits(self, deadline: float, timeout: float, max_memory: int) -> None:
        if (used := private_memory(self.pid)) > max_memory:
            raise Aborted(
                f"needed more than {_gib(max_memory)} of memory ({_gib(used)} in use) while {self._doing}; "
                "raise --max-memory or lower --batch"
            )
        if time.monotonic() > deadline:
            raise Aborted(f"took more than {timeout:.3g} s (while {self._doing}); raise --timeout")

    def close(self) -> None:
        """Kill the process and everything it started; wait for it. Harmless when it is gone already."""
        self._end()
        for thread in self._threads:
            _ended(thread)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _end(self) -> int:
        """Kill the process group, as long as its id is its own; the exit code."""
        if self.alive or self._process.returncode is None:  # once waited for, the id may be that of another process
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.name == "posix":
                    os.killpg(self.pid, signal.SIGKILL)
                else:
                    self._process.kill()
        return self._process.wait()

    def _send(self, frame: Frame) -> None:
        with contextlib.suppress(OSError, ValueError):  # a child that is gone shows itself in the reading loop
            write_frame(_pipe(self._process.stdin), frame)

    def _next_frame(self) -> Frame | GarbledFrameError | None:
        try:
            return self._frames.get(timeout=POLL_SECONDS)
        except queue.Empty:
            return None

    def _pending(self) -> bool:
        """Whether an answer may still come: the process runs or left something unread."""
        return self.alive or self._threads[0].is_alive() or not self._frames.empty()

    def _read_frames(self) -> None:
        try:
            while (frame := read_frame(_pipe(self._process.stdout))) is not None:
                self._frames.put(frame)
        except (GarbledFrameError, OSError, ValueError):
            self._frames.put(GarbledFrameError())

    def _read_stderr(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in _pipe(self._process.stderr):
                self._stderr.append(line[:2000].decode(errors="replace").strip())

    def _obituary(self) -> str:
        """Why the process ended without an answer."""
        code = self._end()
        _ended(self._threads[1])
        last = next((line for line in reversed(self._stderr) if line), "")
        detail = f": {last[:200]}" if last else ""
        if code >= 0:
            return f"onnxruntime's process ended without an answer (exit code {code}) while {self._doing}{detail}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        if name == "SIGKILL":
            return f"onnxruntime's process was killed (SIGKILL, perhaps for want of memory) while {self._doing}"
        return f"onnxruntime crashed ({name}) while {self._doing}{detail}"


def _result(answer: Frame) -> dict[str, Any]:
    """What the process answered. Raises ProbeError or UsageError, where it answered with one."""
    if answer.kind == "usage":
        raise UsageError(str(answer.body))
    if answer.kind == "error":
        raise ProbeError(str(answer.body))
    return dict(answer.body)


def _ended(thread: threading.Thread) -> bool:
    """Whether a thread has ended, or was never started; it is given a second."""
    if thread.ident is not None:
        thread.join(timeout=1.0)
    return not thread.is_alive()


def _pipe(stream: IO[bytes] | None) -> Any:
    assert stream is not None
    return stream


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
