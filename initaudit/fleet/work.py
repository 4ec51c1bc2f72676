"""What a worker does with one line of a plan: find the result, or make it and keep it, and say in a row what became of it."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from initaudit.errors import InitauditError, UnreadableModel, internal_error
from initaudit.fleet.attempts import begin, end
from initaudit.fleet.keys import content_of, key_of, recall, remember
from initaudit.fleet.origin import LocalOrigin, Origin, origin_of
from initaudit.fleet.place import StoreError
from initaudit.fleet.remote import fetched
from initaudit.fleet.row import AUDITED, CACHED, CRASHED, INTERNAL_ERROR, UNREADABLE, Row
from initaudit.fleet.store import Store
from initaudit.task import Task

if TYPE_CHECKING:
    from initaudit.fleet.keys import Content
    from initaudit.fleet.order import Order
    from initaudit.model.load import Model
    from initaudit.task import Watch


def task_of(order: Order) -> Task[Row]:
    """The order as a task for any engine."""
    task = Task(work, (order,), order.care.limits(order.config), imports="initaudit.auditor")
    return replace(task, folder=None) if order.is_anywhere else task


def work(order: Order, watch: Watch) -> Row:
    """Do it. Raises StoreError, MemoryError, and else only what ends a process."""
    store = _store(order.store)
    item, number, worker = order.planned.item, order.planned.number, _worker()
    most = order.care.retries + 1
    blank = replace(_blank(order), worker=worker)
    attempt = begin(store.place, order.run_id, number, worker, most)
    try:
        if attempt > most:
            return lost_row(
                order, CRASHED, f"was begun {most} times, and each time its process or machine was lost", most
            )
        return replace(_done(order, store, watch, blank), attempts=attempt)
    except (StoreError, MemoryError):
        raise
    except InitauditError as error:
        return _failed(blank, UNREADABLE, str(error), attempt)
    except Exception as error:  # noqa: BLE001  a bug, and still one line
        return _failed(blank, INTERNAL_ERROR, f"{item.path}: {internal_error(error)}", attempt)
    finally:
        end(store.place, order.run_id, number, min(attempt, most))


def lost_row(order: Order, status: str, error: str, attempts: int) -> Row:
    """Of a model that nobody is left to speak for."""
    return _failed(_blank(order), status, f"{order.planned.item.path}: {error}", attempts)


def _blank(order: Order) -> Row:
    planned = order.planned
    return Row(
        number=planned.number,
        path=planned.item.path,
        status=UNREADABLE,
        options=planned.options,
        bytes=planned.item.size or 0,
    )


def _failed(blank: Row, status: str, error: str, attempts: int) -> Row:
    return replace(blank, status=status, error=error, reason=error, attempts=attempts)


def _done(order: Order, store: Store, watch: Watch, blank: Row) -> Row:
    """The row of a model whose result is in the store, where it may have been before."""
    origin = origin_of(order.planned.item.path)
    watch.doing("looking for an earlier result")
    content = recall(store.place, origin)
    if content is not None and (found := _known(order, store, blank, key_of(content, order.options))):
        return found
    with _loaded(order, origin, watch) as (model, read):
        key = key_of(read.digest, order.options)
        found = _known(order, store, blank, key)
        if found is None:
            result = _audited(order, model, watch)
            if any(origin.state(location) != state for location, state in read.states.items()):
                raise UnreadableModel(f"{order.planned.item.path}: changed while it was read")
            store.write_result(key, result)
            found = _row(order, result, replace(blank, status=AUDITED, key=key))
        remember(store.place, origin, read)
        return found


def _known(order: Order, store: Store, blank: Row, key: str) -> Row | None:
    """The row, where the store has the result already; one that a rule failed in is made again in another run."""
    result = store.result(key)
    if result is None or (result["kept"]["facts"]["failed_rules"] and result["run"] != order.run_id):
        return None
    is_own = (result["run"], result["number"]) == (order.run_id, order.planned.number)
    return _row(order, result, replace(blank, status=AUDITED if is_own else CACHED, key=key))


@contextmanager
def _loaded(order: Order, origin: Origin, watch: Watch) -> Iterator[tuple[Model, Content]]:
    """The model, and what its files hold."""
    from initaudit.model.load import load_model

    path = order.planned.item.path
    weighs = watch.weighs if order.care.file_timeout is None else lambda size: None
    before = origin.state()
    watch.doing("reading")
    if isinstance(origin, LocalOrigin):
        model = load_model(path)
        weighs(2 * model.bytes_on_disk)  # hashed, and weighed
        yield model, content_of(model, origin, before)
        return
    in_place = order.config.probe == "none"
    with fetched(path, order.care.max_bytes, weighs, in_place=in_place) as file:
        try:
            model = load_model(file)
        except InitauditError as error:
            raise type(error)(str(error).replace(str(file), path)) from error
        weighs(2 * model.bytes_on_disk)
        yield model, content_of(model, origin, before)


def _audited(order: Order, model: Model, watch: Watch) -> dict[str, Any]:
    """The result of an audit, under no filter."""
    from initaudit.auditor import examine
    from initaudit.engines.auditing import fitting_shapes
    from initaudit.report.kept import keep
    from initaudit.report.run import run
    from initaudit.version import __version__

    config, _ = fitting_shapes(model, order.config)
    watch.doing("measuring the weights")
    kept = keep(examine(model, config.without_filters, watch.doing, readers=order.care.readers))
    return {
        "run": order.run_id,
        "number": order.planned.number,
        "worker": _worker(),
        "version": __version__,
        "versions": run()["versions"],
        "bytes": model.bytes_on_disk,
        "input_shapes": {name: list(shape) for name, shape in config.input_shapes.items()},
        "kept": kept,
    }


def _row(order: Order, result: Mapping[str, Any], blank: Row) -> Row:
    """What the result says under the filters and gates of the run. Raises UsageError where they cannot be followed."""
    from initaudit.fleet.noting import row_findings
    from initaudit.fleet.result import entry_of_result
    from initaudit.judgement.baseline import load_baseline

    path, unfiltered = order.planned.item.path, order.config.without_filters
    entry = entry_of_result(result, path, order.config, load_baseline(order.config.baseline), exit_zero=order.exit_zero)
    found = entry if unfiltered is order.config else entry_of_result(result, path, unfiltered, None, exit_zero=False)
    verdict, coverage = entry["verdict"], entry["coverage"]
    active = [finding for finding in entry["findings"] if finding["suppressed"] is None]
    return replace(
        blank,
        verdict=verdict["status"],
        context=verdict["context"],
        trainability=verdict["trainability"],
        reason=verdict["reason"],
        counts=entry["counts"],
        rules=dict(Counter(finding["code"] for finding in active)),
        exit_code=entry["gate"]["exit_code"],
        findings=row_findings(found),
        failed_rules=entry["failed_rules"],
        input_shapes=list(result["input_shapes"]),
        probe=entry["probe"]["status"],
        parameters=coverage["parameters"],
        audited=coverage["audited"],
        layers=len(entry["layers"]),
        bytes=result["bytes"],
        seconds=entry["timing"]["seconds"] if blank.status == AUDITED else None,
    )


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@lru_cache(maxsize=4)
def _store(address: str) -> Store:
    return Store(address)
