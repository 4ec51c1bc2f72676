"""JSON: the machine-readable contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.format import Format, FormatOptions
from initaudit.formats.printing import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class JsonFormat(Format):
    """One document for all reports; see `initaudit/schema.json`."""

    name = "json"
    suffix = ".json"

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """Keys in the order of the contract; a line per layer and per finding, which the fast encoder writes and `diff` reads."""
        head = {key: value for key, value in document.items() if key != "reports"}
        return "".join(self.pieces(head, document["reports"], options))

    def pieces(
        self, head: Mapping[str, Any], reports: Iterable[Mapping[str, Any]], options: FormatOptions
    ) -> Iterator[str]:
        """The head, a piece a report, then the run, of which all is known only at the end."""
        del options
        yield from _document(head, "reports", reports)

    def compare(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The document of a comparison, `comparison` in the schema, laid out in the same way."""
        del options
        head = {key: value for key, value in document.items() if key != "comparisons"}
        return "".join(_document(head, "comparisons", document["comparisons"]))

    def starts(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The document, `starts` in the schema, in one line."""
        del options
        return json_text(document) + "\n"

    def race(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The document, `race` in the schema, in one line."""
        del options
        return json_text(document) + "\n"


def _document(head: Mapping[str, Any], name: str, parts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    members = ", ".join(f"{json_text(key)}: {json_text(value)}" for key, value in head.items() if key != "run")
    yield f'{{{members}, "{name}": ['
    between = "\n"
    for part in parts:
        yield between + _members(part, "  ")
        between = ",\n"
    yield f'\n], "run": {json_text(head["run"])}}}\n'


def _members(report: Mapping[str, Any], indent: str) -> str:
    lines = []
    for key, value in report.items():
        if isinstance(value, list) and value:
            body = ",\n".join(f"{indent}    {json_text(item)}" for item in value)
            lines.append(f"{indent}  {json_text(key)}: [\n{body}\n{indent}  ]")
        else:
            lines.append(f"{indent}  {json_text(key)}: {json_text(value)}")
    return f"{indent}{{\n" + ",\n".join(lines) + f"\n{indent}}}"
