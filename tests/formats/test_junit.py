"""JUnit XML as Jenkins and GitLab read it."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from junitparser import JUnitXml

from initaudit.rule import all_rules
from tests.formats.documents import HOSTILE, dense_report, everywhere, finding, rendered, varied_reports

if TYPE_CHECKING:
    import xmlschema


@cache
def validator() -> xmlschema.XMLSchema:
    import xmlschema

    return xmlschema.XMLSchema(str(Path(__file__).parent / "schemas" / "junit-10.xsd"))


def suites(*reports):
    """The suites as a reader of JUnit sees them; the file is valid."""
    text = rendered("junit", *reports)
    validator().validate(io.StringIO(text))
    return list(JUnitXml.fromstring(text.encode()))


def outcomes(suite):
    """Name of each case that did not pass: what it is instead."""
    return {case.name: type(case.result[0]).__name__ for case in suite if case.result}


def test_a_model_is_a_suite_and_a_rule_is_a_case():
    """Names and numbers stay the same from run to run, so that a history can be read."""
    sick, healthy, asked, broken = suites(*varied_reports())

    assert [case.name for case in healthy] == ["audit", *(f"{rule.code} {rule.name}" for rule in all_rules())]
    assert [case.name for case in sick] == [case.name for case in healthy]
    assert {case.classname for case in sick} == {"models.sick"}
    assert outcomes(healthy) == {}
    assert outcomes(sick) == {"INI401 vanishing-signal": "Failure"}
    assert outcomes(asked) == {"audit": "Error", "gate": "Failure"}
    assert outcomes(broken) == {"audit": "Error"}
    assert (sick.tests, sick.failures, sick.errors, sick.skipped) == (len(list(sick)), 1, 0, 0)
    assert (broken.tests, broken.errors) == (1, 1)


@pytest.mark.parametrize(("fail_on", "failing"), [("error", 1), ("warning", 2), ("never", 0)])
def test_a_case_fails_where_the_gate_is_closed(fail_on: str, failing: int):
    """No red test in a green pipeline, nor the contrary; what does not fail is told in the case's output."""
    report = dense_report(factor=0.3)
    report["gate"] = {"fail_on": fail_on, "missed": [], "exit_code": 1}

    (suite,) = suites(report)
    quiet = [case for case in suite if case.system_out and not case.result]

    assert list(outcomes(suite).values()) == ["Failure"] * failing
    assert len(quiet) == 2 - failing


def test_what_is_suppressed_or_was_not_measured_is_skipped_with_the_reason():
    """A test that did not run has not passed."""
    report = dense_report()
    report["findings"] = [finding("INI004", "duplicate-units", "error", "/fc", "m", suppressed="tied")]
    report["probe"] |= {"status": "skipped", "mode": "none"}

    (suite,) = suites(report)
    skipped = {case.name[:6]: case.result[0].message for case in suite if case.result}

    assert skipped.pop("INI004") == "suppressed: tied"
    assert set(skipped) == {rule.code for rule in all_rules() if rule.code[3] in "45"}
    assert set(skipped.values()) == {"the signal was not measured"}


def test_only_rules_that_ran_are_cases():
    """What was not selected has not passed; without a way back no rule of the gradient has."""
    report = dense_report()
    report["options"] = {"select": ["INI0", "vanishing-gradient"]}
    report["probe"]["mode"] = "forward"

    (suite,) = suites(report)

    assert {case.name[:4] for case in suite} == {"audi", "INI0", "INI5"}
    assert outcomes(suite) == {"INI501 vanishing-gradient": "Skipped"}


def test_a_suite_takes_as_long_as_its_audit():
    """CI systems show which model is slow."""
    (suite,) = suites(dense_report() | {"timing": {"seconds": 12.3456}})

    assert suite.time == 12.346


def test_every_finding_of_a_rule_is_in_its_case():
    """The message has the first, the text all of them."""
    report = dense_report()
    report["findings"] = [finding("INI004", "duplicate-units", "error", f"/fc{i}", "m") for i in range(3)]

    (suite,) = suites(report)
    failure = next(case for case in suite if case.result).result[0]

    assert failure.message.endswith("(and 2 more)")
    assert [line.split(":")[0] for line in failure.text.splitlines()] == ["/fc0", "/fc1", "/fc2"]


def test_hostile_names_are_text():
    """Control characters cannot be written in XML at all, and markup is escaped."""
    for suite in suites(*everywhere(varied_reports(), HOSTILE)):
        assert r"\x1b[31m\n| `x` **b** <script>" in suite.name
