"""Weighing is shared by several processes where that is safe, and nobody can tell from the answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.networks import mlp, save

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="work is shared by forking, on Linux only")

COMPARE = """
import sys
from initaudit.measuring import forked, measure
from initaudit.extraction.extract import extract_layers
from initaudit.model.load import load_model

layers = extract_layers(load_model(sys.argv[1])).layers
measure.processes, measure.WORTH_SHARING = (lambda: 1), 0.0
alone, _ = measure.measure(layers)
measure.processes = lambda: 3
started = []
share = forked.share
measure.share = lambda work, parts, count: started.append(count) or share(work, parts, count)
shared, _ = measure.measure(layers)
assert started == [3], started
assert [a.layer.name for a in shared] == [layer.name for layer in layers]
assert [(a.stats, a.bias, a.provenance) for a in shared] == [(a.stats, a.bias, a.provenance) for a in alone]
assert all((a.stats.sample == b.stats.sample).all() for a, b in zip(shared, alone))
"""

FAILING = """
import os, signal, time
from initaudit.measuring import forked

here = os.getpid()

def work(part):
    if os.getpid() != here:
        if part % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("in the other process")
    time.sleep(0.1)
    return part * part

assert forked.share(work, range(8), 3) == [i * i for i in range(8)]
"""

RAISING = """
import multiprocessing, os, time
from initaudit.measuring import forked

here = os.getpid()

def work(part):
    if os.getpid() == here:
        raise KeyboardInterrupt
    time.sleep(60)

try:
    forked.share(work, range(8), 3)
except KeyboardInterrupt:
    started = time.monotonic()
    for child in multiprocessing.active_children():
        child.join()
    assert time.monotonic() - started < 10
else:
    raise AssertionError
"""

THREADED = """
import threading, time
from initaudit.measuring import forked

alone = forked.processes()
threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
assert alone == min(forked.MOST_PROCESSES, len(__import__("os").sched_getaffinity(0)))
assert forked.processes() == 1
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process with a single thread."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    """Three processes give the layers in the same order with the same numbers, bit for bit; tied weights included."""
    proto = mlp([64, 300, 300, 300, 64, 8], bias=lambda shape, rng: rng.standard_normal(shape))
    proto.graph.node[4].input[1] = proto.graph.node[2].input[1]
    path = save(proto, tmp_path / "m.onnx")

    done = python(COMPARE, path)

    assert done.returncode == 0, done.stderr


def test_a_killed_or_failing_process_loses_nothing() -> None:
    """Its part is done again by the process that asked."""
    done = python(FAILING)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_an_interrupted_audit_leaves_no_process_behind() -> None:
    """The others end at once, without a word."""
    done = python(RAISING)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_process_with_threads_is_not_forked() -> None:
    """A fork copies one thread only: locks that others hold would stay locked."""
    done = python(THREADED)

    assert done.returncode == 0, done.stderr
