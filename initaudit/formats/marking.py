"""Markdown from untrusted text, in pages that stay within what a comment may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from initaudit.formats.printing import visible

if TYPE_CHECKING:
    from initaudit.formats.telling import Part

LIMIT = 65_536
"""Characters of a comment on GitHub (its API refuses more); counted in bytes, to be on the safe side. GitLab and job summaries take more."""
RESERVE = 400
"""Bytes kept for closing what is open and for the line that says what was left out: the longest takes about 300."""
MAX_NAME = 120
"""Characters of a name; of a longer one the end is shown, where paths differ. A judgement of what a cell of a table bears."""
MAX_TEXT = 1200
"""Characters of a sentence that names in it have blown up; the longest message of a rule has about 600."""

MAX_LINES = 30
"""Lines of a folded list; the rest are counted, so that the next model has its place. A judgement of what is still read."""

SPAN = re.compile(r"(?<![\w`])(`[A-Za-z-][\w .,:=()-]*`)(?![\w`])")
"""Commands, options and names of Python in backquotes, as messages have them; it takes no character that ends a cell, a span or a tag."""

MARKS = {"error": "🚫", "fail": "❌", "warn": "⚠️", "pass": "✅"}


def code(text: str, *, table: bool = True) -> str:
    """A name in a code span, where it is no markup and mentions nobody; in a table bars are escaped."""
    text = visible(text)
    if len(text) > MAX_NAME:
        text = "…" + text[1 - MAX_NAME :]
    longest = max((len(list(run)) for tick, run in groupby(text) if tick == "`"), default=0)
    fence, gap = "`" * (longest + 1), " " if longest or text != text.strip() else ""
    span = f"{fence}{gap}{text}{gap}{fence}"
    return span.replace("|", "\\|") if table else span


def prose(text: str) -> str:
    """Plain text with spans of code: nothing else in it is markup, and nothing a link, a mention or a reference."""
    text = " ".join(visible(text).split())
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT - 1] + "…"
    return "".join(part if index % 2 else _escaped(part) for index, part in enumerate(SPAN.split(text)))


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_\[\]|~])", r"\\\1", text)
    # Mentions, references, mathematics and bare addresses are found in what is left as text; an element in between parts it.
    return re.sub(r"([@#$]|:(?=//)|\bwww(?=\.))", r"\1<!-- -->", text)


def rule_link(finding: Part) -> str:
    """Code and name of the rule, the code leading to its page where it has one."""
    address = finding.get("url") or ""
    named = prose(finding["name"])
    if not re.fullmatch(r"https?://[\w.~:/#?=&%+-]+", address):
        return f"{prose(finding['code'])} {named}"
    return f"[{prose(finding['code'])}]({address}) {named}"


class Page:
    """Text within a limit: once something does not fit, what comes behind it is left out too, and counted."""

    def __init__(self, limit: int = LIMIT) -> None:
        """An empty page of at most `limit` bytes."""
        self._parts: list[str] = []
        self._room = limit - RESERVE
        self.is_full = False
        self._left_out = 0

    def add(self, text: str) -> bool:
        """Whether it fitted."""
        size = len(text.encode())
        self.is_full = self.is_full or size > self._room
        if self.is_full:
            self._left_out += 1
            return False
        self._room -= size
        self._parts.append(text)
        return True

    def add_table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Rows of cells that are Markdown; numbers at the right where a heading ends in a colon."""
        names = [heading.removesuffix(":") for heading in headings]
        rule = ["--:" if heading.endswith(":") else "---" for heading in headings]
        for cells in (names, rule, *rows):
            self.add(f"| {' | '.join(cells)} |\n")

    def add_details(self, summary: str, lines: Sequence[str]) -> None:
        """A list that opens at a click; nothing where there is nothing in it."""
        if not lines:
            return
        opened = self.add(f"\n<details><summary>{summary} ({len(lines)})</summary>\n\n")
        for line in lines[:MAX_LINES]:
            self.add(f"- {line}\n")
        if len(lines) > MAX_LINES:
            self.add(f"- and {len(lines) - MAX_LINES:,} more\n")
        if opened:
            self._parts.append("\n</details>\n")

    def text(self) -> str:
        """All of it, and at the end how much was left out."""
        if self._left_out:
            self._parts.append(
                f"\n_{self._left_out:,} more lines are left out, for a comment holds {LIMIT:,} characters: "
                "the HTML and the JSON report have them all._\n"
            )
            self._left_out = 0
        return "".join(self._parts)
