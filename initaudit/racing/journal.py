"""Journal: finished runs in a file, a line each, from which an interrupted race goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import UsageError
from initaudit.racing.curve import Curve, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.racing.task import Task


class Journal:
    """Of one race, told from others by a digest of everything that decides about a run; without a path it only remembers."""

    def __init__(self, path: Path | None, race: str) -> None:
        """Read what is there. Raises UsageError where the file is of another race, or is no journal or cannot be used."""
        self._path = path
        self.known: dict[tuple[str, str, float, int], Run] = {}
        if path is None:
            return
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            if not lines:
                path.write_text(json.dumps({"race": race}) + "\n", encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: {getattr(error, 'strerror', None) or 'is no journal of a race'}") from error
        if lines and (_read(lines[0]) or {}).get("race") != race:
            known = "race" in (_read(lines[0]) or {})
            why = (
                "is of another race: model, data, batch, steps, patience or draws differ"
                if known
                else "is no journal of a race"
            )
            raise UsageError(f"{path}: {why}; give --resume another file")
        for line in lines[1:]:
            run = _run(_read(line))
            if run is not None:
                self.known[run.key] = run

    def note(self, run: Run) -> None:
        """Take down a finished run. Raises UsageError where it cannot be written."""
        self.known[run.key] = run
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(run)) + "\n")
        except OSError as error:
            raise UsageError(f"{self._path}: {error.strerror or error}") from error


def digest(task: Task, facts: Mapping[str, Any]) -> str:
    """What tells races apart: their data, and whatever else decides."""
    told = json.dumps([facts, digest_of({**task.inputs, "": task.targets})], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """Of arrays with their names, types and shapes."""
    sha = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        sha.update(f"{name} {array.dtype} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def _read(line: str) -> dict[str, Any] | None:
    """None for a line that was cut."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _run(row: dict[str, Any] | None) -> Run | None:
    try:
        return None if row is None else Run(**{**row, "curve": Curve(**row["curve"])})
    except (KeyError, TypeError):
        return None
