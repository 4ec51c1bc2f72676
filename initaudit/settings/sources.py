"""The two sources beside the command line: a configuration file and the environment."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from initaudit.config import PATHS
from initaudit.errors import UsageError, similar
from initaudit.files import current_folder
from initaudit.settings.given import AUDIT_OPTIONS, ENVIRONMENT, FILE, RUN_OPTIONS, Given, Source, read_given
from initaudit.settings.lines import Lines, line_of, lines_of

OWN_FILE = "initaudit.toml"
PROJECT_FILE = "pyproject.toml"

SECTION = "[tool.initaudit]"
"""Of the project file."""
MISSPELT = 0.75
"""Likeness (difflib's ratio) from which on a name is taken for initaudit misspelt. A judgement: one with two letters left out (0.88) or out of
place (0.78) is, while `audit` (0.71) and `pip-audit` (0.67) are tools of their own."""

PREFIX = "INITAUDIT_"
"""Of the environment variables that are options."""
ONE_RUN = (
    "all", "dry_run", "export_weights", "force", "in_place", "isolated", "keep_going", "layers", "prune", "undo", "update",
)  # fmt: skip
"""Options of commands that neither file nor variable may give: what is written, replaced or forced must be seen on the command line."""
OTHER_VARIABLES = ("INITAUDIT_DEBUG", "INITAUDIT_CONFIG")
"""Variables with this prefix that are no options of an audit or a run."""


def find_file(folder: Path) -> Path | None:
    """The nearest configuration file, from `folder` upwards; a project file that says nothing of initaudit is passed over.

    Raises UsageError where a folder has two, or a section that is nearly called initaudit.
    """
    for directory in (folder, *folder.resolve().parents):
        own, project = directory / OWN_FILE, directory / PROJECT_FILE
        has_section = project.is_file() and _has_section(project, _parsed(project))
        if own.is_file() and has_section:
            raise UsageError(
                f"{_shown(own)} and {SECTION} in {_shown(project)} are two configurations of one folder; leave one"
            )
        if own.is_file() or has_section:
            return project if has_section else own
    return None


def read_file(path: Path) -> tuple[Given, ...]:
    """The options of a configuration file, those for single models last. Raises UsageError that names the file and the line.

    A path in it is relative to the file, wherever the command is run.
    """
    document = _parsed(path)
    outer: tuple[str, ...] = ()
    if path.name == PROJECT_FILE:
        if not _has_section(path, document):
            raise UsageError(f"{_shown(path)}: has no section {SECTION}")
        outer = ("tool", "initaudit")
        document = document["tool"]["initaudit"]
        if not isinstance(document, dict):
            raise UsageError(f"{_shown(path)}: tool.initaudit is no table")
    elif "initaudit" in document.get("tool", ()):
        raise UsageError(f"{_shown(path)}: holds the options themselves, without the heading [tool.initaudit]")
    lines = lines_of(path.read_text(encoding="utf-8"))
    given = [*_entries(path, document, outer, lines, files=None)]
    for glob, table in _files(path, document.get("files", {}), line_of(lines, (*outer, "files"))).items():
        given += _entries(path, table, (*outer, "files", glob), lines, files=glob)
    return tuple(_beside(path, entry) for entry in given)


def read_environment(environment: Mapping[str, str]) -> tuple[Given, ...]:
    """Options from variables; one that is set to nothing counts as not set, as the shell has it. Raises UsageError that names the variable."""
    given: list[Given] = []
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES or not text.strip():
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in ONE_RUN:
            raise UsageError(
                f"environment variable {variable}: what one run does to files is for the command line alone"
            )
        if name not in (*AUDIT_OPTIONS, *RUN_OPTIONS):
            known = [option.upper() for option in (*AUDIT_OPTIONS, *RUN_OPTIONS)]
            nearest = similar(name, known).replace("did you mean ", f"did you mean {PREFIX}")
            raise UsageError(f"environment variable {variable} is no option{nearest}")
        given += read_given(name, text, Source(ENVIRONMENT, variable))
    return tuple(given)


def _has_section(path: Path, document: Mapping[str, Any]) -> bool:
    """Whether a project file has options. Raises UsageError where a section of it is nearly called so: its options would be in force nowhere."""
    tools = document.get("tool")
    tools = tools if isinstance(tools, dict) else {}
    for keys in (*((key,) for key in document), *(("tool", key) for key in tools)):
        likeness = SequenceMatcher(None, keys[-1].lower(), "initaudit").ratio()
        if keys != ("tool", "initaudit") and likeness >= MISSPELT:
            place = _place(path, line_of(lines_of(path.read_text(encoding="utf-8")), keys))
            raise UsageError(f"{place}: no section [{'.'.join(keys)}] is read; did you mean {SECTION}?")
    return "initaudit" in tools


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{_shown(path)}: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{_shown(path)}: {error}") from error


def _entries(
    path: Path, table: Mapping[str, Any], outer: tuple[str, ...], lines: Lines, *, files: str | None
) -> Iterator[Given]:
    for key, value in table.items():
        if key == "files" and files is None:
            continue
        parts: list[tuple[str | None, Any]] = [(None, value)]
        if key == "layers" and isinstance(value, dict):
            parts = [(glob, {glob: inner}) for glob, inner in value.items()]
        for layers, part in parts:
            keys = (key,) if layers is None else (key, layers)
            place = _place(path, line_of(lines, (*outer, *keys)))
            yield from read_given(key, part, Source(FILE, place), files=files, layers=layers)


def _files(path: Path, value: Any, line: int | None) -> Mapping[str, Mapping[str, Any]]:
    """Glob over models -> options."""
    if not isinstance(value, dict) or not all(isinstance(table, dict) for table in value.values()):
        raise UsageError(f'{_place(path, line)}: files holds a table for each glob, such as [files."encoder*.onnx"]')
    return value


def _beside(path: Path, given: Given) -> Given:
    """With its paths as seen from the folder of the configuration file."""
    if given.name == "output":
        outputs = tuple(
            replace(output, file=str(path.parent / output.file)) if output.file not in (None, "-") else output
            for output in given.value
        )
        return replace(given, value=outputs)
    return replace(given, value=str(path.parent / given.value)) if given.name in PATHS else given


def _place(path: Path, line: int | None) -> str:
    return _shown(path) if line is None else f"{_shown(path)}:{line}"


def _shown(path: Path) -> str:
    """As seen from the working directory, where it lies below."""
    here = current_folder()
    within = here is not None and path.absolute().is_relative_to(here)
    return str(path.absolute().relative_to(here)) if here is not None and within else str(path)
