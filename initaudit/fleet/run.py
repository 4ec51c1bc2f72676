"""The run: every line of the plan comes to exactly one row, whatever becomes of workers, machines, and this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.errors import InitauditError, LostWorker
from initaudit.fleet import attempts
from initaudit.fleet.order import Order
from initaudit.fleet.planning import options_of
from initaudit.fleet.row import CRASHED, Row
from initaudit.fleet.work import lost_row, task_of

if TYPE_CHECKING:
    from initaudit.engine import Engine
    from initaudit.fleet.indexing import IndexWriter
    from initaudit.fleet.order import Care
    from initaudit.fleet.plan import Shard
    from initaudit.fleet.record import RunRecord
    from initaudit.fleet.store import Store
    from initaudit.task import Task

MOST_LOSSES = 10
"""Workers that may be lost with a model which none of them had begun, before it is given up. A judgement: so many have a cause of their own."""


class Run:
    """One shard of a run. What it holds in memory is a byte a planned line, and what is being done."""

    def __init__(self, store: Store, record: RunRecord, shard: Shard, care: Care) -> None:
        """Raises UsageError where a file that the options name cannot be read."""
        self._store, self._record, self._shard, self._care = store, record, shard, care
        self._options = options_of(record)
        self._done = bytearray(record.planned)
        self._losses: Counter[int] = Counter()
        self._again: set[int] = set()
        """Lines whose worker was lost, to be done once more."""

    def rows(self, engine: Engine) -> Iterator[Row]:
        """All rows of the shard: those that were there already, then each as its model is finished, when it is in the index.

        Closing the iterator ends what is being done and keeps what is finished. Raises StoreError, LostEngine, and what else the engine raises
        where it cannot work at all.
        """
        self._store.sweep()
        with self._store.index(self._record.id, self._shard) as index:
            for row in self._store.rows(self._record.id, self._shard):
                self._done[row.number] = True
                yield row
            yield from self._round(engine, index, None)
            while self._again:
                chosen, self._again = self._again, set()
                yield from self._round(engine, index, chosen)

    def _round(self, engine: Engine, index: IndexWriter, chosen: set[int] | None) -> Iterator[Row]:
        """The rows of lines that are not done, or of some of them."""
        running: dict[int, Order] = {}

        def tasks() -> Iterator[Task[Row]]:
            for i, order in enumerate(self._orders(chosen)):
                running[i] = order
                yield task_of(order)

        for i, result in engine.run(tasks()):
            row = self._row(running.pop(i), result)
            if row is not None:
                index.add(row)
                self._done[row.number] = True
                yield row

    def _orders(self, chosen: set[int] | None) -> Iterator[Order]:
        for planned in self._store.plan(self._record.id):
            number = planned.number
            if not self._shard.has(number) or self._done[number] or (chosen is not None and number not in chosen):
                continue
            config, digest = self._options[planned.options]
            yield Order(
                store=self._store.address,
                run_id=self._record.id,
                planned=planned,
                config=config,
                options=digest,
                care=self._care,
                exit_zero=self._record.exit_zero,
            )

    def _row(self, order: Order, result: Row | InitauditError) -> Row | None:
        """The row; None where it is tried once more."""
        if isinstance(result, Row):
            return result
        if not isinstance(result, LostWorker):
            raise result
        number, most = order.planned.number, self._care.retries + 1
        self._losses[number] += 1
        begun = attempts.begun(self._store.place, self._record.id, number, most)
        if result.cause == CRASHED and begun < most and self._losses[number] < begun + MOST_LOSSES:
            self._again.add(number)
            return None
        attempts.end(self._store.place, self._record.id, number, begun)
        return lost_row(order, result.cause, str(result), max(begun, self._losses[number]))
