"""Text: the report for the terminal."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from initaudit.findings import Severity
from initaudit.format import Format, FormatOptions

if TYPE_CHECKING:
    from initaudit.findings import Finding
    from initaudit.layers import Layer
    from initaudit.report import LayerAudit, Report

STYLES = {
    "pass": "bold green",
    "warn": "bold yellow",
    "fail": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "info": "cyan",
}
TABLE_ROWS = 24
"""Layers shown without --verbose: one screen; the rest are counted, with the flagged ones kept."""

HEADINGS = ("layer", "fan_in", "std", "target", "ratio", "feeds", "signal", "gradient")
WIDE = 100
"""Columns from which the target is shown beside the ratio to it."""
MIN_NAME = 12
"""Columns that a layer's name gets at least."""
OTHERS_NAMED = 4
"""Further layers named under a finding that repeats."""


class TextFormat(Format):
    """Verdict first, then findings, then the layers, then what was not audited."""

    name = "text"
    suffix = ".txt"

    def render(self, reports: Sequence[Report], options: FormatOptions) -> str:
        """Plain or coloured text, `options.width` columns."""
        out = io.StringIO()
        console = Console(
            file=out,
            width=options.width,
            force_terminal=options.color,
            color_system="standard" if options.color else None,
            highlight=False,
            emoji=False,
            markup=False,
            legacy_windows=False,
        )
        for index, report in enumerate(reports):
            if index:
                console.print()
            _report(console, report, options)
        if options.statistics:
            _statistics(console, reports)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def clean(text: str) -> str:
    """Without control characters: names in model files are untrusted."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _report(console: Console, report: Report, options: FormatOptions) -> None:
    console.print(Text(clean(report.path), style="bold"))
    verdict = report.verdict
    head = Text.assemble((verdict.status.upper(), STYLES[verdict.status]))
    if report.error is not None:
        console.print(head.append(f"  {clean(report.error)}"))
        return
    head.append(f"  {verdict.context} network")
    if verdict.trainability is not None and verdict.context in ("fresh", "unknown"):
        head.append(f", trainability {verdict.trainability:.2f}")
    console.print(head)
    if verdict.first_lost is not None:
        layer, cause = verdict.first_lost
        console.print(Text(clean(f"The signal is lost at {layer}: {cause}.")))
    shown = [f for f in report.active if options.verbose or f.severity is not Severity.INFO]
    for group in _grouped(shown):
        console.print()
        _finding(console, group[0])
        if options.verbose:
            for finding in group[1:]:
                _finding(console, finding)
        elif group[1:]:
            _others(console, group[1:])
    hidden = len(report.active) - len(shown)
    notes = [f"{hidden} note{'s' * (hidden != 1)} (--verbose shows them)"] if hidden else []
    suppressed = len(report.findings) - len(report.active)
    if suppressed:
        notes.append(f"{suppressed} suppressed")
    if not report.active or notes:
        console.print()
        text = "No findings" if not shown else "Also"
        console.print(f"{text}{': ' if notes else '.'}{', '.join(notes)}{'.' if notes else ''}")
    if report.audit is not None and report.audit.layers:
        console.print()
        _layers(console, report, options)
    console.print()
    _coverage(console, report, options)


def _grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one rule and severity together, in the order of their first: a fault in 40 layers is read once."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.severity.value), []).append(finding)
    return list(groups.values())


def _others(console: Console, findings: Sequence[Finding]) -> None:
    names = [clean(f.layer or f.initializer or "the model") for f in findings]
    more = f" and {len(names) - OTHERS_NAMED} more" if len(names) > OTHERS_NAMED else ""
    text = f"also at {', '.join(names[:OTHERS_NAMED])}{more} (--verbose shows them)"
    console.print(Padding(Text(text, style="dim"), (0, 0, 0, 8)))


def _finding(console: Console, finding: Finding) -> None:
    line = Text.assemble(
        (f"{finding.severity.value:7}", STYLES[finding.severity.value]), f" {finding.code} {finding.name}"
    )
    if finding.layer:
        line.append(f"  {clean(finding.layer)}", style="bold")
    console.print(line)
    console.print(Padding(Text(clean(finding.message)), (0, 0, 0, 8)))
    if finding.suggestion:
        console.print(Padding(Text(f"-> {clean(finding.suggestion)}", style="dim"), (0, 0, 0, 8)))


def _layers(console: Console, report: Report, options: FormatOptions) -> None:
    assert report.audit is not None
    layers = report.audit.layers
    flagged = {f.layer for f in report.active if f.severity is not Severity.INFO}
    weighty = [a for a in layers if a.target is not None or a.layer.name in flagged]
    chosen = list(layers if options.verbose else weighty)
    if not options.verbose and len(chosen) > TABLE_ROWS:
        keep = {id(a) for a in [a for a in chosen if a.layer.name in flagged][:TABLE_ROWS]}
        keep |= {id(a) for a in chosen[: max(0, TABLE_ROWS - len(keep))]}
        chosen = [a for a in chosen if id(a) in keep]
    rows = [_row(audit) for audit in chosen]
    shown = [i for i, heading in enumerate(HEADINGS) if heading != "target" or options.width >= WIDE]
    headings = [HEADINGS[i] for i in shown]
    rows = [tuple(row[i] for i in shown) for row in rows]
    styles = ["bold" if audit.layer.name in flagged else "" for audit in chosen]
    console.print(layer_table(headings, rows, options.width, right=set(headings) - {"layer", "feeds"}, styles=styles))
    if len(chosen) < len(layers):
        console.print(Text(f"... {len(layers) - len(chosen)} more layers (--verbose shows them)", style="dim"))


def _row(audit: LayerAudit) -> tuple[str, ...]:
    layer, signal = audit.layer, audit.signal
    return (
        clean(full_title(layer)),
        str(layer.fan_in),
        short(audit.stats.std),
        short(audit.target.std if audit.target else None),
        short(audit.ratio),
        (layer.activation or (layer.feeds[0] if layer.feeds else "-"))[:12],
        short(signal.variance if signal else None),
        short(signal.gradient_rms if signal else None),
    )


def full_title(layer: Layer) -> str:
    """The title, with the part where it does not say it yet; the unique name where the title is only the operator's."""
    part = layer.weight.part
    title = layer.name if layer.title == layer.op_type else layer.title
    return title if part is None or part in title else f"{title}[{part}]"


