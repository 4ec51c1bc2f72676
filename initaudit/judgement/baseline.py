"""Baseline: findings that were accepted once; later runs fail only on new ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from initaudit.errors import UsageError

if TYPE_CHECKING:
    from initaudit.findings import Finding

VERSION = 1
"""Of the file's layout; files of another one are refused."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Fingerprints by the file name of the model."""

    path: Path
    accepted: dict[str, frozenset[str]]

    def reason(self, model: str, finding: Finding) -> str | None:
        """Why `finding` does not count, or None where it is new."""
        known = self.accepted.get(Path(model).name, frozenset())
        return f"known from {self.path.name}" if finding.fingerprint in known else None


def load_baseline(path: str | None) -> Baseline | None:
    """Read a baseline file. Raises UsageError where it is missing or no baseline."""
    if path is None:
        return None
    file = Path(path)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise UsageError(f"{file}: baseline version {document['version']!r} is not {VERSION}")
        accepted = {m: frozenset(e["fingerprint"] for e in entries) for m, entries in document["models"].items()}
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file}: is not a baseline file of initaudit") from error
    return Baseline(file, accepted)


def render_baseline(found: Iterable[tuple[str, Sequence[Finding]]]) -> str:
    """Text of a baseline that accepts every finding of warning or error severity, given by model path; sorted, so that it reviews well in git."""
    models: dict[str, list[dict[str, str]]] = {}
    for path, findings in found:
        entries = {
            f.fingerprint: {"fingerprint": f.fingerprint, "code": f.code, "layer": f.subject or f.layer or ""}
            for f in findings
            if f.severity.rank > 0
        }
        models.setdefault(Path(path).name, []).extend(entries.values())
    ordered = {m: sorted(e, key=lambda x: (x["code"], x["layer"], x["fingerprint"])) for m, e in sorted(models.items())}
    return json.dumps({"version": VERSION, "models": ordered}, indent=2) + "\n"
