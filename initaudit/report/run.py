"""What the JSON document says of the run that made it: when, by which command, with which versions, under which options.

Two runs on the same file differ here and in `timing` alone.
"""

from __future__ import annotations

import dataclasses
import platform
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from initaudit.config import Config

DEPENDENCIES = ("numpy", "onnx", "onnxruntime")
"""What the figures in a report come from."""


def run(*, started: datetime | None = None, command: Sequence[str] | None = None) -> dict[str, Any]:
    """The key `run` of the document.

    Args:
        started: with a time zone; now where None.
        command: the words of the command line; None where Python code asked for the audit.
    """
    moment = (started or datetime.now(UTC)).astimezone(UTC)
    return {
        "started": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "command": None if command is None else shlex.join(command),
        "versions": dict(_versions()),
        "interrupted": None,
    }


def interruption(*, audited: int, of: int, exit_code: int) -> dict[str, int]:
    """The key `interrupted` of `run`, where the run was ended before it had audited all its models."""
    return {"audited": audited, "of": of, "exit_code": exit_code}


@cache
def _versions() -> dict[str, str | None]:
    return {"python": platform.python_version()} | {name: _version(name) for name in DEPENDENCIES}


def _version(distribution: str) -> str | None:
    """None where the module comes from a distribution of another name (onnxruntime-gpu)."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def circumstances(config: Config | None, seconds: float | None) -> dict[str, Any]:
    """The keys `options` and `timing` of a report: every field of `Config` as JSON has it, and how long the audit took."""
    return {
        "options": None if config is None else _plain(config),
        "timing": {"seconds": None if seconds is None else round(seconds, 3)},
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return "(arrays)"
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
