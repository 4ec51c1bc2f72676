"""Work on a model that is lost says of which model."""

from __future__ import annotations

import signal

import pytest

from initaudit.config import Config
from initaudit.engines.auditing import Subject, in_worker
from initaudit.errors import LostWorker
from tests.engines import deeds


def test_a_lost_worker_names_the_model():
    """Whatever the command was doing with it."""
    with pytest.raises(LostWorker, match=r"^m\.onnx: the process that read it crashed \(SIGSEGV\) while dying"):
        in_worker(Subject(name="m.onnx", config=Config()), deeds.die_of, signal.SIGSEGV)


def test_a_model_has_the_time_of_as_many_audits_as_its_work_takes():
    """And the memory of one."""
    subject = Subject(name="m.onnx", config=Config(timeout=5.0))

    assert subject.limits(2).seconds - subject.limits().seconds == 2 * 5.0
    assert subject.limits(2).memory == subject.limits().memory == subject.config.max_memory
