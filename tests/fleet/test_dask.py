"""The engine of many machines: what it gives is what others give, and a worker that dies costs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from initaudit.auditor import audit
from initaudit.cli import run
from initaudit.config import Config
from initaudit.engine import find_engine
from initaudit.engines.dask import Dask, local_cluster
from initaudit.errors import UsageError
from initaudit.fleet.order import Care
from tests.fleet.running import fleet, report, statuses, without_times

if TYPE_CHECKING:
    from initaudit.fleet.store import Store


class Shared(Dask):
    """Over a client that is there."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    @contextmanager
    def client(self) -> Iterator[Client]:
        """It stays open."""
        yield self._client


@pytest.fixture(scope="module")
def cluster(faulty_workers: None) -> Iterator[Any]:
    """Two workers of this machine, which the tests share."""
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: Any) -> Iterator[Client]:
    """One of the cluster."""
    with Client(cluster) as client:
        yield client


def test_a_cluster_of_this_machine_speaks_to_nobody_else(cluster: Any):
    """Connections are encrypted and need its own keys: another user of the machine must not run programs as this one."""
    assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
    assert cluster.security.require_encryption


def test_reports_do_not_depend_on_the_engine_and_a_dead_worker_costs_nothing(
    faults: Callable[..., Path], store: Store, client: Client
):
    """A model at whose audit the Dask worker itself is killed is audited by another; one that kills its own process each time costs itself."""
    folder = faults("a", "b", "c", "poison", "unlucky", "x", "y")

    rows = fleet([folder], store, Shared(client), care=Care(retries=1))

    sound = dict.fromkeys(["a", "b", "c", "unlucky", "x", "y"], "audited")
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
