"""Addresses of the project: one place says them, and what else names them says the same."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import ClassVar

from initaudit import home
from initaudit.findings import Severity
from initaudit.rule import Rule, all_rules

ROOT = Path(__file__).resolve().parents[1]


class FromElsewhere(Rule):
    """A rule of another package."""

    code, name, severity = "ACM001", "odd-width", Severity.WARNING


class WithPage(FromElsewhere):
    """One that has a page."""

    url: ClassVar[str] = "https://acme.example/ACM001"


def test_the_package_index_is_told_the_same_addresses():
    """`project.urls` in pyproject.toml."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]

    assert urls == {"Documentation": home.DOCUMENTATION, "Source": home.REPOSITORY}


def test_each_rule_and_each_finding_has_the_page_of_its_code():
    """Rules of other packages have the page that they name, or none: initaudit's site knows nothing of them."""
    pages = {rule.page() for rule in all_rules()}

    assert pages == {f"{home.DOCUMENTATION}rules/{rule.code}/" for rule in all_rules()}
    assert [rule.finding(None, "found").url for rule in all_rules()] == [rule.page() for rule in all_rules()]
    assert (FromElsewhere.page(), WithPage.page()) == ("", "https://acme.example/ACM001")
