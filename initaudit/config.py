"""Config: every option of an audit, and where it may come from.

Later wins: defaults, then `[tool.initaudit]` in the nearest pyproject.toml or the nearest initaudit.toml (going up from the
working directory), then environment variables `INITAUDIT_<OPTION>`, then the command line. Every source, the Python interface
among them, goes through the same readers, in `options`.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from initaudit.arrays import read_inputs
from initaudit.errors import UsageError, similar
from initaudit.options import (
    Ignore,
    read_flag,
    read_ignores,
    read_number,
    read_path,
    read_real,
    read_shapes,
    read_size,
    read_text,
    read_words,
)

CONTEXTS = ("auto", "fresh", "trained")
PROBES = ("full", "forward", "none")
SPECTRA = ("natural", "white")
FAIL_ON = ("error", "warning", "never")

DEFAULT_PROVIDER = "CPUExecutionProvider"
DEFAULT_MAX_MEMORY = 4 << 30
"""Bytes the probe's process may hold. A judgement: half of a machine of 8 GiB."""
DEFAULT_TIMEOUT = 120.0
"""Seconds for the probe. A judgement: networks of the size of ResNet-18 need a few (`benchmarks/probe.py`), and a CI job can
wait for two minutes."""

PREFIX = "INITAUDIT_"
"""Of the environment variables that are options."""
DEBUG = "INITAUDIT_DEBUG"
"""The one variable with this prefix that is no option of an audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Options of one audit. Field names are the keys of the configuration file (with `-` for `_`)."""

    select: tuple[str, ...] = ("ALL",)
    """Rules to run: codes, beginnings of codes, names, or ALL."""
    ignore: tuple[Ignore, ...] = ()
    """Findings that are shown as suppressed, with their reason."""
    fail_on: str = "error"
    """Lowest severity that makes the exit code 1: error, warning or never."""
    fail_on_incomplete: bool = False
    """Whether a weight that was not audited, or a signal that was not measured, makes the exit code 1."""
    min_trainability: float | None = None
    """Trainability below which, or without which, the exit code is 1."""
    context: str = "auto"
    """auto, fresh or trained."""
    probe: str = "full"
    """full (forward and backward), forward or none."""
    batch: int | None = None
    """Inputs fed at once; None lets the probe choose (16 or more where the model allows)."""
    seed: int = 0
    """Of inputs, samples and draws; 0 or more."""
    exact: bool = False
    """Measure gradients until each is known within 2 % (standard error), as far as the time limit allows."""
    max_memory: int = DEFAULT_MAX_MEMORY
    """Bytes for the probe's process."""
    timeout: float = DEFAULT_TIMEOUT
    """Seconds for the probe."""
    provider: str = DEFAULT_PROVIDER
    """Execution provider of the installed onnxruntime that runs the network; what it has no kernel for runs on the CPU."""
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of graph inputs by name, where the probe should not choose."""
    input_spectrum: str = "natural"
    """natural (images and sound have the spectra that theirs have in nature) or white (every value independent)."""
    input_data: str | bytes | None = None
    """An .npz file with real inputs by name, or an .npy file with that of the only one; in Python also the arrays, see `initaudit.arrays`."""
    baseline: str | None = None
    """File of accepted findings."""
    against: str | None = None
    """The model before training; layers equal to it are reported (INI602)."""

    def __post_init__(self) -> None:
        """Raises UsageError where a value is not allowed; what may be written as text is read."""
        for option in dataclasses.fields(self):
            object.__setattr__(self, option.name, _read(option.name, getattr(self, option.name)))
        _one_of("context", self.context, CONTEXTS)
        _one_of("probe", self.probe, PROBES)
        _one_of("input-spectrum", self.input_spectrum, SPECTRA)
        _one_of("fail-on", self.fail_on, FAIL_ON)
        if not self.select:
            raise UsageError("select names no rule; ALL selects every one")
        if self.provider != DEFAULT_PROVIDER:
            from onnxruntime import get_available_providers

            installed = get_available_providers()
            if self.provider not in installed:
                raise UsageError(f"provider {self.provider!r} is not installed; onnxruntime has {', '.join(installed)}")
        if self.min_trainability is not None and not 0 <= self.min_trainability <= 1:
            raise UsageError("min-trainability must be between 0 and 1")
        if self.batch is not None and self.batch < 1:
            raise UsageError("batch must be at least 1")
        if self.seed < 0:
            raise UsageError("seed must be at least 0")
        if self.max_memory < 64 << 20:
            raise UsageError("max-memory must be at least 64MiB")
        if self.timeout <= 0:
            raise UsageError("timeout must be positive")


_READERS = {
    "select": read_words,
    "ignore": read_ignores,
    "fail_on_incomplete": read_flag,
    "min_trainability": read_real,
    "batch": read_number,
    "seed": read_number,
    "exact": read_flag,
    "max_memory": read_size,
    "timeout": read_real,
    "input_shapes": read_shapes,
    "input_data": read_inputs,
    "baseline": read_path,
    "against": read_path,
}
"""How the value of an option is read; of the others, as text."""
_PATHS = ("input_data", "baseline", "against")
_OPTIONAL = ("min_trainability", "batch", *_PATHS)
"""May be None."""


def load_config(start: Path | None = None, *, file: Path | None = None, isolated: bool = False) -> Config:
    """Configuration from file and environment. Raises UsageError naming the file or the variable, and the key."""
    values: dict[str, Any] = {}
    path = file or (None if isolated else _find(start or Path.cwd()))
    if path is not None:
        values |= _from_file(path)
    if not isolated:
        values |= _from_environment(os.environ)
    return Config(**values)


def option_named(raw: str) -> str:
    """The field of `Config` that a key such as `fail-on` means. Raises UsageError with the nearest one where there is none."""
    names = [option.name for option in dataclasses.fields(Config)]
    key = raw.replace("-", "_")
    if key not in names:
        raise UsageError(f"unknown option {raw!r}{similar(key, names)}")
    return key


def _find(folder: Path) -> Path | None:
    for directory in (folder, *folder.resolve().parents):
        own = directory / "initaudit.toml"
        if own.is_file():
            return own
        project = directory / "pyproject.toml"
        if project.is_file():
            return project if _table(project) else None
    return None


def _table(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    if path.name != "pyproject.toml" and "initaudit" in document.get("tool", ()):
        raise UsageError(f"{path}: holds the options themselves, without the heading [tool.initaudit]")
    if path.name == "pyproject.toml":
        document = document.get("tool", {}).get("initaudit", {})
    return document if isinstance(document, dict) else {}


def _from_file(path: Path) -> dict[str, Any]:
    """The table's entries; a path in it is relative to the file, wherever the command is run."""
    values = {}
    for raw, item in _table(path).items():
        key, value = _entry(f"{path}: ", raw, item)
        values[key] = str(path.parent / value) if key in _PATHS and value is not None else value
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Options from variables; one that is set to nothing counts as not set, as the shell has it."""
    values = {}
    for variable, text in environment.items():
        if variable.startswith(PREFIX) and variable != DEBUG and text.strip():
            key, value = _entry(f"environment variable {variable}: ", variable.removeprefix(PREFIX).lower(), text)
            values[key] = value
    return values


def _entry(where: str, raw: str, item: Any) -> tuple[str, Any]:
    """One option, read. Raises UsageError that begins with `where`."""
    try:
        key = option_named(raw)
        return key, _read(key, item)
    except UsageError as error:
        raise UsageError(f"{where}{error}") from error


def _read(key: str, value: Any) -> Any:
    """The value of an option. Raises UsageError naming it."""
    if value is None and key in _OPTIONAL:
        return None
    try:
        return _READERS.get(key, read_text)(value)
    except UsageError as error:
        raise UsageError(f"option {key.replace('_', '-')!r}: {error}") from error


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} must be one of {', '.join(allowed)}, not {value!r}{similar(value, allowed)}")
