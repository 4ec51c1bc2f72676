"""The probe's own process: `python -m initaudit.probe.child`, started by `initaudit.probe.isolation`.

Reads one job (see `initaudit.probe.job`) from stdin, answers on stdout, and leaves. Everything that native code prints
goes to stderr.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from initaudit.errors import InitauditError, UsageError
from initaudit.frames import Frame, read_frame, write_frame


def main() -> None:
    """Serve one job; the exit status is 0 whenever an answer was given."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # native code prints where it likes; the pipe is for frames only
    preload()
    frame = read_frame(sys.stdin.buffer)
    if frame is None:
        return
    threading.Thread(target=_leave_with_parent, args=(sys.stdin.buffer,), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        write_frame(answers, serve(frame, answers))
        answers.close()
    os._exit(0)  # no destructor of onnxruntime or a mapped file is worth the wait


def preload() -> None:
    """Import what the job needs while the parent is still reading the model."""
    import onnxruntime  # noqa: F401

    from initaudit.probe import adapt, flatten, inputs, job, measure  # noqa: F401


def serve(frame: Frame, answers: BinaryIO) -> Frame:
    """The answer to a job: a `result`, or an `error` with its reason in words."""
    from initaudit.probe.job import run_job

    def progress(doing: str) -> None:
        write_frame(answers, Frame(kind="progress", body=doing))

    def checkpoint(answer: dict[str, Any]) -> None:
        write_frame(answers, Frame(kind="partial", body=answer))

    try:
        return Frame(kind="result", body=run_job(frame.body, frame.blobs, progress, checkpoint))
    except UsageError as error:
        return Frame(kind="usage", body=str(error))
    except InitauditError as error:
        return Frame(kind="error", body=str(error))
    except MemoryError:
        return Frame(kind="error", body="needed more memory than --max-memory allows")
    except Exception as error:  # noqa: BLE001  left alone it would end the process, and look like a crash of onnxruntime
        return Frame(kind="error", body=own_failure(error))


def own_failure(error: Exception) -> str:
    """What failed in initaudit's own code, and where: for whoever reports it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"initaudit itself failed: {' '.join(what.split())[:300]} ({Path(place.filename).name}, line {place.lineno})"


def _leave_with_parent(stream: BinaryIO) -> None:
    """End the process, whatever it is doing, as soon as the parent's end of the pipe is closed."""
    with contextlib.suppress(OSError, ValueError):
        while stream.read(1):
            pass
    os._exit(1)


if __name__ == "__main__":
    main()
