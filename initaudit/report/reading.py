"""Reading a JSON report back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from initaudit.errors import UsageError
from initaudit.report.document import SCHEMA_VERSION
from initaudit.report.layer_changes import STATISTICS
from initaudit.report.typed import misfit

NEEDED: dict[str, tuple[str, ...]] = {
    "": ("model", "verdict", "coverage", "probe", "layers", "findings"),
    "model": ("path", "sha256", "bytes"),
    "verdict": ("status", "context", "trainability", "slowness", "reason"),
    "coverage": ("parameters", "audited", "skipped"),
    "probe": ("status", "mode"),
    "layers": ("name", "title", "op_type", "parameters", "weight", "stats", "target", "signal"),
    "layers.weight": ("initializers", "part", "shape"),
    **{f"layers.{group}": tuple(k for g, k in STATISTICS.values() if g == group) for group, _ in STATISTICS.values()},
    "findings": (
        "code",
        "name",
        "severity",
        "layer",
        "initializer",
        "message",
        "suggestion",
        "fingerprint",
        "suppressed",
        "confidence",
        "evidence",
        "remedy",
    ),
}
"""Keys that are read of a report, and of its parts where they are not null; the rest is shown where it is there."""


def read_report(path: str, content: bytes | None = None) -> dict[str, Any] | None:
    """The document in the file, or in `content`; None where it is no JSON at all: a model, perhaps.

    Raises UsageError where it is JSON, but no report that this version can read.
    """
    data = _begun(path) if content is None else content
    if not data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return None
    try:
        document = json.loads(Path(path).read_bytes() if content is None else content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is no JSON: {error}") from error
    version = document.get("schema_version")
    if "reports" not in document or version is None:
        raise UsageError(f"{path}: is no JSON report of `initaudit check`")
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path}: has schema_version {version!r}, not {SCHEMA_VERSION!r}")
    try:
        _check(document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else error
        raise UsageError(f"{path}: is no whole JSON report of `initaudit check`: {what}") from error
    return dict(document)


def _begun(path: str) -> bytes:
    """The beginning of the file; nothing where it cannot be read, which the audit says better."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(4096)
    except (OSError, ValueError):
        return b""


def _check(document: dict[str, Any]) -> None:
    """Raises ValueError where something is not what the schema says, and KeyError where a key is missing that is read."""
    if wrong := misfit(document, "document"):
        raise ValueError(wrong)
    _ = document["tool"]["version"]
    for report in document["reports"]:
        for part, keys in NEEDED.items():
            for item in _items(report, part):
                for key in keys:
                    _ = item[key]


def _items(report: Any, part: str) -> list[Any]:
    """What stands at a path of keys, of lists each element; nothing where it is null."""
    items = [report]
    for key in part.split("."):
        items = [item[key] for item in items if item is not None] if key else items
        items = [inner for item in items for inner in (item if isinstance(item, list) else [item])]
    return [item for item in items if item is not None]
