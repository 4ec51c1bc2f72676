"""The engine of many machines: what it gives is what others give, and a worker that dies costs nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from initaudit.auditor import audit
from initaudit.cli import run
from initaudit.config import Config
from initaudit.engine import find_engine
from initaudit.engines.dask import local_cluster
from initaudit.errors import UsageError
from initaudit.fleet.order import Care
from tests.fleet.external import External
from tests.fleet.running import fleet, report, statuses, without_times

if TYPE_CHECKING:
    from initaudit.fleet.store import Store


@pytest.fixture(scope="module")
def cluster(faulty_workers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[External]:
    """Two workers, which the tests share."""
    with External(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def test_a_cluster_of_this_machine_speaks_to_nobody_else():
    """Nothing listens: another user of the machine must not run programs as this one."""
    before = _listening()

    with local_cluster(1):
        assert _listening() == before


def _listening() -> list[object]:
    connections = psutil.Process().net_connections("inet")
    return [connection.laddr for connection in connections if connection.status == psutil.CONN_LISTEN]


def test_reports_do_not_depend_on_the_engine_and_a_dead_worker_costs_nothing(
    faults: Callable[..., Path], store: Store, cluster: External
):
    """A model at whose audit the Dask worker itself is killed is audited by another; one that kills its own process each time costs itself.

    Those in a bundle with it were finished before, or are done then, and are not blamed.
    """
    names = ["a", "b", "c", "d", "poison", "unlucky", "v", "w", "x", "y", "z"]
    folder = faults(*names)

    rows = fleet([folder], store, find_engine("dask", **cluster.options), care=Care(retries=1))

    sound = dict.fromkeys([name for name in names if name != "poison"], "audited")
    assert statuses(rows) == {**sound, "poison": "crashed"}
    record = store.run()
    for row in rows:
        if row.has_report:
            expected = audit(row.path, Config(probe="none")).entry()
            assert report(store, row) == without_times(expected)
    assert {Path(row.path).stem: row.attempts for row in rows if row.has_report} == {
        **dict.fromkeys(sound, 1),
        "unlucky": 2,
    }
    assert not store.place.names(f"attempts/{record.id}")


def test_a_lost_scheduler_is_told_of_in_one_line(faults: Callable[..., Path], store: Store, cluster: External):
    """What is finished stands, and nothing of what Dask has to say of it is shown."""
    folder = faults(*(f"slow-{i}" for i in range(40)))
    command = ["fleet", "run", str(folder), "--store", store.address, "--isolated", "-q", "--probe", "none"]
    words = [sys.executable, "-m", "initaudit", *command, "--engine", "dask", *cluster.words]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as driver:
        while not store.runs() or not list(store.rows(store.run().id)):
            assert driver.poll() is None
            time.sleep(0.02)
        cluster.processes[0].kill()
        _, said = driver.communicate()

    error, tally, advice = said.splitlines()
    assert driver.returncode == 3
    assert error == "initaudit: error: engine dask: the scheduler is gone, or has given up its tasks"
    assert tally.startswith(f"run {store.run().id}: ")
    assert advice == "initaudit: not finished; the same command goes on from here"


@pytest.mark.parametrize("address", ["tcp://10.0.0.7:8786", "scheduler.example:8786", "ws://10.0.0.7:8787"])
def test_another_machine_is_not_talked_to_in_the_clear(address: str):
    """Whoever reaches the scheduler runs programs on its workers; it must be asked for."""
    with pytest.raises(UsageError, match="not encrypted"):
        find_engine("dask", scheduler=address)
    find_engine("dask", scheduler=address, insecure=True)
    find_engine("dask", scheduler="tls://10.0.0.7:8786")
    find_engine("dask", scheduler="tcp://127.0.0.1:8786")


def test_without_the_extra_one_line_says_how_to_get_it(
    models: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The engine, a store and a source behind a URL need it, and say so before the work."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    command = ["fleet", "run", "--isolated", "--probe", "none"]

    codes = [
        run([*command, str(models), "--store", store.address, "--engine", "dask"]),
        run([*command, str(models), "--store", "memory://store"]),
        run([*command, "memory://models", "--store", store.address]),
    ]

    lines = capsys.readouterr().err.splitlines()
    assert codes == [2, 2, 2]
    assert len(lines) == 3
    assert all(line.startswith("initaudit: error: ") and "pip install 'initaudit[fleet]'" in line for line in lines)
