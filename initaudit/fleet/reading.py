"""Reading: one run in a store, with what counts of each of its models under the options of today."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from initaudit.config import FILTERS, Config
from initaudit.errors import UsageError
from initaudit.findings import Severity
from initaudit.fleet.noting import Noted, note
from initaudit.formats.printing import visible
from initaudit.judgement.baseline import load_baseline
from initaudit.per_rule import Level
from initaudit.settings.given import ADDING

if TYPE_CHECKING:
    from initaudit.fleet.record import RunRecord
    from initaudit.fleet.row import Row
    from initaudit.fleet.store import Store
    from initaudit.judgement.baseline import Baseline
    from initaudit.settings.given import Given


@dataclass(frozen=True, slots=True)
class Reading:
    """A run, read under its own options and what is `given` beside them."""

    store: Store
    record: RunRecord
    given: tuple[Given, ...] = ()
    """Filters and gates that are added to those of the run, or replace them, as on a command line."""
    options: Mapping[str, Config] = field(default_factory=dict)
    """By path, what counts of a model instead of what counted in the run: one measure for two runs."""
    _accepted: Callable[[str | None], Baseline | None] = field(
        default_factory=lambda: cache(load_baseline), init=False, repr=False, compare=False
    )
    """Reads each baseline once, however many models ask for it."""

    def noted(self) -> Iterator[Noted]:
        """Every model that is finished, in no order, one at a time in memory."""
        of_run = self._of_run()
        for row in self.store.rows(self.record.id):
            config = self.options.get(row.path, of_run[row.options])
            yield note(row, config, self._accepted(config.baseline))

    def filters(self) -> dict[str, Config]:
        """By path, what counts of each planned model."""
        of_run = self._of_run()
        return {line.item.path: of_run[line.options] for line in self.store.plan(self.record.id)}

    def entry(self, row: Row) -> dict[str, Any]:
        """What the JSON document says of the model, as `initaudit check` would under these options. Raises UsageError where the result is gone."""
        from initaudit.fleet.result import entry_of_result  # with what advises, which rows do without

        result = self.store.result(row.key) if row.has_report and row.key is not None else None
        if result is None:
            gone = f"{row.path}: its result is not in the store any more, or damaged; run again"
            raise UsageError(visible(gone if row.has_report else row.reason))
        said = self.record.options[row.options]
        config = self._given(filters_of(said))
        baseline = self._accepted(config.baseline)
        entry = entry_of_result(result, row.path, config, baseline, exit_zero=self.record.exit_zero)
        decided = {name: entry["options"][name] for name in (*FILTERS, "input_shapes")}
        return {**entry, "options": {**said, **decided}}

    def find(self, path: str) -> Row:
        """The row of the model at a path, or at the one path that ends so. Raises UsageError."""
        found = [row for row in self.store.rows(self.record.id) if row.path == path or row.path.endswith(f"/{path}")]
        exact = [row for row in found if row.path == path]
        if len(exact or found) != 1:
            count = f"{len(found)} models end so" if found else "no finished model is called so"
            raise UsageError(f"{visible(path)}: {count} in run {self.record.id}")
        return (exact or found)[0]

    def _of_run(self) -> list[Config]:
        """What counts under each of the options of the run."""
        return [self._given(filters_of(said)) for said in self.record.options]

    def _given(self, config: Config) -> Config:
        values: dict[str, Any] = {}
        for entry in self.given:
            before = values.get(entry.name, getattr(config, entry.name))
            values[entry.name] = (*before, *entry.value) if entry.name in ADDING else entry.value
        return replace(config, **values)


def runs_before(store: Store, run: RunRecord) -> list[RunRecord]:
    """Earlier runs, the latest last."""
    runs = store.runs()
    return runs[: [other.id for other in runs].index(run.id)]


def filters_of(options: Mapping[str, Any]) -> Config:
    """The options in a report that decide what counts of it; the others are at their defaults."""
    levels = tuple(Level(**{**level, "severity": Severity(level["severity"])}) for level in options["severity"])
    return Config(**{**{name: options[name] for name in FILTERS}, "severity": levels})


def in_urgency(noted: Iterable[Noted]) -> Sequence[Noted]:
    """The worst first."""
    return sorted(noted, key=lambda model: model.urgency)
