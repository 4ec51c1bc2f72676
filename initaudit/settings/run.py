"""RunOptions: the options of a run over any number of models that are none of an audit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.errors import UsageError, similar
from initaudit.options import (
    at_least,
    one_of,
    read_flag,
    read_layer_names,
    read_number,
    read_positive,
    read_text,
    read_words,
)
from initaudit.redrawing.choice import BIASES, MODES
from initaudit.settings.globs import read_globs


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One report to write."""

    file: str | None = None
    """None for stdout."""
    format: str | None = None
    """None for the one that the suffix means."""

    def __str__(self) -> str:
        return " to ".join(part for part in (self.format, self.file) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Field names are the keys of the configuration file (with `-` for `_`)."""

    output_format: tuple[str, ...] = ()
    """Formats of the reports; the n-th belongs to the n-th output."""
    output: tuple[Output, ...] = ()
    """Files of the reports: paths, or tables with `file` and `format`."""
    exclude: tuple[str, ...] = ()
    """Globs over paths of models that are left out, with `**` for any number of folders."""
    jobs: int = 1
    """Models audited at the same time."""
    exit_zero: bool = False
    """Exit 0 even with findings."""
    statistics: bool = False
    """Count findings per rule, and list chi of each layer."""
    quiet: bool = False
    """No progress, no summary and no notes on stderr."""
    verbose: bool = False
    """Show information-level findings and every layer."""
    color: bool | None = None
    """Colour in the terminal; None for where a person reads."""
    scheme: tuple[str, ...] = ("auto",)
    """What `fix` draws weights by; `GLOB=SCHEME` for some layers."""
    mode: str = "resample"
    """resample or rescale: whether `fix` draws weights anew or multiplies them."""
    gain: float = 1.0
    """Factor on the weights that `fix` draws."""
    bias: str = "auto"
    """auto, zero or keep: the biases of the layers that `fix` draws."""
    fix_exclude: tuple[str, ...] = ()
    """Globs over layers that `fix` leaves as they are."""


def _read_outputs(value: Any) -> tuple[Output, ...]:
    if isinstance(value, str):
        return tuple(Output(file=word) for word in read_words(value))
    if isinstance(value, Mapping):
        return (_read_output(value),)
    if not isinstance(value, (list, tuple)):
        raise UsageError(f"{value!r} is no list of files")
    return tuple(map(_read_output, value))


def _read_output(item: Any) -> Output:
    if isinstance(item, Output):
        return item
    if not isinstance(item, Mapping):
        return Output(file=read_text(item))
    known = [field.name for field in dataclasses.fields(Output)]
    for key in item:
        if key not in known:
            raise UsageError(f"an output has no {key!r}{similar(str(key), known)}")
    if not item:
        raise UsageError("an output has a file or a format")
    return Output(**{key: read_text(text) for key, text in item.items()})


def _read_schemes(value: Any) -> tuple[str, ...]:
    from initaudit.initialisation.spelling import read_schemes

    return read_schemes(value)


RUN_READERS: Mapping[str, Callable[[Any], Any]] = {
    "output_format": read_words,
    "output": _read_outputs,
    "exclude": read_globs,
    "jobs": at_least(1, read_number),
    "exit_zero": read_flag,
    "statistics": read_flag,
    "quiet": read_flag,
    "verbose": read_flag,
    "color": read_flag,
    "scheme": _read_schemes,
    "mode": one_of(*MODES),
    "gain": read_positive,
    "bias": one_of(*BIASES),
    "fix_exclude": read_layer_names,
}
"""How the value of each option is read."""
