"""Report: the result of one audit, for people and machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initaudit.findings import Severity

if TYPE_CHECKING:
    from datetime import datetime

    from initaudit.config import Config
    from initaudit.extraction.layer import Skipped
    from initaudit.findings import Finding
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.judgement.verdict import Verdict
    from initaudit.report.rows import LayerRow


NOTEBOOK_HEIGHT = 720
"""Pixels of the page inside a notebook. A judgement: most of a laptop's window, so that the cell below stays in sight."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """The result of one audit. Where the model could not be read, `error` says why and there is nothing else."""

    path: str
    verdict: Verdict
    audit: ModelAudit | None = None
    findings: tuple[Finding, ...] = ()
    """All findings, suppressed ones included, most severe first, then by depth."""
    failed_rules: tuple[str, ...] = ()
    """Rules that raised instead of judging, and parts of other packages that could not be used, each with its error in one line."""
    skipped: tuple[Skipped, ...] = ()
    parameters: int = 0
    audited: int = 0
    error: str | None = None
    config: Config | None = None
    """The options in force; None where there is no audit."""
    started: datetime | None = None
    seconds: float | None = None
    """How long the audit took."""

    @property
    def active(self) -> tuple[Finding, ...]:
        """Findings that are not suppressed."""
        return tuple(f for f in self.findings if f.suppressed is None)

    def count(self, severity: Severity) -> int:
        """Active findings of this severity."""
        return sum(f.severity is severity for f in self.active)

    def __repr__(self) -> str:
        """`<Report m.onnx: fail, trainability 0.00, 1 error, 2 warnings>`."""
        if self.error is not None:
            return f"<Report: {self.error}>"
        learn = self.verdict.trainability
        facts = [self.verdict.status] if learn is None else [self.verdict.status, f"trainability {learn:.2f}"]
        counts = ((self.count(severity), severity.value) for severity in Severity)
        facts += [f"{count} {word}{'s' * (count > 1 and word != 'info')}" for count, word in counts if count]
        return f"<Report {self.path}: {', '.join(facts)}>"

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks: its scripts run, and see nothing of the notebook."""
        from html import escape

        style = f"width: 100%; height: {NOTEBOOK_HEIGHT}px; border: 0"
        title = escape(repr(self))
        page = escape(self.to_html())
        return f'<iframe sandbox="allow-scripts" title="{title}" style="{style}" srcdoc="{page}"></iframe>'

    @property
    def missed(self) -> tuple[str, ...]:
        """What the model does not meet of what the options ask beyond findings, a sentence each; nothing of one that has no audit."""
        from initaudit.report.gate import missed

        if self.config is None or self.audit is None:
            return ()
        seen = {"layers": len(self.audit.layers), "audited": self.audited, "parameters": self.parameters}
        return tuple(missed(self.config, self.verdict.trainability, probed=self.audit.probe.status, **seen))

    def exit_code(self, *, exit_zero: bool = False) -> int:
        """That of `initaudit check`: 2 where something was not judged; 1 where findings or `missed` close the gate, unless `exit_zero`; else 0."""
        from initaudit.registry import faults
        from initaudit.report.gate import EXIT_ERROR, exit_code

        if self.config is None:
            return EXIT_ERROR
        is_judged = self.error is None and not self.failed_rules and not faults()
        return exit_code(self.config, self.missed, self.active, is_judged=is_judged, exit_zero=exit_zero)

    def gate(self, *, exit_zero: bool = False) -> dict[str, Any]:
        """What the JSON document says of the gate, for formats that tell whether it is closed."""
        from initaudit.report.gate import gate

        return gate(self.config, self.missed, code=self.exit_code(exit_zero=exit_zero))

    def entry(self) -> dict[str, Any]:
        """What the JSON document says of this model: one of its `reports`."""
        from initaudit.report.document import entry
        from initaudit.report.run import circumstances

        said = entry(
            path=self.path,
            verdict=self.verdict,
            audit=self.audit,
            findings=self.findings,
            failed_rules=self.failed_rules,
            skipped=self.skipped,
            parameters=self.parameters,
            audited=self.audited,
        )
        return {**said, **circumstances(self.config, self.seconds), "gate": self.gate()}

    def to_dict(self) -> dict[str, Any]:
        """The whole JSON document for this one report (`schema_version`, `tool`, `run`, `reports`)."""
        from initaudit.report.document import document

        return document([self.entry()], started=self.started)

    def to_json(self, indent: int | None = 2) -> str:
        """`to_dict()` as JSON text."""
        import json

        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def rows(self) -> list[LayerRow]:
        """One flat dict per layer, for a table or `pandas.DataFrame`: name, kind, fans, activation, std, target, ratio, signal ..."""
        from initaudit.report.rows import layer_row

        return [layer_row(layer) for layer in self.audit.layers] if self.audit else []

    def to_html(self) -> str:
        """The HTML page for this report."""
        from initaudit.format import FormatOptions, find_format

        return find_format("html").render(self.to_dict(), FormatOptions())

    def save(self, path: str | Path, *, output_format: str | None = None) -> None:
        """Write the report to a file; the format follows from the suffix unless it is given.

        Raises UsageError where no format has the suffix, there is no such format, or the file cannot be written.
        """
        from initaudit.errors import UsageError
        from initaudit.files import write_atomically
        from initaudit.format import FormatOptions, find_format, format_of

        target = Path(path)
        name = output_format or format_of(target)
        if name is None:
            raise UsageError(f"{target}: no format has the suffix {target.suffix!r}; give output_format")
        write_atomically(target, find_format(name).render(self.to_dict(), FormatOptions()).encode())
