"""Row: what the index of a run says of one model, small enough that ten thousand are read in a second."""

from __future__ import annotations

import builtins
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

AUDITED, CACHED = "audited", "cached"
UNREADABLE, TIMEOUT, MEMORY, CRASHED, INTERNAL_ERROR = "unreadable", "timeout", "memory", "crashed", "internal-error"

STATUSES = (AUDITED, CACHED, UNREADABLE, TIMEOUT, MEMORY, CRASHED, INTERNAL_ERROR)
"""Every planned model ends in exactly one: a report that this run made of it; one of an earlier run, or of another model with the same content and
options; no ONNX model, or one that cannot be audited; killed at a limit of time or memory; its process or its machine was lost; a fault of initaudit itself."""
WITH_REPORT = (AUDITED, CACHED)
"""Statuses of models whose result is in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of `index.jsonl`: what became of one line of the plan. What filters, severities and gates say is under those of the run."""

    number: int
    """Of the line in the plan, from 0."""
    path: str
    """As in the plan."""
    status: str
    """One of STATUSES."""
    options: int = 0
    """Which of the run's `options` hold for it."""
    key: str | None = None
    """Of the result; None where there is none."""
    error: str | None = None
    """Why there is no report, in one line that begins with the path; None where there is one."""
    verdict: str = "error"
    """pass, warn or fail; error where there is no report."""
    context: str = "unknown"
    """fresh, trained, mixed or unknown."""
    trainability: float | None = None
    """0..1; None where not measured."""
    reason: str = ""
    """The sentence of the verdict, or the error."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Findings that count, by severity (`error`, `warning`, `info`), and those that are `suppressed`."""
    rules: Mapping[str, int] = field(default_factory=dict)
    """Findings that count, by the code of their rule."""
    exit_code: int = 2
    """0, 1 or 2, as `initaudit check` gives for this model alone."""
    findings: Sequence[Sequence[str]] = ()
    """All of the result, those that do not count too: fingerprint, code, severity, layer, title of the layer where it is another, initializer;
    empty where there is none (`initaudit.fleet.noting`)."""
    failed_rules: Sequence[str] = ()
    """Rules that raised instead of judging, each with its error in one line."""
    input_shapes: Sequence[str] = ()
    """Inputs that have the shape which the options give them."""
    probe: str | None = None
    """How far the signal was measured: complete, partial, skipped or failed; None where there is no report."""
    parameters: int = 0
    audited: int = 0
    """Parameters that were looked at."""
    layers: int = 0
    bytes: int = 0
    """Of the file and of those that hold its weights, on disk."""
    seconds: float | None = None
    """How long the audit took; None where there was none in this run, so that the sum is what the run took."""
    attempts: int = 1
    """How often it was begun in this run."""
    worker: str = ""
    """Host and process that did it; empty where the work was lost with it."""

    @property
    def has_report(self) -> bool:
        """Whether the result is in the store, under `key`."""
        return self.status in WITH_REPORT

    def line(self) -> str:
        """The row as one line of JSON, the newline included."""
        values = {name: getattr(self, name) for name in _NAMES}
        return json.dumps(values, allow_nan=False) + "\n"  # in ASCII: paths may be no text

    @classmethod
    def read(cls, line: str | builtins.bytes) -> Row | None:
        """From a line; None where a writer was killed in the middle of it. Keys that this version does not know are passed over."""
        try:
            found = json.loads(line)
            return cls(**{name: found[name] for name in _NAMES if name in found})
        except (ValueError, TypeError):
            return None


_NAMES: tuple[str, ...] = tuple(f.name for f in dataclasses.fields(Row))
