"""GitLab: a code quality report, which merge requests show as a widget and in their changes.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from initaudit.format import Format, FormatOptions
from initaudit.formats.differences import as_reports
from initaudit.formats.printing import json_text, visible
from initaudit.formats.telling import active, failures, location, missed, told

SEVERITIES = {"error": "critical", "warning": "major", "info": "info"}
"""GitLab's word for each severity; `blocker` stands for what could not be audited."""


class GitLab(Format):
    """One list for all models; suppressed findings are not in it, for GitLab has no word for them."""

    name = "gitlab"
    suffix = ".gitlab.json"

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """A JSON array, an issue a line."""
        del options
        issues = [issue for report in document["reports"] for issue in _issues(report)]
        return "[\n" + ",\n".join(json_text(issue) for issue in issues) + "\n]\n"

    def compare(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The issues that are new, or more severe than before."""
        return self.render({**document, "reports": as_reports(document)}, options)


def _issues(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    path = location(report)
    others = [("audit-failed", line) for line in failures(report)] + [("gate-not-met", line) for line in missed(report)]
    seen: Counter[str] = Counter()
    for name, line in others:
        yield _issue(path, name, "blocker", line, identity=f"{name} {seen[name]}")
        seen[name] += 1
    for finding in active(report):
        name = f"{finding['code']} {finding['name']}"
        yield _issue(path, name, SEVERITIES[finding["severity"]], told(finding), identity=finding["fingerprint"])


def _issue(path: str, name: str, severity: str, message: str, *, identity: str) -> dict[str, Any]:
    return {
        "description": visible(f"{name}: {message}"),
        "check_name": name,
        # Of the path too: GitLab takes two issues with one fingerprint for one, wherever they are.
        "fingerprint": hashlib.sha256(f"{path}\0{identity}".encode()).hexdigest(),
        "severity": severity,
        "location": {"path": path, "lines": {"begin": 1}},
    }
