"""Work on a model that is lost says of which model."""

from __future__ import annotations

import signal

import pytest

from initaudit.config import Config
from initaudit.engines.auditing import Subject, in_worker
from initaudit.errors import LostWorker
from initaudit.task import STARTING_SECONDS
from tests.engines import deeds


def test_a_lost_worker_names_the_model():
    """Whatever the command was doing with it."""
    with pytest.raises(LostWorker, match=r"^m\.onnx: the process that read it crashed \(SIGSEGV\) while dying"):
        in_worker(Subject(name="m.onnx", config=Config()), deeds.die_of, signal.SIGSEGV)


def test_the_probe_and_all_else_of_an_audit_have_the_time_limit_each():
    """What makes several audits tells so while it works, see `Watch.repeats`."""
    subject = Subject(name="m.onnx", config=Config(timeout=5.0))

    assert subject.limits.seconds == 2 * 5.0 + STARTING_SECONDS
    assert subject.limits.memory == subject.config.max_memory
