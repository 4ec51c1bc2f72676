"""What a person sees of a run while it goes on, and what is said of it in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from initaudit.cli.interruption import interruptible
from initaudit.cli.progress import progress
from initaudit.errors import InitauditError
from initaudit.fleet.row import STATUSES
from initaudit.formats.printing import visible

if TYPE_CHECKING:
    from initaudit.fleet.plan import Shard
    from initaudit.fleet.record import RunRecord
    from initaudit.fleet.row import Row

EXIT_UNFINISHED = 3
"""Models are left without a row, and no signal is the cause: 0, 1 and 2 say something about all of them."""
VERDICTS = ("fail", "warn", "pass")
"""The worst first; what has none has a status that says so."""


class Tally:
    """What is counted of rows."""

    def __init__(self) -> None:
        self.rows = 0
        self.statuses: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.exit_code = 0
        """The worst of all."""

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        self.statuses[row.status] += 1
        self.verdicts[row.verdict] += 1
        self.exit_code = max(self.exit_code, row.exit_code)

    def text(self) -> str:
        """`250 audited, 45 cached, 1 timeout: 12 fail, 30 warn, 253 pass`."""
        statuses = ", ".join(f"{self.statuses[s]:,} {s}" for s in STATUSES if self.statuses[s])
        verdicts = ", ".join(f"{self.verdicts[v]:,} {v}" for v in VERDICTS if self.verdicts[v])
        return ": ".join(part for part in (statuses, verdicts) if part)


def followed(rows: Iterator[Row], record: RunRecord, shard: Shard, *, quiet: bool) -> int:
    """Take the rows of a run, tell of them on stderr, and give the exit code."""
    planned = shard.size(record.planned)
    tally = Tally()
    broken: InitauditError | None = None
    with interruptible() as interruption:
        try:
            _take(interruption.until(rows), tally, planned, quiet=quiet)
        except InitauditError as error:
            broken = error
        with suppress(KeyboardInterrupt):
            rows.close()  # type: ignore[attr-defined]  # of a generator: what is being done is ended, what is finished is kept
    if broken is not None:
        click.echo(f"initaudit: error: {visible(str(broken))}", err=True)
    is_whole = tally.rows == planned
    if not quiet or not is_whole:
        counted = f"{tally.rows:,} of {planned:,} models"
        click.echo(": ".join(filter(None, (f"run {record.id}", counted, tally.text()))), err=True)
    if is_whole and broken is None:
        return tally.exit_code
    click.echo("initaudit: not finished; the same command goes on from here", err=True)
    return EXIT_UNFINISHED if interruption.signal is None else 128 + interruption.signal


def _take(rows: Iterable[Row], tally: Tally, planned: int, *, quiet: bool) -> None:
    with progress(planned, quiet=quiet) as line:
        for row in rows:
            tally.add(row)
            if row.error is not None:
                click.echo(f"initaudit: error: {visible(row.error)}", err=True)
            if line is not None:
                line.of(tally.rows, row.path)(row.status if row.error is not None else row.verdict)
