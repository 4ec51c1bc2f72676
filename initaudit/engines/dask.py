"""The engine of many machines, over Dask's `distributed`: each task is done by a worker process of its own on the machine that it is sent to."""

from __future__ import annotations

import logging
import os
import threading
import time
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from initaudit.engine import Engine, Watcher
from initaudit.engines.process import discard, do
from initaudit.errors import InitauditError, LostEngine, LostWorker, UsageError
from initaudit.version import __version__

if TYPE_CHECKING:
    from initaudit.task import Task

T = TypeVar("T")

Bundle: TypeAlias = "list[tuple[int, Task[Any]]]"
"""Tasks with their numbers that are given to a worker in one, for what Dask does for a task takes as long as a small model."""

AHEAD = 2
"""Bundles given to each thread of a worker: one that it does and one that waits there, so that it never idles. What waits on a worker that dies
is done elsewhere."""
MOST_BUNDLED = 64
"""Tasks in a bundle. A judgement: what Dask does for one is less than a millisecond for each of so many."""
BUNDLE_SECONDS = 2.0
"""After which a worker begins no more of a bundle, and gives back what is left of it. A judgement: what Dask does for a bundle takes some 20 ms."""
PATIENCE = 300.0
"""Seconds for the first worker of a scheduler to come: a machine of a cloud takes some minutes to start."""
GONE = "engine dask: the scheduler is gone, or has given up its tasks"
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
        left: deque[tuple[int, Task[T]]] = deque()
        """Given back, or not begun."""
        size = 1
        """Of a bundle."""
        with self.client() as client:
            running: dict[Any, Bundle] = {}
            finished = as_completed(loop=client.loop)

            def fill() -> None:
                with _connected(client):
                    room = AHEAD * max(1, sum(client.nthreads().values())) - len(running)
                for _ in range(room):
                    left.extend(islice(numbered, max(0, size - len(left))))
                    bundle = [left.popleft() for _ in range(min(size, len(left)))]
                    if not bundle:
                        return
                    with _connected(client):
                        future = client.submit(_attempt, [task for _, task in bundle], __version__, pure=False)
                    running[future] = bundle
                    finished.add(future)

            try:
                fill()
                for future in finished:
                    if future.status == "lost":  # with its worker, before it was fetched: it is done again elsewhere
                        finished.add(future)
                        continue
                    bundle = running.pop(future)
                    results = _results(future, len(bundle))
                    future.release()
                    left.extendleft(reversed(bundle[len(results) :]))
                    size = min(MOST_BUNDLED, 2 * len(results)) if len(results) == len(bundle) else max(1, len(results))
                    fill()
                    for (i, _), result in zip(bundle, results, strict=False):
                        yield i, result
            finally:
                with suppress(LostEngine), _connected(client):
                    client.cancel(list(running), force=True)

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client of the scheduler, with at least one worker. Raises UsageError where it cannot be reached."""
        from distributed import Client

        with ExitStack() as stack:
            if not os.environ.get("INITAUDIT_DEBUG"):
                stack.enter_context(_silence())
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
def _silence() -> Iterator[None]:
    """Without Dask's tracebacks: what they are about is told in one line. After the loss of a scheduler they go on beside whatever follows."""
    before = [(handler, handler.level) for handler in logging.getLogger("distributed").handlers]
    for handler, _ in before:
        handler.setLevel(logging.CRITICAL)
    try:
        yield
    except LostEngine:
        before.clear()
        raise
    finally:
        for handler, level in before:
            handler.setLevel(level)


_closing = threading.Event()
"""Workers in this process begin nothing more."""


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """Scheduler and workers in this process: each task has a process of its own all the same, and nothing listens that another user could speak to."""
    import dask
    from distributed import Scheduler, SpecCluster, Worker

    settings = {  # in place of looks at idle threads a hundred times a second, at slow event loops fifty times, at the disk twice
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
    }
    # Pages are served to whoever reaches this machine, even where there is no dashboard.
    unseen = {"start_http_server": lambda *_, **__: None}
    scheduler = {"cls": type("UnseenScheduler", (Scheduler,), unseen), "options": {"protocol": "inproc://"}}
    worker = {"cls": type("UnseenWorker", (Worker,), unseen), "options": {"nthreads": 1, "memory_limit": 0}}
    with (
        dask.config.set(settings),
        SpecCluster(scheduler=scheduler, workers=dict.fromkeys(range(workers), worker), silence_logs=False) as cluster,
    ):
        _closing.clear()
        try:
            yield cluster
        finally:
            _closing.set()
            discard(everything=True)  # a thread waits for its process, and nobody for the thread


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


def _attempt(tasks: Sequence[Task[T]], version: str) -> list[T | InitauditError]:
    """On the worker's machine: results of the tasks in their order, fewer where they took long."""
    if version != __version__:
        raise UsageError(f"engine dask: a worker has initaudit {__version__}, not {version}")
    ends = time.monotonic() + BUNDLE_SECONDS
    results: list[T | InitauditError] = []
    for task in tasks:
        if _closing.is_set() or (results and time.monotonic() > ends):
            break
        try:
            results.append(do(task))
        except InitauditError as error:
            results.append(error)
    return results


@contextmanager
def _connected(client: Any) -> Iterator[None]:
    """What is done within needs the scheduler. Raises LostEngine where it does not answer: Dask waits half a minute for it, and raises one thing or another."""
    if client.status != "running":
        raise LostEngine(GONE)
    try:
        yield
    except (Exception, CancelledError) as error:
        raise LostEngine(GONE) from error


def _results(future: Any, bundled: int) -> list[Any]:
    """Of the tasks of a bundle, in their order; fewer where the others were not begun. Raises LostEngine, UsageError."""
    from distributed import KilledWorker

    if future.status == "cancelled":
        raise LostEngine(GONE)
    try:
        return list(future.result())
    except UsageError:
        raise
    except KilledWorker as error:
        lost = LostWorker(f"its Dask worker was lost: {error}")
    except Exception as error:  # noqa: BLE001  whatever Dask, or its serialisation, raises
        lost = LostWorker(f"its Dask worker failed: {type(error).__name__}: {error}")
    return [lost] * bundled
