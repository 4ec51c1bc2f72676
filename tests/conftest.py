"""What all tests share.

Property tests have no deadline per example, nor one to make it: a busy machine is no fault, and what hangs meets the time limit of its test.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pickle
import subprocess
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

# Before numpy reads it: the workers share the cores, and idle threads of OpenBLAS spin.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# For the workers and for the commands that are run: hundreds of modules are compiled once, not by each of them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest
from hypothesis import HealthCheck, settings

from initaudit import auditor
from initaudit.engines import auditing, local, process
from initaudit.probe import isolation, job
from initaudit.probe.isolation import Child
from initaudit.remembering import remembering
from initaudit.rule import Rule
from initaudit.task import Task, Watch

if TYPE_CHECKING:
    import threading

    from initaudit.findings import Finding

# The same examples in every run, so that a change fails by its own doing; `--hypothesis-profile searching` draws new and more ones.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", unhurried, derandomize=True)
settings.register_profile("searching", unhurried, max_examples=1000)
settings.load_profile("repeatable")

LONG = (
    "ci/test_*.py",
    "cli/test_streams.py",
    "fleet/test_dask.py",
    "fleet/test_processes.py",
    "fuzz/test_campaign.py",
    "probe/test_determinism.py",
)
"""Files whose few tests take more than five seconds together."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Without looking for garbage, of which collecting makes none. It is not frozen: Hypothesis asks `gc.get_referrers`, which sees nothing frozen."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One more than there are cores: a test that waits for processes leaves its core to others."""
    return (yield) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few and long tests begin the run, then come those of the most: one that is long would be waited for at the end."""
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (not any(map(item.path.match, LONG)), -sizes[item.path]))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Besides the options of pytest."""
    parser.addoption("--update-docs", action="store_true", help="Write the README's sessions and its picture anew.")


@pytest.fixture(autouse=True, scope="session")
def _children_tell_what_they_ran() -> Iterator[None]:
    """Where coverage is measured, the probe's process is left to end by itself: it is killed otherwise before it has written down its lines."""
    with pytest.MonkeyPatch.context() as patch:
        if "COVERAGE_PROCESS_CONFIG" in os.environ:
            patch.setattr(Child, "close", _close_after(Child.close))
        yield


def _close_after(close: Callable[[Child], None]) -> Callable[[Child], None]:
    def wait_and_close(child: Child) -> None:
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            child._process.stdin.close()  # the child leaves with its parent
            child._process.wait(timeout=5)
        close(child)

    return wait_and_close


@pytest.fixture(autouse=True, scope="session")
def _undeclared_severities() -> Iterator[list[str]]:
    """What rules gave and do not declare; gathered, because an audit takes an error in a rule for that rule's own fault and goes on."""
    undeclared: list[str] = []
    make: Callable[..., Finding] = Rule.finding.__func__  # type: ignore[attr-defined]

    def finding(cls: type[Rule], *args: Any, **options: Any) -> Finding:
        made = make(cls, *args, **options)
        if made.severity not in cls.severities():
            undeclared.append(f"{made.code} may not be {made.severity}")
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "finding", classmethod(finding))
        yield undeclared


@pytest.fixture(autouse=True)
def _rules_give_the_severities_that_they_declare(_undeclared_severities: list[str]) -> Iterator[None]:
    """`initaudit rules` and the pages about the rules list them."""
    yield
    found = sorted(set(_undeclared_severities))
    _undeclared_severities.clear()
    assert not found


@pytest.fixture(autouse=True, scope="session")
def _answers() -> dict[Any, Any]:
    """What networks answered, of which many tests audit the same."""
    return {}


@pytest.fixture(autouse=True)
def _measured_once(request: pytest.FixtureRequest, _answers: dict[Any, Any]) -> Iterator[None]:
    """A network is measured once for all tests, but for those that change how; tests about measuring have a fixture of this name that does nothing."""
    if "monkeypatch" in request.fixturenames:
        yield
        return
    with remembering(_answers):
        yield


@pytest.fixture
def in_process() -> Iterator[None]:
    """Work and probe are done in the test's own process: for tests of what is made of their answers, which need no process of their own."""

    def serve(
        body: dict[str, Any],
        blobs: list[bytes] | None = None,
        *,
        timeout: float,
        max_memory: int,
        progress: Callable[[str], None] | None = None,
        stop: threading.Event | None = None,
    ) -> dict[str, Any]:
        answer = job.run_job(
            {**body, "max_memory": max_memory}, blobs or [], progress or (lambda _: None), lambda _: None
        )
        return json.loads(json.dumps(answer))  # as it comes through the pipe

    def do(task: Task[Any], progress: Callable[[str], None] | None = None) -> Any:
        watch = Watch(doing=progress or (lambda _: None), weighs=lambda _: None, repeats=lambda _: None)
        return pickle.loads(pickle.dumps(task.work(*task.arguments, watch=watch)))  # as it comes through the pipe

    with pytest.MonkeyPatch.context() as patch:  # the fixture would keep `_measured_once` away
        for home in (auditing, local, process):
            patch.setattr(home, "do", do)
        patch.setattr(isolation, "run_child", serve)
        patch.setattr(job, "limit_memory", lambda *_: None)
        patch.setattr(auditor, "prestart", lambda: None)
        yield
