"""Discovery, and what every discovered part must have."""

from __future__ import annotations

import re

import pytest

from initaudit.findings import matches
from initaudit.format import Format, all_formats
from initaudit.report.document import document
from initaudit.rule import DOC_SECTIONS, Rule, all_rules, find_rule


def test_rule_codes_and_names_are_unique():
    """A code or a name selects one rule."""
    rules = all_rules()

    assert len({r.code for r in rules}) == len({r.name for r in rules}) == len(rules) >= 27


@pytest.mark.parametrize("rule", all_rules(), ids=lambda r: r.code)
def test_every_rule_documents_itself(rule: Rule):
    """The docstring has all sections, none empty, and the file is named after code and name."""
    documentation = rule.documentation()

    assert re.fullmatch(r"INI\d{3}", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert documentation["summary"].endswith(".")
    assert all(documentation[section] for section in DOC_SECTIONS)
    assert type(rule).__module__.endswith(f"{rule.code.lower()}_{rule.name.replace('-', '_')}")


def test_rules_are_found_by_code_and_by_name_in_any_case():
    """`INI401`, `ini401` and `vanishing-signal` are the same rule."""
    found = {find_rule(word) for word in ("INI401", "ini401", "vanishing-signal")}

    assert len(found) == 1
    assert find_rule("INI999") is None


def test_a_selector_is_a_code_its_beginning_a_name_or_all():
    """`INI4` selects the signal rules and no other."""
    selected = [r.code for r in all_rules() if matches(r, "INI4")]

    assert selected == ["INI401", "INI402", "INI403", "INI404", "INI405", "INI406", "INI408", "INI409"]
    assert all(matches(r, "all") for r in all_rules())


@pytest.mark.parametrize("output_format", all_formats().values(), ids=lambda f: f.name)
def test_every_format_renders_nothing_as_a_document(output_format: Format):
    """No reports is no error."""
    from initaudit.format import FormatOptions

    text = output_format.render(document([]), FormatOptions())

    assert text.endswith("\n")


def test_help_names_exactly_the_formats_that_exist():
    """What the help lists works, and what works is listed."""
    from initaudit.cli.check import command

    option = next(p for p in command.params if p.name == "output_format")
    listed = set(re.findall(r"[a-z]+", option.help.split(".")[0])) - {"default", "or", "and"}

    assert listed == set(all_formats())
