"""The probe in the process of the audit: its own child costs fifty times as much, and what it answers is the same."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from initaudit.probe.frames import Frame

from initaudit import auditor
from initaudit.errors import ProbeError, UsageError
from initaudit.probe import isolation, job
from initaudit.probe.child import serve


@contextmanager
def probe_inside() -> Iterator[None]:
    """Within it no process is started for the probe; memory and time are those of this process."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(isolation, "run_child", _run))
        stack.enter_context(mock.patch.object(job, "limit_memory", lambda *_: None))
        stack.enter_context(mock.patch.object(auditor, "prestart", lambda: None))
        yield


def _run(body: dict[str, Any], blobs: Sequence[bytes] = (), *, max_memory: int, **_: Any) -> dict[str, Any]:
    frame = Frame(kind="job", body=json.loads(json.dumps({**body, "max_memory": max_memory})), blobs=tuple(blobs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own process prints them where nobody reads
        answer = serve(frame, io.BytesIO())
    if answer.kind == "usage":
        raise UsageError(str(answer.body))
    if answer.kind == "error":
        raise ProbeError(str(answer.body))
    return dict(json.loads(json.dumps(answer.body)))
