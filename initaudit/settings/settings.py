"""Settings: the options in force, each with the sources that it comes from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from initaudit.config import Config
from initaudit.errors import UsageError
from initaudit.files import current_folder
from initaudit.rule import check_selectors
from initaudit.settings.given import ADDING, AUDIT_OPTIONS, DEFAULT, RUN_OPTIONS, Given, Source
from initaudit.settings.globs import fits
from initaudit.settings.run import RunOptions
from initaudit.settings.sources import find_file, read_environment, read_file

OUTPUTS = ("output_format", "output")
"""Options that belong together: both come from one source."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all sources give, the weakest first."""

    given: tuple[Given, ...]
    file: Path | None = None
    """The configuration file."""

    def config(self, model: str | None = None) -> Config:
        """The options of the audit of the model at this path; without one, those that hold for every model."""
        return Config(**self._values(AUDIT_OPTIONS, model))

    @property
    def run(self) -> RunOptions:
        """The options of the run."""
        return RunOptions(**self._values(RUN_OPTIONS, None))

    @property
    def names(self) -> tuple[str, ...]:
        """Every option, those of an audit first."""
        return (*AUDIT_OPTIONS, *RUN_OPTIONS)

    def without(self, name: str) -> Settings:
        """The same, with one option at its default."""
        return replace(self, given=tuple(entry for entry in self.given if entry.name != name))

    def sources(self, name: str, model: str | None = None) -> tuple[tuple[Source, Any], ...]:
        """Source and value of each piece of an option; one piece but for those that add up."""
        given = self._in_force(name, model)
        if not given:
            default = getattr(RunOptions() if name in RUN_OPTIONS else Config(), name)
            return ((DEFAULT, default),)
        return tuple((entry.source, entry.value) for entry in given)

    def globs(self, model: str) -> tuple[str, ...]:
        """The tables under `files` that hold for the model."""
        return tuple(dict.fromkeys(g.files for g in self.given if g.files is not None and fits_model(g.files, model)))

    def _values(self, names: Iterable[str], model: str | None) -> dict[str, Any]:
        values = {}
        for name in names:
            pieces = [entry.value for entry in self._in_force(name, model)]
            if pieces:
                values[name] = _sum(pieces) if name in ADDING else pieces[-1]
        return values

    def _in_force(self, name: str, model: str | None) -> list[Given]:
        given = [g for g in self.given if g.files is None or (model is not None and fits_model(g.files, model))]
        if name in OUTPUTS:  # formats and files belong together: those of one source
            kind = next((g.source.kind for g in reversed(given) if g.name in OUTPUTS), None)
            given = [g for g in given if g.source.kind == kind]
        mine = [g for g in given if g.name == name]
        return mine if name in ADDING else mine[-1:]


def _sum(pieces: Sequence[Any]) -> Any:
    if isinstance(pieces[0], Mapping):
        return {key: value for piece in pieces for key, value in piece.items()}
    return tuple(item for piece in pieces for item in piece)


def fits_model(glob: str, model: str) -> bool:
    """Whether a glob is like the path of a model, or the end of it."""
    return glob == model or fits(Path(model).absolute(), glob)


def load_settings(
    start: Path | None = None, *, file: Path | None = None, isolated: bool = False, command_line: Sequence[Given] = ()
) -> Settings:
    """From all sources. Raises UsageError that names the source; also where a rule is meant that there is not.

    Args:
        start: folder where the search for a configuration file begins; the working directory where None.
        file: the configuration file, instead of the nearest one.
        isolated: neither file nor environment is read.
        command_line: what the command line gives.
    """
    if isolated:
        found, given = file, read_file(file) if file else ()
    else:
        environment = read_environment(os.environ)
        named = os.environ.get("INITAUDIT_CONFIG", "").strip()
        folder = start or current_folder()
        found = file or (Path(named) if named else None) or (find_file(folder) if folder and not named else None)
        given = (*(read_file(found) if found else ()), *environment)
    settings = Settings(given=(*given, *command_line), file=found)
    for entry in settings.given:
        if entry.name in AUDIT_OPTIONS:
            _check_rules(entry)
    return settings


def _check_rules(entry: Given) -> None:
    try:
        check_selectors(Config(**{entry.name: entry.value}))
    except UsageError as error:
        raise UsageError(f"{entry.source}: {error}") from error


def load_config(start: Path | None = None, *, file: Path | None = None, isolated: bool = False) -> Config:
    """The options of an audit as file and environment give them."""
    return load_settings(start, file=file, isolated=isolated).config()
