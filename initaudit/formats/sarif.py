"""SARIF 2.1.0: the exchange format of analysers, read by GitHub code scanning, Azure DevOps, editors and viewers.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from initaudit.format import Format, FormatOptions
from initaudit.formats.printing import json_text, visible
from initaudit.formats.telling import Part, failures, interrupted, location, missed, told
from initaudit.home import DOCUMENTATION
from initaudit.rule import Rule, all_rules

Json: TypeAlias = dict[str, Any]

LEVELS = {"error": "error", "warning": "warning", "info": "note"}
BASELINE_STATES = {"new": "new", "worse": "updated", "better": "updated", "gone": "absent", "unchanged": "unchanged"}
"""What SARIF calls that which became of a finding between two reports."""
BASE = "%SRCROOT%"
"""What paths are relative to; GitHub takes it for the root of the repository."""
FIRST_LINE = {"startLine": 1}
"""A model has no lines, but GitHub shows no result without one."""


class Sarif(Format):
    """One run for all models: results with their layers, rules with their documentation, failures as notifications."""

    name = "sarif"
    suffix = ".sarif"
    other_suffixes = (".sarif.json",)

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """One JSON object."""
        head = {key: value for key, value in document.items() if key != "reports"}
        return "".join(self.pieces(head, document["reports"], options))

    def pieces(self, head: Part, reports: Iterable[Part], options: FormatOptions) -> Iterator[str]:
        """The rules, the results of each model, then what the run was."""
        del options
        rules = all_rules()
        places = {rule.code: index for index, rule in enumerate(rules)}
        driver = {
            "name": head["tool"]["name"],
            "version": head["tool"]["version"],
            "semanticVersion": head["tool"]["version"],
            "informationUri": DOCUMENTATION,
            "rules": [_rule(rule) for rule in rules],
        }
        bases = {BASE: {"description": {"text": "The working directory of the run."}}}
        yield '{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{\n'
        yield f'"tool": {json_text({"driver": driver})},\n"originalUriBaseIds": {json_text(bases)},\n"results": ['
        artifacts: list[Json] = []
        notifications: list[Json] = []
        codes: list[int | None] = []
        between = "\n"
        for report in reports:
            file = artifact_location(location(report), index=len(artifacts))
            artifacts.append(_artifact(report, file))
            notifications += _notifications(report, file)
            codes.append(report.get("gate", {}).get("exit_code"))
            for finding in report["findings"]:
                yield between + json_text(_result(finding, file, places))
                between = ",\n"
        yield f'\n],\n"artifacts": {json_text(artifacts)},\n"invocations": {json_text([_invocation(head, notifications, codes)])}\n}}]}}\n'

    def compare(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The findings of both sides with their `baselineState`, at the model of today where there is one."""
        head = {key: value for key, value in document.items() if key != "comparisons"}
        reports = [
            {**(model["after"] or model["before"]), "findings": model["findings"], "gate": document["gate"]}
            for model in document["comparisons"]
        ]
        return "".join(self.pieces(head, reports, options))


def _rule(rule: Rule) -> Json:
    """The rule's docstring as SARIF has it."""
    parts = rule.documentation()
    sections = [(title, text) for title, text in parts.items() if title != "summary"]
    described: Json = {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": parts["summary"]},
        "fullDescription": {"text": f"{parts['summary']} {parts.get('Why', '')}".strip()},
        "help": {
            "text": "\n\n".join([parts["summary"], *(f"{title}: {body}" for title, body in sections)]),
            "markdown": "\n\n".join([parts["summary"], *(f"**{title}.** {body}" for title, body in sections)]),
        },
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
    }
    return {**described, "helpUri": rule.page()} if rule.page() else described


def _result(finding: Part, file: Json, places: Mapping[str, int]) -> Json:
    physical = {"artifactLocation": file, "region": FIRST_LINE}
    logical = [
        {"name": visible(finding[kind]), "fullyQualifiedName": visible(finding[kind]), "kind": kind}
        for kind in ("layer", "initializer")
        if finding[kind]
    ]
    result: Json = {
        "ruleId": finding["code"],
        "level": LEVELS[finding["severity"]],
        "message": {"text": _message(told(finding))},
        "locations": [{"physicalLocation": physical, **({"logicalLocations": logical} if logical else {})}],
        "partialFingerprints": {
            "initaudit/v1": finding["fingerprint"],
            "primaryLocationLineHash": f"{finding['fingerprint']}:1",  # the only one that GitHub goes by
        },
        "properties": {key: finding[key] for key in ("confidence", "evidence", "suggestion", "remedy")},
    }
    if finding["code"] in places:
        result["ruleIndex"] = places[finding["code"]]
    if finding["suppressed"] is not None:
        justification = visible(finding["suppressed"])
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": justification}]
    if "state" in finding:
        result["baselineState"] = BASELINE_STATES[finding["state"]]
    elif finding.get("known") is not None:
        result["baselineState"] = "unchanged" if finding["known"] else "new"
    return result


def _message(text: str) -> str:
    """As text that is not taken for a link (`[a](1)`) or a placeholder (`{0}`): names in model files may look like either."""
    return re.sub(r"\{(\d+)\}", r"{{\1}}", re.sub(r"\[(?=[^][]*\]\()", r"\\[", visible(text)))


def artifact_location(path: str, **more: Any) -> Json:
    """Where a file is, as SARIF has it: relative to the working directory where it lies below it."""
    if Path(path).is_absolute():
        return {"uri": Path(path).as_uri(), **more}
    return {"uri": quote(path), "uriBaseId": BASE, **more}


def _artifact(report: Part, file: Json) -> Json:
    model, verdict = report["model"], report["verdict"]
    artifact: Json = {
        "location": file,
        "roles": ["analysisTarget"],
        "properties": {key: verdict[key] for key in ("status", "context", "trainability", "slowness", "reason")},
    }
    if model["bytes"] is not None:
        artifact["length"] = model["bytes"]
    if model["sha256"] is not None:
        artifact["hashes"] = {"sha-256": model["sha256"]}
    return artifact


def _notifications(report: Part, file: Json) -> list[Json]:
    locations = [{"physicalLocation": {"artifactLocation": file}}]
    told_of = [("error", line) for line in failures(report)] + [("warning", line) for line in missed(report)]
    return [{"level": level, "message": {"text": _message(line)}, "locations": locations} for level, line in told_of]


def _invocation(head: Part, notifications: list[Json], codes: list[int | None]) -> Json:
    run, ended = head.get("run", {}), interrupted(head)
    if ended is not None:
        left = run["interrupted"]["of"] - run["interrupted"]["audited"]
        notifications = [*notifications, {"level": "error", "message": {"text": f"{ended}, {left:,} not audited"}}]
        codes = [run["interrupted"]["exit_code"]]
    failed = any(notification["level"] == "error" for notification in notifications)
    invocation: Json = {"executionSuccessful": not failed, "toolExecutionNotifications": notifications}
    for key, value in (("commandLine", run.get("command")), ("startTimeUtc", run.get("started"))):
        if value is not None:
            invocation[key] = value
    known = [code for code in codes if code is not None]
    if known:
        invocation["exitCode"] = max(known)
    return invocation
