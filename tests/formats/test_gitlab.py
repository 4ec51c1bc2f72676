"""Code quality reports as GitLab reads them."""

from __future__ import annotations

import json

import jsonschema

from tests.formats.documents import HOSTILE, dense_report, everywhere, rendered, varied_reports

SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^[^/]", "not": {"pattern": r"^\./"}},
                    "lines": {"required": ["begin"], "properties": {"begin": {"type": "integer"}}},
                },
            },
        },
    },
}
"""What https://docs.gitlab.com/ci/testing/code_quality/ asks of a report."""


def issues(*reports):
    """The issues, which are as GitLab wants them."""
    found = json.loads(rendered("gitlab", *reports))
    jsonschema.validate(found, SCHEMA)
    return found


def test_every_finding_that_counts_is_an_issue():
    """Failures and gates too; what is suppressed is left out."""
    sick, *others = varied_reports()

    found = issues(sick, *others)

    assert len(found) == len([f for f in sick["findings"] if f["suppressed"] is None]) + 3
    assert [i["check_name"] for i in found if i["severity"] == "blocker"] == [
        "audit-failed", "gate-not-met", "audit-failed",
    ]  # fmt: skip
    assert issues(dense_report()) == []
    assert issues() == []


def test_fingerprints_are_unique_and_do_not_depend_on_the_other_models():
    """GitLab takes two issues of one fingerprint for one, and compares those of the two branches."""
    sick, *others = varied_reports()
    twin = {**sick, "model": {**sick["model"], "path": "models/twin.onnx"}}

    alone, together = issues(sick), issues(twin, sick, *others)

    assert len({i["fingerprint"] for i in together}) == len(together)
    assert {i["fingerprint"] for i in alone} < {i["fingerprint"] for i in together}


def test_hostile_names_are_shown_and_not_obeyed():
    """Azure reads logs too."""
    issues(*everywhere([dense_report(factor=0.3)], HOSTILE))

    assert "##vso[" not in rendered("gitlab", *everywhere([dense_report(factor=0.3)], HOSTILE))
