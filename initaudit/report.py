"""What an audit gives: LayerAudit per layer, ModelAudit for the rules, Report for people and machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from initaudit.context import Context
    from initaudit.findings import Finding, Severity
    from initaudit.layers import Extraction, Layer, Skipped
    from initaudit.model import Model
    from initaudit.probe import ProbeResult
    from initaudit.probe.signal import Signal
    from initaudit.stats import WeightStats
    from initaudit.stats.provenance import Provenance
    from initaudit.targets import Target
    from initaudit.trainability import Trainability
    from initaudit.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerAudit:
    """Everything known about one layer."""

    layer: Layer
    stats: WeightStats
    provenance: Provenance | None
    """None for norm scales, slopes and others that no scheme draws."""
    target: Target | None
    """None where no scale is better than another."""
    signal: Signal | None = None
    """None where the layer was not probed."""
    bias: WeightStats | None = None
    """Of the layer's bias, or the part of it that belongs to this layer."""

    @property
    def ratio(self) -> float | None:
        """Standard deviation of the weights over that of the target."""
        if self.target is None or not self.target.std:
            return None
        return self.stats.std / self.target.std


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelAudit:
    """What the rules see."""

    model: Model
    extraction: Extraction
    layers: tuple[LayerAudit, ...]
    """In topological order."""
    context: Context
    probe: ProbeResult
    trainability: Trainability | None
    """None where the backward probe did not run."""
    untouched: Mapping[str, str] = field(default_factory=dict)
    """Layers that equal a layer of the `--against` model: name here -> name there."""

    def by_name(self, name: str) -> LayerAudit:
        """The layer called `name`. Raises KeyError."""
        return next(layer for layer in self.layers if layer.layer.name == name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """The result of one audit. Where the model could not be read, `error` says why and there is nothing else."""

    path: str
    verdict: Verdict
    audit: ModelAudit | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = ()
    """All findings, suppressed ones included, most severe first, then by depth."""
    skipped: tuple[Skipped, ...] = ()
    parameters: int = 0
    audited: int = 0
    error: str | None = None

    @property
    def active(self) -> tuple[Finding, ...]:
        """Findings that are not suppressed."""
        return tuple(f for f in self.findings if f.suppressed is None)

    def count(self, severity: Severity) -> int:
        """Active findings of this severity."""
        return sum(f.severity is severity for f in self.active)

    def to_dict(self) -> dict[str, Any]:
        """The whole JSON document for this one report (`schema_version`, `tool`, `reports`)."""
        from initaudit.document import document

        return document([self])

    def to_json(self, indent: int | None = 2) -> str:
        """`to_dict()` as JSON text."""
        import json

        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict per layer, for a table or a data frame: name, kind, fans, activation, std, target, ratio, signal ..."""
        from initaudit.document import layer_row

        return [layer_row(layer) for layer in self.audit.layers] if self.audit else []

    def to_html(self) -> str:
        """The HTML page for this report."""
        from initaudit.format import FormatOptions, find_format

        return find_format("html").render([self], FormatOptions())

    def save(self, path: str | Path, *, output_format: str | None = None) -> None:
        """Write the report to a file; the format follows from the suffix unless it is given. Raises UsageError."""
        from initaudit.files import write_atomically
        from initaudit.format import FormatOptions, all_formats, find_format

        target = Path(path)
        name = output_format or next((f.name for f in all_formats().values() if f.suffix == target.suffix), "text")
        write_atomically(target, find_format(name).render([self], FormatOptions()).encode())
