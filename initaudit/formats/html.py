"""HTML: the report for people, one file that opens anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from initaudit.format import Format, FormatOptions

if TYPE_CHECKING:
    from initaudit.report import Report


class Html(Format):
    """One self-contained page; `initaudit.html` says how."""

    name = "html"
    suffix = ".html"

    def render(self, reports: Sequence[Report], options: FormatOptions) -> str:
        """The page for these reports, with the explanation of every rule that has findings in them."""
        from initaudit.document import document
        from initaudit.html.page import page
        from initaudit.rule import all_rules

        del options
        rules = {rule.code: {"name": rule.name, **rule.documentation()} for rule in all_rules()}
        return page(document(reports), rules)
