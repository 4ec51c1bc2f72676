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
import subprocess
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from initaudit.errors import ProbeError, UsageError
from initaudit.frames import Frame, GarbledFrameError
from initaudit.memory import private_memory
from initaudit.process import Process, has_ended, python, signal_name, size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Progress = Callable[[str], None]

READY_SECONDS = 5.0
"""For which a process that has answered is waited for until it has cleared up: on an idle machine that takes some 0.05 s."""
POLL_SECONDS = 0.01
"""Between two looks at the child's memory: at 5 GB/s, the speed of filling memory, 50 MB can slip through."""
STDERR_KEPT = 64
"""Lines of the child's stderr kept for the reason. A judgement: the last one names it."""


ANSWERS = frozenset(("result", "usage", "error"))
"""Kinds of frames that end a job."""


class Aborted(ProbeError):
    """The process was ended, or ended, before it was done: at a limit, by a crash, or because its answer is not wanted any more."""


class Child(Process):
    """A probe process, started before there is work for it so that its imports overlap with the parent's.

    It takes one job after another, until one ends it. Use as a context manager: whatever happens, the process is gone at the end.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        """Start the process. `command` replaces `python -m initaudit.probe.child` in tests. Raises ProbeError where it cannot be started."""
        self.served = 0
        """Jobs that it has answered."""
        self._doing = "starting"
        self._partial: dict[str, Any] | None = None
        self._stderr: deque[str] = deque(maxlen=STDERR_KEPT)
        self._listener = threading.Thread(target=self._read_stderr, daemon=True)
        try:
            super().__init__(command or python("initaudit.probe.child"), stderr=subprocess.PIPE)
            self._listener.start()
        except OSError as error:
            raise ProbeError(f"the probe's process could not be started: {error.strerror or error}") from error
        except RuntimeError as error:
            self.close()
            raise ProbeError(f"the probe's process could not be watched: {error}") from error

    @property
    def is_ready(self) -> bool:
        """Whether it can take a job: it runs, and has cleared up behind the last one."""
        if self.served == 0:
            return self.alive
        patience = time.monotonic() + READY_SECONDS
        while self._pending() and time.monotonic() < patience:
            frame = self._next_frame(POLL_SECONDS)
            if frame is not None:
                return isinstance(frame, Frame) and frame.kind == "ready" and self._frames.empty()
        return False

    def submit(
        self,
        job: dict[str, Any],
        blobs: list[bytes] | None = None,
        *,
        timeout: float,
        max_memory: int,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> dict[str, Any]:
        """Hand over a job and wait for its result. Unless the process itself answers, it is gone afterwards.

        Args:
            job: what JSON can hold; see `initaudit.probe.child`.
            blobs: bytes that go with it, such as a serialised model; they are gone from the list once they are handed over.
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
        frame = Frame(kind="job", body={**job, "max_memory": max_memory}, blobs=[] if blobs is None else blobs)
        sender = self._sender(frame)
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
            if answer is None or not has_ended(sender):
                self.close()
                has_ended(sender)

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
            frame = self._next_frame(POLL_SECONDS)
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
                f"needed more than {size_in_words(max_memory)} of memory ({size_in_words(used)} in use) while {self._doing}; "
                "raise --max-memory or lower --batch"
            )
        if time.monotonic() > deadline:
            raise Aborted(f"took more than {timeout:.3g} s (while {self._doing}); raise --timeout")

    def close(self) -> None:
        """See `Process.close`."""
        super().close()
        has_ended(self._listener)

    def _read_stderr(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stderr or ():
                self._stderr.append(line[:2000].decode(errors="replace").strip())

    def _obituary(self) -> str:
        """Why the process ended without an answer."""
        code = self._end()
        has_ended(self._listener)
        last = next((line for line in reversed(self._stderr) if line), "")
        detail = f": {last[:200]}" if last else ""
        if code >= 0:
            return f"onnxruntime's process ended without an answer (exit code {code}) while {self._doing}{detail}"
        name = signal_name(code)
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
