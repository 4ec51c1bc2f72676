"""Config: every option of an audit, and where it may come from.

Later wins: defaults, then `[tool.initaudit]` in the nearest pyproject.toml or the nearest initaudit.toml (going up from the
working directory), then environment variables `INITAUDIT_<OPTION>` (text options only), then the command line.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initaudit.errors import UsageError
from initaudit.findings import matches

if TYPE_CHECKING:
    from initaudit.findings import Finding

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
class Ignore:
    """A finding that is accepted, and why."""

    rule: str
    """Code, beginning of a code, name, or ALL."""
    layer: str = "*"
    """Glob over the layer's name or title."""
    reason: str = "ignored by configuration"

    def applies(self, finding: Finding) -> bool:
        """Whether this entry suppresses `finding`."""
        from fnmatch import fnmatchcase

        subjects = [s for s in (finding.layer, finding.subject, finding.initializer) if s] or [""]
        return matches(finding, self.rule) and any(fnmatchcase(s, self.layer) for s in subjects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Options of one audit. Field names are the keys of the configuration file (with `-` for `_`)."""

    select: tuple[str, ...] = ("ALL",)
    """Rules to run: codes, beginnings of codes, names, or ALL."""
    ignore: tuple[Ignore, ...] = ()
    """Findings that are shown as suppressed, with their reason."""
    fail_on: str = "error"
    """Lowest severity that makes the exit code 1: error, warning or never."""
    context: str = "auto"
    """auto, fresh or trained."""
    probe: str = "full"
    """full (forward and backward), forward or none."""
    batch: int | None = None
    """Inputs fed at once; None lets the probe choose (16 or more where the model allows)."""
    seed: int = 0
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
    input_data: str | None = None
    """An .npz file with real inputs by name."""
    baseline: str | None = None
    """File of accepted findings."""
    against: str | None = None
    """The model before training; layers equal to it are reported (INI602)."""

    def __post_init__(self) -> None:
        """Raises UsageError where a value is not allowed."""
        _one_of("context", self.context, CONTEXTS)
        _one_of("probe", self.probe, PROBES)
        _one_of("input-spectrum", self.input_spectrum, SPECTRA)
        _one_of("fail-on", self.fail_on, FAIL_ON)
        if self.provider != DEFAULT_PROVIDER:
            from onnxruntime import get_available_providers

            installed = get_available_providers()
            if self.provider not in installed:
                raise UsageError(f"provider {self.provider!r} is not installed; onnxruntime has {', '.join(installed)}")
        if self.batch is not None and self.batch < 1:
            raise UsageError("batch must be at least 1")
        if self.max_memory < 64 << 20:
            raise UsageError("max-memory must be at least 64MiB")
        if self.timeout <= 0:
            raise UsageError("timeout must be positive")


def load_config(start: Path | None = None, *, file: Path | None = None, isolated: bool = False) -> Config:
    """Configuration from file and environment. Raises UsageError naming the file and the key."""
    values: dict[str, Any] = {}
    path = file or (None if isolated else _find(start or Path.cwd()))
    if path is not None:
        values |= _from_file(path)
    if not isolated:
        values |= _from_environment(os.environ)
    return Config(**values)


def parse_size(text: str) -> int:
    """Bytes from `512MiB`, `4GiB`, `4GB` or a plain number. Raises UsageError."""
    import re

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    if not match:
        raise UsageError(f"{text!r} is not a size such as 512MiB or 4GiB")
    base = 1024 if match[3] or not match[2] else 1000
    return int(float(match[1]) * base ** " KMGT".index(match[2].upper() or " "))


def parse_ignore(text: str) -> Ignore:
    """`INI103`, `INI103:encoder.*` or `INI103:encoder.*=tied on purpose`."""
    selector, _, reason = text.partition("=")
    rule, _, layer = selector.partition(":")
    return Ignore(rule=rule.strip(), layer=layer.strip() or "*", reason=reason.strip() or "ignored by configuration")


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
    if path.name == "pyproject.toml":
        document = document.get("tool", {}).get("initaudit", {})
    return document if isinstance(document, dict) else {}


def _from_file(path: Path) -> dict[str, Any]:
    return {key: value for raw, item in _table(path).items() for key, value in [_entry(str(path), raw, item)]}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field_ in dataclasses.fields(Config):
        text = environment.get(f"INITAUDIT_{field_.name.upper()}")
        if text is not None and field_.name not in ("ignore", "input_shapes"):
            item: Any = text.split(",") if field_.name == "select" else text
            key, value = _entry("environment", field_.name, item)
            values[key] = value
    return values


def _entry(where: str, raw: str, item: Any) -> tuple[str, Any]:
    """One key of the configuration, checked and converted."""
    key = raw.replace("-", "_")
    kinds = {f.name for f in dataclasses.fields(Config)}
    if key not in kinds:
        raise UsageError(f"{where}: unknown option {raw!r}")
    try:
        if key == "select":
            return key, tuple(str(s) for s in ([item] if isinstance(item, str) else item))
        if key == "ignore":
            return key, tuple(parse_ignore(i) if isinstance(i, str) else Ignore(**i) for i in item)
        if key == "max_memory":
            return key, item if isinstance(item, int) else parse_size(item)
        if key in ("batch", "seed"):
            return key, int(item)
        if key == "exact":
            return key, _truth(item)
        if key == "timeout":
            return key, float(item)
        if key == "input_shapes":
            return key, {name: tuple(int(d) for d in shape) for name, shape in item.items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{where}: option {raw!r}: {error}") from error
    if not isinstance(item, str):
        raise UsageError(f"{where}: option {raw!r} must be text")
    return key, item


def _truth(item: Any) -> bool:
    """A TOML boolean, or the words for one that an environment variable may hold. Raises ValueError."""
    known = {"true": True, "1": True, "false": False, "0": False}
    word = str(item).lower()
    if word not in known:
        raise ValueError(f"{item!r} is neither true nor false")
    return known[word]


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} must be one of {', '.join(allowed)}, not {value!r}")
