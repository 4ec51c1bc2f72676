"""Config: every option of an audit. Where it may come from is the business of `settings`.

Every source, the Python interface among them, goes through the same readers, in `options` and `per_rule`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from initaudit.arrays import read_inputs
from initaudit.errors import UsageError
from initaudit.options import (
    Ignore,
    at_least,
    one_of,
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
from initaudit.per_rule import Level, Limit, read_levels, read_limits

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Options of one audit. Field names are the keys of the configuration file (with `-` for `_`)."""

    select: tuple[str, ...] = ("ALL",)
    """Rules to run: codes, beginnings of codes, names, or ALL."""
    ignore: tuple[Ignore, ...] = ()
    """Findings that are shown as suppressed, with their reason."""
    severity: tuple[Level, ...] = ()
    """Severities of findings that differ from what their rules say; of several, the last counts."""
    threshold: tuple[Limit, ...] = ()
    """Thresholds that differ from those of the rules; of several, the last counts."""
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
            value = getattr(self, option.name)
            if value is None and option.name in _OPTIONAL:
                continue
            try:
                object.__setattr__(self, option.name, READERS[option.name](value))
            except UsageError as error:
                raise UsageError(f"option {option.name.replace('_', '-')!r}: {error}") from error

    @property
    def is_whole(self) -> bool:
        """Whether every rule looks at everything it can: only then is what was not found not there."""
        return "ALL" in (word.upper() for word in self.select) and self.probe == "full"

    @property
    def without_filters(self) -> Config:
        """The same, under which all findings count."""
        differing = any(getattr(self, name) != value for name, value in FILTERS.items())
        return dataclasses.replace(self, **FILTERS) if differing else self


def _read_select(value: Any) -> tuple[str, ...]:
    words = read_words(value)
    if not words:
        raise UsageError("names no rule; ALL selects every one")
    return words


def _read_share(value: Any) -> float:
    share = read_real(value)
    if not 0 <= share <= 1:
        raise UsageError(f"must be between 0 and 1, not {value}")
    return share


def _read_seconds(value: Any) -> float:
    seconds = read_real(value)
    if seconds <= 0:
        raise UsageError(f"must be more than 0 seconds, not {value}")
    return seconds


def _read_provider(value: Any) -> str:
    provider = read_text(value)
    if provider != DEFAULT_PROVIDER:
        from onnxruntime import get_available_providers

        installed = get_available_providers()
        if provider not in installed:
            raise UsageError(f"{provider!r} is not installed; onnxruntime has {', '.join(installed)}")
    return provider


READERS: Mapping[str, Callable[[Any], Any]] = {
    "select": _read_select,
    "ignore": read_ignores,
    "severity": read_levels,
    "threshold": read_limits,
    "fail_on": one_of(*FAIL_ON),
    "fail_on_incomplete": read_flag,
    "min_trainability": _read_share,
    "context": one_of(*CONTEXTS),
    "probe": one_of(*PROBES),
    "batch": at_least(1, read_number),
    "seed": at_least(0, read_number),
    "exact": read_flag,
    "max_memory": at_least(64 << 20, read_size, "64MiB"),
    "timeout": _read_seconds,
    "provider": _read_provider,
    "input_shapes": read_shapes,
    "input_spectrum": one_of(*SPECTRA),
    "input_data": read_inputs,
    "baseline": read_path,
    "against": read_path,
}
"""How the value of each option is read."""
FILTERS: Mapping[str, Any] = {
    "select": ("ALL",),
    "ignore": (),
    "severity": (),
    "baseline": None,
    "fail_on": "error",
    "fail_on_incomplete": False,
    "min_trainability": None,
}
"""Options that decide what of the findings counts, and change nothing of what is found; with values under which all do."""
PATHS = ("input_data", "baseline", "against")
"""Options that are paths."""
_OPTIONAL = ("min_trainability", "batch", *PATHS)
"""May be None."""
