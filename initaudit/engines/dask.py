"""The engine of many machines, over Dask's `distributed`: each task is done by a worker process of its own on the machine that it is sent to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from initaudit.engine import Engine, Watcher
from initaudit.engines.process import do
from initaudit.errors import InitauditError, LostEngine, LostWorker, UsageError
from initaudit.version import __version__

if TYPE_CHECKING:
    from initaudit.task import Task

T = TypeVar("T")

AHEAD = 2
"""Tasks given to each thread of a worker: one that it does and one that waits there, so that it never idles. What waits on a worker that dies
is done elsewhere."""
PATIENCE = 300.0
"""Seconds for the first worker of a scheduler to come: a machine of a cloud takes some minutes to start."""
ALLOWED_FAILURES = 1000
"""Dying workers that a task may have been given to. Dask suspects every task on a dead worker, also those that only waited there; who kills
workers is known by other means, and retried a limited number of times by whoever asks for the task."""
OWN_MACHINE = ("localhost", "127.0.0.1", "::1")
ENCRYPTED = ("tls", "wss")
"""Protocols of a scheduler that are."""


class Dask(Engine):
    """Workers of a scheduler, or of a cluster of this machine that lives as long as the run."""

    name = "dask"

    def __init__(
        self,
        workers: int = 1,
        *,
        scheduler: str | None = None,
        insecure: bool = False,
        tls_ca: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            workers: of the cluster of this machine, each of one thread.
            scheduler: address of one that runs, whose workers are taken instead; `tls://host:8786`.
            insecure: one on another machine may be talked to in the clear. Whoever can reach it can run any program there.
            tls_ca: file of the certificate authority of scheduler and workers; the configuration of Dask holds what is not given.
            tls_cert: file of this client's certificate.
            tls_key: file of its key.

        Raises:
            UsageError: `distributed` is not installed, or the scheduler's address is not safe.
        """
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise UsageError("engine dask needs distributed: pip install 'initaudit[fleet]'") from error
        if scheduler is not None:
            _check_address(scheduler, insecure=insecure)
        self._workers, self._scheduler = workers, scheduler
        self._tls = {"tls_ca_file": tls_ca, "tls_client_cert": tls_cert, "tls_client_key": tls_key}

    def run(
        self, tasks: Iterable[Task[T]], watch: Callable[[int], Watcher | None] = lambda _: None
    ) -> Iterator[tuple[int, T | InitauditError]]:
        """See `Engine.run`; nothing is told of the progress of a task on another machine. Raises LostEngine where the scheduler is lost."""
        from distributed import as_completed

        numbered = enumerate(tasks)
        with self.client() as client:
            running: dict[Any, int] = {}
            finished = as_completed(loop=client.loop)

            def fill() -> None:
                room = AHEAD * max(1, sum(client.nthreads().values())) - len(running)
                for i, task in islice(numbered, max(0, room)):
                    future = client.submit(_attempt, task, __version__, pure=False)
                    running[future] = i
                    finished.add(future)

            try:
                fill()
                for future in finished:
                    if future.status == "lost":  # with its worker, before it was fetched: it is done again elsewhere
                        finished.add(future)
                        continue
                    i = running.pop(future)
                    result = _result(future)
                    future.release()
                    yield i, result
                    fill()
            finally:
                client.cancel(list(running), force=True)

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client of the scheduler, with at least one worker. Raises UsageError where it cannot be reached."""
        from distributed import Client

        with ExitStack() as stack:
            try:
                if self._scheduler is None:
                    cluster = stack.enter_context(local_cluster(self._workers))
                    client = stack.enter_context(Client(cluster))
                else:
                    client = stack.enter_context(Client(self._scheduler, security=self._security()))
                client.wait_for_workers(1, timeout=PATIENCE)
            except (OSError, TimeoutError, ValueError) as error:
                where = self._scheduler or "this machine"
                raise UsageError(f"engine dask: no workers at {where}: {type(error).__name__}: {error}") from error
            yield client

    def _security(self) -> Any:
        from distributed.security import Security

        given = {name: path for name, path in self._tls.items() if path is not None}
        encrypted = urlsplit(self._scheduler or "").scheme in ENCRYPTED
        return Security(**given, **({"require_encryption": True} if encrypted else {}))


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """Worker processes of this machine, encrypted with keys that live as long as they do: else any user of the machine could run programs as this one."""
    import dask
    from distributed import LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
        "distributed.worker.profile.enabled": False,  # it would look at idle threads a hundred times a second
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,  # limits are those of the tasks
            dashboard_address=None,
            security=True,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


def _check_address(scheduler: str, *, insecure: bool) -> None:
    """Raises UsageError where it is no address, or means another machine in the clear."""
    parts = urlsplit(scheduler if "://" in scheduler else f"tcp://{scheduler}")
    if not parts.hostname:
        raise UsageError(f"--scheduler: {scheduler!r} is no address such as tls://host:8786")
    if parts.scheme not in ENCRYPTED and parts.hostname not in OWN_MACHINE and not insecure:
        raise UsageError(
            f"--scheduler: {scheduler} is not encrypted, and whoever listens or reaches it can run any program on its workers; "
            "use tls:// (see the documentation), or give --insecure"
        )


def _attempt(task: Task[T], version: str) -> T | InitauditError:
    """On the worker's machine."""
    if version != __version__:
        return UsageError(f"engine dask: a worker has initaudit {__version__}, not {version}")
    try:
        return do(task)
    except InitauditError as error:
        return error


def _result(future: Any) -> Any:
    from distributed import KilledWorker

    if future.status == "cancelled":
        raise LostEngine("engine dask: the scheduler is gone, or has given up its tasks")
    try:
        return future.result()
    except KilledWorker as error:
        return LostWorker(f"its Dask worker was lost: {error}")
    except InitauditError as error:
        return error
    except Exception as error:  # noqa: BLE001  whatever Dask, or its serialisation, raises
        return LostWorker(f"its Dask worker failed: {type(error).__name__}: {error}")
