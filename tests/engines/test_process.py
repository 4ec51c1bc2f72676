"""A worker: whatever a task does to it, the command has a reason in words, and the next task a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from initaudit.engines.process import Worker, discard, do
from initaudit.errors import InvalidModel, LostWorker
from initaudit.task import Limits, Task
from tests.engines import deeds

GIB = 1 << 30
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of another process")


def task(work: Callable[..., Any], *arguments: Any, seconds: float = 30.0, memory: int = GIB) -> Task[Any]:
    return Task(work, arguments, Limits(seconds=seconds, memory=memory))


def test_a_worker_serves_one_task_after_another():
    """In the same process, which is not that of the test; what it is doing is told."""
    told: list[str] = []

    first, second = do(task(deeds.number), told.append), do(task(deeds.number))

    assert first == second != os.getpid()
    assert told == ["counting"]


def test_a_worker_that_ended_while_it_waited_costs_no_task():
    """Whatever ended it: the next task has another."""
    waiting = do(task(deeds.number))
    os.kill(waiting, signal.SIGKILL)
    os.waitid(os.P_PID, waiting, os.WEXITED | os.WNOWAIT)

    assert do(task(deeds.number)) != waiting


def test_an_error_of_the_documented_tree_is_raised_as_it_is():
    """The worker goes on."""
    before = do(task(deeds.number))

    with pytest.raises(InvalidModel, match="no such layer"):
        do(task(deeds.raise_error, "no such layer"))

    assert do(task(deeds.number)) == before


def test_a_bug_is_one_line_with_its_place():
    """The worker goes on: nothing of it is broken."""
    with pytest.raises(LostWorker, match=r"internal error at deeds\.py:\d+: ZeroDivisionError: oops \(a bug"):
        do(task(deeds.raise_bug))


def test_what_hangs_is_killed_at_the_time_limit():
    """The reason says what was being done and what raises the limit; another worker serves the next task."""
    before, begin = do(task(deeds.number)), time.monotonic()

    with pytest.raises(LostWorker, match=r"took more than 0\.6 s \(while hanging\); raise --timeout"):
        do(task(deeds.hang, seconds=0.6))

    assert time.monotonic() - begin < 10
    assert do(task(deeds.number)) != before


def test_a_large_file_has_more_time():
    """A second for each 20 MB that must be read."""
    do(task(deeds.hang_after, 100_000_000, seconds=0.2))

    with pytest.raises(LostWorker, match="took more than"):
        do(task(deeds.hang_after, 0, seconds=0.2))


def test_work_that_repeats_what_the_limits_are_meant_for_has_as_much_more_time():
    do(task(deeds.hang_repeatedly, 9, seconds=0.2))

    with pytest.raises(LostWorker, match="took more than"):
        do(task(deeds.hang_repeatedly, 0, seconds=0.2))


def test_what_is_imported_for_the_work_takes_nothing_of_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Many workers that start at once read the same files."""
    discard()
    (tmp_path / "slowly_imported.py").write_text("import time\ntime.sleep(1.0)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    needs = task(deeds.load, "slowly_imported", seconds=0.5)
    assert do(task(deeds.number)) > 0

    do(replace(needs, imports="slowly_imported"))
    discard()

    with pytest.raises(LostWorker, match="took more than"):
        do(needs)


@LINUX
def test_memory_is_limited():
    """One allocation beyond the limit fails, and the reason names the option."""
    with pytest.raises(LostWorker, match="needed more than 128 MiB of memory while filling; raise --max-memory"):
        do(task(deeds.allocate, 300 << 20, memory=128 << 20))


@LINUX
def test_memory_is_limited_together_with_what_the_worker_held_before():
    """Then no allocation fails, and the worker is ended by whoever looks at it while it works."""
    discard()

    with pytest.raises(LostWorker, match="needed more than 48 MiB of memory while holding; raise --max-memory"):
        do(task(deeds.hold, 42 << 20, memory=48 << 20, seconds=10.0))


@LINUX
def test_a_limit_holds_for_its_task_alone():
    """The next one may have more."""
    with pytest.raises(LostWorker):
        do(task(deeds.allocate, 200 << 20, memory=64 << 20))

    assert do(task(deeds.allocate, 200 << 20)) == 200 << 20


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSEGV, r"crashed \(SIGSEGV\) while dying"),
        (signal.SIGABRT, r"gave up \(SIGABRT, perhaps for want of 1\.0 GiB\) while dying"),
        (signal.SIGKILL, r"was killed \(SIGKILL, perhaps for want of memory\) while dying"),
    ],
)
def test_a_crash_is_told_by_its_signal(number: int, reason: str):
    """It costs the one task."""
    with pytest.raises(LostWorker, match=reason):
        do(task(deeds.die, number))

    assert do(task(deeds.number)) > 0


