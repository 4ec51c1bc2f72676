"""SARIF as OASIS, GitHub and viewers have it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import jsonschema
import pytest

from initaudit.format import FormatOptions, find_format
from initaudit.rule import all_rules, find_rule
from tests.formats.documents import HOSTILE, dense_report, document, error_report, everywhere, rendered, varied_reports

SCHEMA = Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json"


@cache
def validator() -> jsonschema.Draft4Validator:
    return jsonschema.Draft4Validator(json.loads(SCHEMA.read_text()))


def run_of(*reports):
    """The only run of the log, which is valid."""
    log = json.loads(rendered("sarif", *reports))
    validator().validate(log)
    (run,) = log["runs"]
    return run


def test_a_log_of_every_kind_of_model_is_valid():
    """Findings, suppressions, baselines, failures, hostile names, and nothing at all."""
    run_of()
    run_of(*varied_reports())
    run_of(*everywhere([dense_report(factor=0.3)], HOSTILE))
    with pytest.raises(jsonschema.ValidationError):
        validator().validate({"version": "2.1.0", "runs": [{"results": []}]})


def test_every_result_has_its_model_and_its_layer():
    """The file relative to the working directory, a line for GitHub's sake, and the layer by its name."""
    results = run_of(*varied_reports())["results"]
    places = [result["locations"][0] for result in results]

    assert {p["physicalLocation"]["artifactLocation"]["uri"] for p in places} == {"models/sick.onnx"}
    assert {p["physicalLocation"]["artifactLocation"]["uriBaseId"] for p in places} == {"%SRCROOT%"}
    assert all(p["physicalLocation"]["region"]["startLine"] == 1 for p in places)
    assert places[1]["logicalLocations"][0]["fullyQualifiedName"] == "/sick/block.0/linear.0/MatMul"


def test_a_path_below_the_working_directory_is_relative_to_it_and_blanks_are_escaped():
    """A repository's CI gives absolute paths, and GitHub shows results of relative ones."""
    inside, outside = error_report(str(Path.cwd() / "a b" / "m#1.onnx")), error_report("/elsewhere/m.onnx")

    first, second = run_of(inside, outside)["artifacts"]

    assert first["location"]["uri"] == "a%20b/m%231.onnx"
    assert second["location"]["uri"] == "file:///elsewhere/m.onnx"
    assert "uriBaseId" not in second["location"]


def test_rules_carry_their_documentation_and_results_point_at_them():
    """The help of a rule is its docstring."""
    run = run_of(*varied_reports())
    rules = run["tool"]["driver"]["rules"]
    help_text = next(rule for rule in rules if rule["id"] == "INI401")["help"]

    assert [rule["id"] for rule in rules] == [rule.code for rule in all_rules()]
    assert find_rule("INI401").documentation()["Harmless when"] in help_text["markdown"]
    assert all(rule["helpUri"].endswith(f"/rules/{rule['id']}/") for rule in rules)
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    assert all(len(rule["shortDescription"]["text"]) <= 1024 for rule in rules)  # what GitHub takes
    assert all(len(rule["fullDescription"]["text"]) <= 1024 for rule in rules)


def test_suppressed_and_known_findings_are_marked_with_the_reason():
    """SARIF keeps what does not count, and says why; new and known are told apart where there is a baseline."""
    plain, ignored, known, *_ = run_of(*varied_reports())["results"]

    assert "suppressions" not in plain
    assert "baselineState" not in plain
    assert ignored["suppressions"][0]["justification"] == "tied on purpose"
    assert (ignored["baselineState"], known["baselineState"]) == ("new", "unchanged")


def test_what_could_not_be_audited_is_a_notification():
    """A log without results of a broken model must not look like a clean one."""
    run = run_of(*varied_reports())
    (invocation,) = run["invocations"]
    told = [(n["level"], n["message"]["text"].split()[0]) for n in invocation["toolExecutionNotifications"]]

    assert told == [("error", "rule"), ("warning", "trainability"), ("error", "models/broken.onnx")]
    assert invocation["executionSuccessful"] is False
    assert invocation["exitCode"] == 1
    assert run_of(dense_report())["invocations"][0]["executionSuccessful"] is True


def test_a_run_that_was_ended_is_none_that_found_nothing():
    """Its log has what was finished, and says how many models were not audited."""
    ended = {"audited": 1, "of": 9, "exit_code": 130}
    log = json.loads(find_format("sarif").render(document(dense_report(), interrupted=ended), FormatOptions()))
    validator().validate(log)
    (invocation,) = log["runs"][0]["invocations"]
    (notification,) = invocation["toolExecutionNotifications"]

    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 130)
    assert notification["level"] == "error"
    assert notification["message"]["text"] == "interrupted: 1 of 9 models audited, 8 not audited"


def test_the_log_says_which_command_made_it_and_when():
    """As the document has it."""
    head = document() | {
        "run": {"started": "2026-01-02T03:04:05Z", "command": "initaudit check m.onnx", "versions": {}}
    }
    log = json.loads(find_format("sarif").render(head, FormatOptions()))
    validator().validate(log)
    (invocation,) = log["runs"][0]["invocations"]

    assert invocation["commandLine"] == "initaudit check m.onnx"
    assert invocation["startTimeUtc"] == "2026-01-02T03:04:05Z"


def test_fingerprints_are_those_of_the_findings():
    """GitHub goes by primaryLocationLineHash, others by the tool's own."""
    prints = [result["partialFingerprints"] for result in run_of(*varied_reports())["results"]]

    assert prints[1] == {"initaudit/v1": f"{1:016x}", "primaryLocationLineHash": f"{1:016x}:1"}
    assert len({p["initaudit/v1"] for p in prints}) == len(prints)


def test_a_name_is_neither_a_link_nor_a_placeholder():
    """`[a](1)` and `{0}` mean something in a message of SARIF."""
    (result, *_) = run_of(*everywhere([dense_report(factor=0.3)], "[a](1) {0}"))["results"]

    assert result["message"]["text"].startswith(r"\[a](1) {{0}}")
