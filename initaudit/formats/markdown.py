"""Markdown: for the summary of a job and the comment on a pull request, in the flavour of GitHub and GitLab."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from initaudit.format import Format, FormatOptions
from initaudit.formats.marking import MARKS, Page, code, prose, rule_link
from initaudit.formats.printing import number
from initaudit.formats.telling import Part, active, failures, interrupted, location, missed, plural, subject

STATUSES = {"error": "not audited", "fail": "failed", "warn": "with warnings", "pass": "passed"}
"""In words, the worst first."""
SEVERITIES = {"error": "error", "warning": "warning", "info": "info"}


class Markdown(Format):
    """The worst first; as much as a comment may hold, and what was left out is said."""

    name = "markdown"
    suffix = ".md"

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """A heading, a table of models where there are several, and a section a model."""
        reports = sorted(document["reports"], key=lambda report: list(STATUSES).index(_status(report)))
        page = Page()
        page.add(f"## initaudit: {_headline(reports)}\n\n")
        ended = interrupted(document)
        if ended is not None:
            page.add(f"**{ended}**\n\n")
        if len(reports) > 1:
            page.add_table(("", "model", "trainability:", "findings"), map(_model_row, reports))
        for report in reports:
            _section(page, report, options)
        return page.text()

    def compare(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """What became better and what worse; what is as before is counted."""
        from initaudit.formats.markdown_changes import changes_page

        return changes_page(document, options)


def _status(report: Part) -> str:
    """The verdict's, or that the gate is closed by what it asks beyond findings."""
    status: str = report["verdict"]["status"]
    return "fail" if missed(report) and status != "error" else status


def _headline(reports: Sequence[Part]) -> str:
    if not reports:
        return "no models"
    count = Counter(map(_status, reports))
    counts = [f"{count[status]:,} {words}" for status, words in STATUSES.items() if count[status]]
    if len(reports) == 1:
        return counts[0].partition(" ")[2]
    return f"{len(reports):,} models, {', '.join(counts)}"


def _model_row(report: Part) -> tuple[str, ...]:
    status, count = _status(report), Counter(f["severity"] for f in active(report))
    counts = ", ".join(plural(count[s], noun) for s, noun in SEVERITIES.items() if count[s])
    broken = "; ".join(failures(report))
    return (
        f"{MARKS[status]} {status}",
        code(location(report)),
        _trainability(report),
        prose(broken) or counts or "none",
    )


def _trainability(report: Part) -> str:
    verdict = report["verdict"]
    is_told = verdict["context"] in ("fresh", "unknown") and verdict["trainability"] is not None
    return f"{verdict['trainability']:.2f}" if is_told else ""


def _section(page: Page, report: Part, options: FormatOptions) -> None:
    """What is said of one model, the most important first."""
    status, verdict = _status(report), report["verdict"]
    context = "" if status == "error" else f", {verdict['context']} network"
    score = f", trainability {_trainability(report)}" if _trainability(report) else ""
    page.add(f"\n### {MARKS[status]} {code(location(report), table=False)}: {status}{context}{score}\n")
    for line in failures(report):
        page.add(f"\n**{prose(line)}**\n")
    for line in missed(report):
        page.add(f"\n**The gate is closed: {prose(line)}.**\n")
    if verdict["status"] == "error":
        return
    obstacle = verdict.get("obstacle")
    page.add(f"\n{prose(verdict['reason'] + (' ' + obstacle['advice'] if obstacle else ''))}\n")
    counting = active(report)
    shown = [f for f in counting if options.verbose or f["severity"] != "info"]
    if shown:
        page.add("\n")
        page.add_table(("", "rule", "where", "what was found", "what to do"), map(_finding_row, _grouped(shown)))
    page.add_details("Where else", [_line(f) for group in _grouped(shown) for f in group[1:]])
    page.add_details("Info", [_line(f) for f in counting if f not in shown])
    page.add_details("Suppressed", [_line(f) for f in report["findings"] if f not in counting])
    page.add_details("Coverage", list(_coverage(report)))
    if options.statistics:
        page.add_details("Findings by rule", list(_by_rule(counting)))
        page.add_details("chi by layer", list(_chi(report)))


def _grouped(findings: Sequence[Part]) -> list[list[Part]]:
    """Findings of one rule and severity together: a fault in 40 layers is read once."""
    groups: dict[tuple[str, str], list[Part]] = {}
    for finding in findings:
        groups.setdefault((finding["code"], finding["severity"]), []).append(finding)
    return list(groups.values())


def _finding_row(group: Sequence[Part]) -> tuple[str, ...]:
    first = group[0]
    where = code(subject(first)) if first["layer"] or first["initializer"] else subject(first)
    more = f" and {len(group) - 1:,} more" if len(group) > 1 else ""
    return (
        SEVERITIES[first["severity"]],
        rule_link(first),
        f"{where}{more}",
        prose(first["message"]),
        prose(first["suggestion"]),
    )


def _line(finding: Part) -> str:
    where = code(subject(finding), table=False) if finding["layer"] or finding["initializer"] else subject(finding)
    reason = f" ({prose(finding['suppressed'])})" if finding["suppressed"] is not None else ""
    rule = prose(f"{finding['code']} {finding['name']}")
    return f"{SEVERITIES[finding['severity']]} {rule}, {where}: {prose(finding['message'])}{reason}"


def _by_rule(findings: Sequence[Part]) -> Iterator[str]:
    counts = Counter((f["code"], f["name"], f["severity"]) for f in findings)
    for (rule, name, severity), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield f"{count:,} {prose(f'{rule} {name}')} ({SEVERITIES[severity]})"


def _chi(report: Part) -> Iterator[str]:
    """What multiplies a small difference between two inputs in a layer, where theory or measurement has it."""
    for layer in report["layers"]:
        signal = layer["signal"] or {}
        theory, measured = signal.get("chi"), signal.get("chi_measured")
        if theory is not None or measured is not None:
            yield f"{code(layer['name'], table=False)}: {number(theory)} by theory, {number(measured)} measured"


def _coverage(report: Part) -> Iterator[str]:
    coverage, probe = report["coverage"], report["probe"]
    yield f"{coverage['audited']:,} of {coverage['parameters']:,} parameters audited"
    measured = {"complete": "everywhere", "partial": "in part", "failed": "nowhere", "skipped": "nowhere"}
    why = f": {prose(probe['reason'])}" if probe["reason"] else ""
    yield f"signal measured {measured[probe['status']]}{why}"
    for skipped in coverage["skipped"]:
        if skipped["is_parameter"]:
            yield f"{code(skipped['initializer'], table=False)}, {plural(skipped['parameters'], 'parameter')}: {prose(skipped['reason'])}"