@LINUX
def test_a_file_that_shrinks_while_it_is_mapped_costs_its_own_task(tmp_path: Path):
    """The kernel sends SIGBUS to whoever reads where nothing is left (mmap(2))."""
    path = tmp_path / "model.onnx"
    path.write_bytes(bytes(1 << 16))

    with pytest.raises(LostWorker, match=r"the file became shorter, or could not be read, while it was read \(SIGBUS"):
        do(task(deeds.read_after_the_end, str(path)))


def test_what_is_not_finished_is_removed_when_the_work_is_given_up(tmp_path: Path):
    """A worker is asked to end before it is killed."""
    with pytest.raises(LostWorker):
        do(task(deeds.leave_a_file, str(tmp_path), seconds=0.5))

    assert list(tmp_path.iterdir()) == []


def test_tasks_of_several_threads_have_workers_of_their_own():
    """Two at once end at the same time, not one after the other."""
    begin = time.monotonic()
    threads = [
        threading.Thread(target=do, args=(task(deeds.hang_after, GIB, seconds=60.0),), daemon=True) for _ in range(2)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)

    assert not any(thread.is_alive() for thread in threads)
    assert time.monotonic() - begin < 30


@LINUX
def test_a_worker_ends_with_its_parent(tmp_path: Path):
    """However that ends: no work goes on that nobody waits for."""
    script = (
        "import os, signal, threading, time\n"
        "from initaudit.engines.process import Worker\n"
        "from initaudit.task import Limits, Task\n"
        "from tests.engines import deeds\n"
        "worker = Worker('tests.engines.deeds')\n"
        "task = Task(deeds.hang, (), Limits(seconds=60, memory=1 << 30))\n"
        "told = threading.Event()\n"
        "threading.Thread(target=worker.do, args=(task, lambda _: told.set()), daemon=True).start()\n"
        "told.wait(30)\n"
        "print(worker.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )

    assert _has_ended(int(run.stdout))


@LINUX
@pytest.mark.timeout(30)
def test_what_a_worker_has_started_ends_with_it(tmp_path: Path):
    """Killed in the middle of the weighing that it shares, it is missed at once, and nothing of it goes on."""
    with Worker("tests.engines.deeds") as worker:
        threading.Thread(target=_kill_when_shared, args=(worker.pid, tmp_path), daemon=True).start()

        with pytest.raises(LostWorker, match=r"was killed \(SIGKILL.*\) while sharing"):
            worker.do(task(deeds.share_and_hang, str(tmp_path)))

    assert all(_has_ended(int(path.name)) for path in tmp_path.iterdir())


def _kill_when_shared(pid: int, folder: Path) -> None:
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Whether a process is gone, or will be in a moment: it need not be a child of this one."""
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_process_that_cannot_be_started_costs_the_task_alone(monkeypatch: pytest.MonkeyPatch):
    """A machine has a largest number of processes."""
    discard()

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("initaudit.engines.process.subprocess.Popen", refuse)

    with pytest.raises(LostWorker, match="no process could be started to read it: Resource temporarily unavailable"):
        do(task(deeds.number))


def test_nothing_is_left_of_a_closed_worker():
    """It is waited for: no zombie."""
    with Worker("tests.engines.deeds") as worker:
        pid = worker.pid

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