def layer_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    right: Collection[str],
    styles: Sequence[str] | None = None,
) -> Table:
    """A table whose first column, the name, gives way: it keeps its end, where paths differ."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=True, overflow="ellipsis")
    others = [[heading, *(row[i] for row in rows)] for i, heading in enumerate(headings) if i]
    room = max(MIN_NAME, width - sum(2 + max(map(len, column)) for column in others))
    for index, (name, *rest) in enumerate(rows):
        shown = name if len(name) <= room else "…" + name[len(name) - room + 1 :]
        table.add_row(shown, *rest, style=styles[index] if styles else "")
    return table


def short(value: float | None) -> str:
    """Three significant digits in at most seven characters; `-` where there is none."""
    if value is None:
        return "-"
    if value != value:
        return "nan"
    return f"{value:.3g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def _coverage(console: Console, report: Report, options: FormatOptions) -> None:
    share = report.audited / report.parameters if report.parameters else 1.0
    percent = f" ({share:.1%})" if share < 1 else ""
    console.print(f"{report.audited:,} of {report.parameters:,} parameters audited{percent}.")
    missed = [s for s in report.skipped if s.is_parameter]
    for skipped in missed if options.verbose else missed[:3]:
        console.print(
            Padding(
                Text(clean(f"{skipped.initializer} ({skipped.parameters:,}): {skipped.reason}"), style="dim"),
                (0, 0, 0, 2),
            )
        )
    if len(missed) > 3 and not options.verbose:
        console.print(Text(f"  ... {len(missed) - 3} more (--verbose shows them)", style="dim"))
    probe = report.audit.probe if report.audit else None
    if probe is not None and probe.status != "skipped":
        note = {"complete": "measured everywhere", "partial": "measured in part", "failed": "not measured"}[
            probe.status
        ]
        batch = f", batch {probe.batch}" if probe.batch else ""
        reason = f": {clean(probe.reason)}" if probe.reason else ""
        console.print(Text(f"Signal {note} ({probe.mode}{batch}, seed {probe.seed}){reason}.", style="dim"))


def _statistics(console: Console, reports: Sequence[Report]) -> None:
    counts = Counter((f.code, f.name, f.severity.value) for r in reports for f in r.active)
    console.print()
    for (code, name, severity), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        console.print(f"{count:6} {code} {name} [{severity}]")
