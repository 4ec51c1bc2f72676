"""The probe's own process: `python -m initaudit.probe.child`, started by `initaudit.probe.process`.

Reads jobs (see `initaudit.probe.job`) from stdin, one after the other, and answers on stdout. Everything that native code prints goes to
stderr. It leaves where it cannot be sure that a job left nothing behind, and with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from initaudit.errors import InitauditError, UsageError
from initaudit.frames import Frame, read_frame, write_frame


def main() -> None:
    """Serve jobs; the exit status is 0 whenever an answer was given to each."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # native code prints where it likes; the pipe is for frames only
    preload()
    jobs: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(sys.stdin.buffer, jobs), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        while _serve_next(jobs, answers):
            write_frame(answers, Frame(kind="ready", body=None))
        answers.close()
    os._exit(0)  # no destructor of onnxruntime or a mapped file is worth the wait


def preload() -> None:
    """Import what the job needs while the parent is still reading the model."""
    import onnxruntime  # noqa: F401

    from initaudit.probe import adapt, flatten, inputs, job, measure  # noqa: F401


def _serve_next(jobs: queue.SimpleQueue[Frame], answers: BinaryIO) -> bool:
    """Answer a job and clear up behind it; whether the process is as good as new."""
    from initaudit.probe.job import limit_memory

    answer, is_sound = serve(jobs.get(), answers)
    write_frame(answers, answer)
    limit_memory(None)
    del answer
    gc.collect()  # sessions, and the files that they map
    with contextlib.suppress(OSError, AttributeError):  # the memory of freed values: only glibc keeps it, and has this
        ctypes.CDLL(None).malloc_trim(0)
    return is_sound


def serve(frame: Frame, answers: BinaryIO) -> tuple[Frame, bool]:
    """The answer to a job, a `result`, or an `error` with its reason in words; and whether the process may serve another."""
    from initaudit.probe.job import run_job

    def progress(doing: str) -> None:
        write_frame(answers, Frame(kind="progress", body=doing))

    def checkpoint(answer: dict[str, Any]) -> None:
        write_frame(answers, Frame(kind="partial", body=answer))

    try:
        return Frame(kind="result", body=run_job(frame.body, frame.blobs, progress, checkpoint)), True
    except UsageError as error:
        return Frame(kind="usage", body=str(error)), True
    except InitauditError as error:
        return Frame(kind="error", body=str(error)), True
    except MemoryError:
        return Frame(kind="error", body="needed more memory than --max-memory allows"), False
    except Exception as error:  # noqa: BLE001  left alone it would end the process, and look like a crash of onnxruntime
        return Frame(kind="error", body=own_failure(error)), False


def own_failure(error: Exception) -> str:
    """What failed in initaudit's own code, and where: for whoever reports it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"initaudit itself failed: {' '.join(what.split())[:300]} ({Path(place.filename).name}, line {place.lineno})"


def _read_jobs(stream: BinaryIO, jobs: queue.SimpleQueue[Frame]) -> None:
    """Take jobs; end the process, whatever it is doing, as soon as the parent's end of the pipe is closed."""
    try:
        while (frame := read_frame(stream)) is not None:
            jobs.put(frame)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
