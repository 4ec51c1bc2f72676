"""Baseline: findings that were accepted once; later runs fail only on new ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from initaudit.errors import UsageError
from initaudit.findings import Severity

if TYPE_CHECKING:
    from initaudit.findings import Finding

VERSION = 2
"""Of the file's layout; files of another one are refused."""

Entry: TypeAlias = dict[str, str]
"""`fingerprint`, `code`, `layer` and `severity` of one accepted finding; without a severity it is accepted at every one."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Accepted findings by model: its path as seen from the folder of the baseline file, so that both may move together."""

    path: Path
    models: Mapping[str, tuple[Entry, ...]]

    def reason(self, model: str, finding: Finding) -> str | None:
        """Why `finding` does not count, or None where it is new or more severe than it was accepted."""
        known = any(_accepts(entry, finding) for entry in self.of(model))
        return f"known from {self.path.name}" if known else None

    def of(self, model: str) -> tuple[Entry, ...]:
        """What is accepted of the model at this path."""
        return self.models.get(self.key(model), ())

    def stale(self, model: str, findings: Iterable[Finding]) -> tuple[Entry, ...]:
        """What is accepted of the model and is not found any more."""
        found = {finding.fingerprint for finding in findings}
        return tuple(entry for entry in self.of(model) if entry["fingerprint"] not in found)

    def key(self, model: str) -> str:
        """The model's name in the file; what is no file (`-`) keeps its name."""
        path = Path(model)
        if not path.exists():
            return model
        try:
            return Path(os.path.relpath(path.absolute(), self.path.absolute().parent)).as_posix()
        except ValueError:  # on another drive
            return path.absolute().as_posix()

    def replaced(self, accepted: Mapping[str, Sequence[Finding]]) -> Baseline:
        """With every finding of warning or error severity, given by model path, in the place of what was accepted of these models."""
        new = {self.key(model): _entries(findings) for model, findings in accepted.items()}
        return Baseline(self.path, {**self.models, **new})

    def pruned(self, found: Mapping[str, Sequence[Finding]]) -> Baseline:
        """Without what is not found any more in these models, given by path."""
        models = dict(self.models)
        for model, findings in found.items():
            stale = self.stale(model, findings)
            models[self.key(model)] = tuple(entry for entry in self.of(model) if entry not in stale)
        return Baseline(self.path, models)

    def render(self) -> str:
        """The file's text; sorted, so that it reviews well in git. Models of which nothing is accepted are left out."""
        models = {model: list(entries) for model, entries in sorted(self.models.items()) if entries}
        return json.dumps({"version": VERSION, "models": models}, indent=2) + "\n"

    @property
    def size(self) -> int:
        """Number of accepted findings."""
        return sum(map(len, self.models.values()))


def load_baseline(path: str | Path | None) -> Baseline | None:
    """Read a baseline file. Raises UsageError where it is missing or no baseline."""
    if path is None:
        return None
    file = Path(path)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise UsageError(
                f"{file}: baseline version {document['version']!r} is not {VERSION}; `initaudit baseline` writes it anew"
            )
        models = {str(m): tuple(_entry(e) for e in entries) for m, entries in document["models"].items()}
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file}: is not a baseline file of initaudit") from error
    return Baseline(file, models)


def _entry(raw: Mapping[str, Any]) -> Entry:
    entry = {key: str(raw[key]) for key in ("fingerprint", "code", "layer")}
    return entry | ({"severity": Severity(raw["severity"]).value} if "severity" in raw else {})


def _accepts(entry: Entry, finding: Finding) -> bool:
    """Whether the finding is the accepted one, and no more severe."""
    severity = Severity(entry.get("severity", Severity.ERROR))
    return entry["fingerprint"] == finding.fingerprint and finding.severity.rank <= severity.rank


def _entries(findings: Iterable[Finding]) -> tuple[Entry, ...]:
    accepted = {
        f.fingerprint: {
            "fingerprint": f.fingerprint,
            "code": f.code,
            "layer": f.subject or f.layer or "",
            "severity": f.severity.value,
        }
        for f in findings
        if f.severity.rank > 0
    }
    return tuple(sorted(accepted.values(), key=lambda entry: (entry["code"], entry["layer"], entry["fingerprint"])))
