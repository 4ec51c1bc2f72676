"""The worker's side: started by `initaudit.engines.process`.

Does one task after another that arrives on stdin, answers on stdout, and leaves with its parent.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

from initaudit.errors import InitauditError, internal_error
from initaudit.frames import Frame, read_frame, write_frame
from initaudit.process import end_with
from initaudit.task import Task, Watch


class _Ended(BaseException):
    """This process was told to leave. No SystemExit: a rule that raises one has failed, and the audit goes on."""


def main() -> None:
    """Serve tasks until stdin ends. Arguments: the parent's process id, a module to import before there is work, whether a probe will follow."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints is no answer
    parent, module, probes = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "probe"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C ends
    signal.signal(signal.SIGTERM, _end)
    end_with(parent)
    if probes:
        from initaudit.probe.isolation import prestart

        prestart()  # its imports run on another core beside those of this process
    importlib.import_module(module)
    with contextlib.suppress(BrokenPipeError, SystemExit, _Ended):
        while (frame := read_frame(sys.stdin.buffer)) is not None:
            write_frame(answers, _answer(frame, answers))
    from initaudit.probe.isolation import discard_spare

    discard_spare()
    os._exit(0)  # nothing is left to be done, and destructors of native code take their time


def _answer(frame: Frame, answers: BinaryIO) -> Frame:
    """A `result`; an `error` of the documented tree; or a `bug`, in one line."""
    turn = threading.Lock()  # the probe tells its progress from a thread

    def send(kind: str, body: object) -> None:
        with turn:
            write_frame(answers, Frame(kind=kind, body=body))

    watch = Watch(
        doing=lambda phrase: send("progress", phrase),
        weighs=lambda size: send("weighs", size),
        repeats=lambda times: send("repeats", times),
    )
    try:
        task: Task[object] = pickle.loads(frame.blobs[0])  # noqa: S301  of the parent
        _limit_memory(task.limits.memory)
        if task.folder is not None:
            os.chdir(task.folder)
        if task.imports:
            importlib.import_module(task.imports)
        send("begun", None)
        result = task.work(*task.arguments, watch=watch)
        return Frame(kind="result", body=None, blobs=[pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL)])
    except InitauditError as error:
        return Frame(kind="error", body=None, blobs=[pickle.dumps(error)])
    except MemoryError:
        return Frame(kind="memory", body=None)
    except Exception as error:  # noqa: BLE001  a bug, told in one line by the parent
        return Frame(kind="bug", body=internal_error(error))


def _limit_memory(size: int) -> None:
    """Let an allocation fail that would take the private memory of this process over `size` bytes."""
    if sys.platform != "linux":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data_segment() + size
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def _data_segment() -> int:
    """Bytes that the limit counts today (proc(5), VmData); not those of mapped files."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by an exception, so that temporary files and the probe's process go too."""
    del frame
    signal.signal(number, signal.SIG_IGN)
    raise _Ended
