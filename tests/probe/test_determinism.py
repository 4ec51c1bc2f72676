"""The same file under the same options gives the same report, whatever else the machine does, and however many cores there are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import initaudit
from initaudit.measuring import measure as measuring
from initaudit.probe import isolation
from initaudit.probe.instrument import tap_options
from initaudit.probe.isolation import discard_spare
from initaudit.probe.session import THREADS, quiet_options, trial_options
from tests.networks import he, mlp

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime
    from onnx import ModelProto

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are given to processes on Linux")


def off(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Eight tenths of He's standard deviation: off the target, so that the recommended start is measured, too."""
    return 0.8 * he(shape, rng)


DEEP = mlp((96, *(96,) * 11, 10), "Relu", off)
"""12 layers, and as many gradients."""


def said(proto: ModelProto) -> str:
    """The report as JSON, times aside."""
    document = initaudit.audit(proto, context="fresh").to_dict()
    del document["run"]
    for report in document["reports"]:
        del report["timing"]
    return json.dumps(document)


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Processes that are started meanwhile see these cores alone: the runtime would choose as many threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def load() -> Iterator[None]:
    """As many processes as cores that compute until the end."""
    command = [sys.executable, "-S", "-E", "-c", "while True: sum(range(1000))"]
    busy = [subprocess.Popen(command) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_report_depends_on_nothing_but_the_file() -> None:
    """Byte for byte: in a fresh process, again in the same one and under load, and on one core."""
    discard_spare()
    fresh = said(DEEP)
    with load():
        again = said(DEEP)
    discard_spare()
    with on_cores({min(os.sched_getaffinity(0))}):
        on_one_core = said(DEEP)

    (report,) = json.loads(fresh)["reports"]
    assert report["probe"]["status"] == "complete"
    assert report["verdict"]["slowness"] > 1
    assert sum(layer["signal"]["gradient_rms"] is not None for layer in report["layers"]) == 12
    assert again == fresh
    assert on_one_core == fresh


@pytest.mark.parametrize("options", [quiet_options, trial_options, tap_options])
def test_number_of_threads_is_not_left_to_the_machine(options: Callable[[], onnxruntime.SessionOptions]) -> None:
    """How onnxruntime divides work among threads decides about last bits, in Elu, Softplus and some products; 0 would be one thread a core."""
    assert options().intra_op_num_threads == THREADS


def test_process_that_served_other_models_measures_the_same() -> None:
    """What a model leaves in the process, a refused one too, changes nothing about the next one."""
    small = mlp((24, 32, 32, 4), "Tanh", he)
    discard_spare()
    fresh = said(small)
    discard_spare()
    for other in (DEEP, mlp((5, 7, 3), "Sigmoid", he), mlp((24, 32, 32, 4), "Relu", he)):
        said(other)
    ((_, child),) = isolation._idle
    served = child.served

    used = said(small)

    assert child.served > served
    assert used == fresh


def test_failure_beside_the_probe_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe's thread and its process are gone when the error arrives."""
    discard_spare()
    before = set(threading.enumerate())
    pids: list[int] = []

    def fails(*_: object, **__: object) -> None:
        while not isolation._busy:
            pass
        pids.extend(child.pid for _, child in isolation._busy)
        raise RuntimeError("weighing failed")

    monkeypatch.setattr(measuring, "measure", fails)
    with pytest.raises(RuntimeError, match="weighing failed"):
        initaudit.audit(DEEP)

    assert not [thread for thread in threading.enumerate() if thread not in before]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_without_a_probe_there_is_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a process with a single thread may share the weighing with copies of itself."""
    threads: list[int] = []
    measure = measuring.measure

    def counted(*arguments: object, **options: object) -> object:
        threads.append(threading.active_count())
        return measure(*arguments, **options)

    discard_spare()
    monkeypatch.setattr(measuring, "measure", counted)
    before = threading.active_count()
    initaudit.audit(mlp((5, 7, 3), "Tanh", he), probe="none")

    assert threads == [before]
