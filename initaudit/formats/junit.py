"""JUnit XML: a suite a model and a case a rule, so that a CI system shows which rule fails since when.

Read by Jenkins, GitLab, Azure DevOps and others; the elements are those of
https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree as ET

from initaudit.findings import Severity, selects
from initaudit.format import Format, FormatOptions
from initaudit.formats.differences import as_reports
from initaudit.formats.printing import number, visible
from initaudit.formats.telling import Part, failures, location, missed, told
from initaudit.rule import all_rules

NEEDS_SIGNAL = ("INI4", "INI5")
"""Rules that judge what the probe measured: without it they have not passed."""
NEEDS_GRADIENT = "INI5"
"""Those that judge what it measures on the way back."""


class JUnit(Format):
    """A rule fails where one of its findings closes the gate (`--fail-on`); findings below it are in the output of a case that passes."""

    name = "junit"
    suffix = ".xml"

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """One XML document."""
        head = {key: value for key, value in document.items() if key != "reports"}
        return "".join(self.pieces(head, document["reports"], options))

    def pieces(self, head: Part, reports: Iterable[Part], options: FormatOptions) -> Iterator[str]:
        """A suite a model."""
        del options
        yield f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="{head["tool"]["name"]}">\n'
        for report in reports:
            suite = _suite(report)
            ET.indent(suite)
            yield ET.tostring(suite, encoding="unicode") + "\n"
        yield "</testsuites>\n"

    def compare(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """A rule fails where something new closes the gate; it is skipped where all was there before."""
        return self.render({**document, "reports": as_reports(document)}, options)


def _suite(report: Part) -> ET.Element:
    path = location(report)
    # Jenkins makes packages of what stands in front of the last dot.
    class_name = visible(str(PurePosixPath(path).with_suffix("")).strip("/").replace(".", "_").replace("/", "."))
    cases = list(_cases(report))
    for case in cases:
        case.set("classname", class_name)
    suite = ET.Element("testsuite", name=visible(path), file=visible(path), tests=str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    seconds = (report.get("timing") or {}).get("seconds")
    if seconds is not None:
        suite.set("time", f"{seconds:.3f}")
    properties = ET.SubElement(suite, "properties")
    verdict = report["verdict"]
    for name in ("status", "context", "trainability", "slowness", "reason"):
        if verdict[name] is not None:
            ET.SubElement(properties, "property", name=name, value=visible(number(verdict[name])))
    suite.extend(cases)
    return suite


def _cases(report: Part) -> Iterator[ET.Element]:
    broken = list(failures(report))
    yield _case("audit", "error", broken)
    if report["verdict"]["status"] == "error":
        return
    lacking = missed(report)
    if lacking:
        yield _case("gate", "failure", lacking)
    found: dict[str, list[Part]] = {}
    for finding in report["findings"]:
        found.setdefault(f"{finding['code']} {finding['name']}", []).append(finding)
    words = (report.get("options") or {}).get("select", ["ALL"])
    rules = {
        f"{rule.code} {rule.name}": _why_unjudged(rule.code, report)
        for rule in all_rules()
        if any(selects(word, rule.code, rule.name) for word in words)
    }
    for rule in sorted({*rules, *found}):
        yield _rule_case(rule, found.get(rule, []), rules.get(rule), report)


def _why_unjudged(code: str, report: Part) -> str | None:
    """Why a rule that found nothing has not passed, or None."""
    probe = report["probe"] or {"status": "failed", "mode": "none"}
    if code.startswith(NEEDS_SIGNAL) and probe["status"] in ("skipped", "failed"):
        return "the signal was not measured"
    if code.startswith(NEEDS_GRADIENT) and probe["mode"] != "full":
        return "no gradient was measured"
    return None


def _rule_case(rule: str, findings: Sequence[Part], unjudged: str | None, report: Part) -> ET.Element:
    fail_on = report.get("gate", {}).get("fail_on") or "error"
    counting = [f for f in findings if f["suppressed"] is None]
    closing = [f for f in counting if fail_on != "never" and Severity(f["severity"]).rank >= Severity(fail_on).rank]
    others = [f for f in findings if f not in closing]
    if closing:
        case = _case(rule, "failure", [told(f) for f in closing])
    elif findings and not counting:
        case = _case(rule, "skipped", [f"suppressed: {reason}" for reason in {f["suppressed"]: None for f in findings}])
    else:
        case = _case(rule, "skipped", [unjudged] if unjudged and not findings else [])
    if others:
        ET.SubElement(case, "system-out").text = _lines(_line(f) for f in others)
    return case


def _line(finding: Part) -> str:
    suppressed = f" (suppressed: {finding['suppressed']})" if finding["suppressed"] is not None else ""
    return f"{finding['severity']}: {told(finding)}{suppressed}"


def _case(name: str, outcome: str, lines: Sequence[str]) -> ET.Element:
    """A case that has this outcome, or passes where no line says why it has it; the message is the first, the text has them all."""
    case = ET.Element("testcase", name=visible(name))
    if lines:
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        ET.SubElement(case, outcome, message=visible(lines[0]) + more).text = _lines(lines)
    return case


def _lines(lines: Iterable[str]) -> str:
    """A line each; XML has no way to write most control characters, so they are shown as everywhere."""
    return "\n".join(map(visible, lines))
