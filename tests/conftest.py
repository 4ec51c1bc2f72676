"""What all tests share.

Property tests have no deadline per example: a busy machine is no fault, and what hangs meets the time limit of its test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe measures in the test's own process: for tests of what is made of its answer, which need no process of its own."""
    from initaudit import auditor
    from initaudit.probe import isolation, job

    def serve(
        body: dict[str, Any],
        blobs: Sequence[bytes] = (),
        *,
        timeout: float,
        max_memory: int,
        progress: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        answer = job.run_job({**body, "max_memory": max_memory}, blobs, progress or (lambda _: None), lambda _: None)
        return json.loads(json.dumps(answer))  # as it comes through the pipe

    monkeypatch.setattr(isolation, "run_child", serve)
    monkeypatch.setattr(job, "limit_memory", lambda *_: None)
    monkeypatch.setattr(auditor, "prestart", lambda: None)
