"""Run the probe in a child process, so that no model can take the audit down with it.

A model is untrusted: its kernels may crash, loop for ever or fill the memory. The child has a memory limit and a time
limit, is killed with its whole process group at either, and goes when the parent goes, however that ends: it reads the
pipe from the parent all the time and leaves at its end. Nothing is written to disk.

Memory is limited twice. The parent looks at the child's private memory (`RssAnon`: mapped weight files do not count,
the kernel can drop their pages) every few milliseconds, which says what really happened; and the child limits its own
data segment (RLIMIT_DATA), so that one huge allocation fails at once inside onnxruntime with a message that names the
node. An address-space limit (RLIMIT_AS) would be wrong: the file maps of large models count there.
"""

from __future__ import annotations

import atexit
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

POLL_SECONDS = 0.01
"""Between two looks at the child's memory: at 5 GB/s, the speed of filling memory, 50 MB can slip through."""
STDERR_KEPT = 64
"""Lines of the child's stderr kept for the reason. A judgement: the last one names it."""


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


class Child:
    """A probe process, started before there is work for it so that its imports overlap with the parent's.

    Use as a context manager: whatever happens, the process is gone at the end.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        """Start the process. `command` replaces `python -m initaudit.probe.child` in tests."""
        self._process = subprocess.Popen(
            command or [sys.executable, "-P", "-c", STARTER, str(Path(__file__).resolve().parents[2])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._frames: queue.SimpleQueue[Frame | GarbledFrameError | None] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=STDERR_KEPT)
        self._doing = "starting"
        self._partial: dict[str, Any] | None = None
        self._threads = [
            threading.Thread(target=self._read_frames, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

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
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def submit(
        self,
        job: dict[str, Any],
        blobs: Sequence[bytes] = (),
        *,
        timeout: float,
        max_memory: int,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Hand over the one job of this process and wait for its result.

        Args:
            job: what JSON can hold; see `initaudit.probe.child`.
            blobs: bytes that go with it, such as a serialised model.
            timeout: seconds from now.
            max_memory: bytes of private memory.
            progress: called with a phrase for what is being done, such as "measuring the forward signal".

        Returns:
            The JSON object that the child answers. Where it ended before it was done, but had something to show, that,
            with the reason under the key `interrupted`.

        Raises:
            ProbeError: with the child's own reason, or with what became of the child.
            UsageError: an option about the inputs does not fit the model.
        """
        deadline = time.monotonic() + timeout
        sender = threading.Thread(
            target=self._send,
            args=(Frame(kind="job", body={**job, "max_memory": max_memory}, blobs=tuple(blobs)),),
            daemon=True,
        )
        sender.start()
        try:
            return self._wait(deadline, timeout, max_memory, progress)
        except ProbeError as error:
            if self._partial is None:
                raise
            return {**self._partial, "interrupted": str(error)}
        finally:
            self.close()

    def _wait(self, deadline: float, timeout: float, max_memory: int, progress: Progress | None) -> dict[str, Any]:
        """The result; what comes before it is noted on the way."""
        while True:
            frame = self._next_frame()
            if isinstance(frame, GarbledFrameError):
                raise ProbeError(f"onnxruntime's process gave an unreadable answer while {self._doing}")
            if frame is not None and frame.kind == "result":
                return dict(frame.body)
            if frame is not None and frame.kind == "usage":
                raise UsageError(str(frame.body))
            if frame is not None and frame.kind == "error":
                raise ProbeError(str(frame.body))
            if frame is not None and frame.kind == "partial":
                self._partial = dict(frame.body)
            elif frame is not None:
                self._doing = str(frame.body)
                if progress is not None:
                    progress(self._doing)
            elif not self._pending():
                raise ProbeError(self._obituary())
            self._check_limits(deadline, timeout, max_memory)

    def _check_limits(self, deadline: float, timeout: float, max_memory: int) -> None:
        if (used := private_memory(self.pid)) > max_memory:
            raise ProbeError(
                f"needed more than {_gib(max_memory)} of memory ({_gib(used)} in use) while {self._doing}; "
                "raise --max-memory or lower --batch"
            )
        if time.monotonic() > deadline:
            raise ProbeError(f"took more than {timeout:g} s (while {self._doing}); raise --timeout")

    def close(self) -> None:
        """Kill the process and everything it started; wait for it. Harmless when it is gone already."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(timeout=1.0)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

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
        self._threads[1].join(timeout=1.0)
        code = self._process.wait()
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


_spare: list[tuple[int, Child]] = []
"""At most one child without work, with the id of the process that started it: a fork must not share it."""


def prestart() -> None:
    """Start the process of the next probe now, so that its imports run beside the parent's own work.

    The next `run_child` takes it; without one it ends with the parent.
    """
    if not _spare:
        _spare.append((os.getpid(), Child()))
        atexit.register(discard_spare)


def discard_spare() -> None:
    """End a child that `prestart` started and nobody took."""
    while _spare:
        owner, child = _spare.pop()
        if owner == os.getpid():
            child.close()


def _take() -> Child:
    """The spare child where there is one that lives, or a new one."""
    try:
        owner, child = _spare.pop()
    except IndexError:
        return Child()
    if owner != os.getpid():
        return Child()
    if child.alive:
        return child
    child.close()
    return Child()


def run_child(
    job: dict[str, Any],
    blobs: Sequence[bytes] = (),
    *,
    timeout: float,
    max_memory: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Give the job to a child, return its result; arguments and errors as for `Child.submit`."""
    with _take() as child:
        return child.submit(job, blobs, timeout=timeout, max_memory=max_memory, progress=progress)


def _pipe(stream: IO[bytes] | None) -> Any:
    assert stream is not None
    return stream


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
