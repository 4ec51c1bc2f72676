"""HTML: the report for people, one file that opens anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initaudit.format import Format, FormatOptions


class Html(Format):
    """One self-contained page; `initaudit.html` says how."""

    name = "html"
    suffix = ".html"

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The page for this document, with the explanation of every rule that has findings in them."""
        from initaudit.formats.page.page import page
        from initaudit.rule import all_rules

        del options
        rules = {rule.code: {"name": rule.name, "url": rule.page(), **rule.documentation()} for rule in all_rules()}
        return page(document, rules)

    def compare(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """A page without script."""
        from initaudit.formats.page.comparison import comparison_page

        del options
        return comparison_page(document)

    def starts(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The table, a line a start through depth, and what the activations see."""
        from initaudit.formats.page.starts import starts_page

        del options
        return starts_page(document)

    def race(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The table, and curves with a band over the draws."""
        from initaudit.formats.page.race import race_page

        del options
        return race_page(document)
