"""JSON: the machine-readable contract."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from initaudit.format import Format, FormatOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


class JsonFormat(Format):
    """One document for all reports; see `initaudit/schema.json`."""

    name = "json"
    suffix = ".json"

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """Keys in the order of the contract; a line per layer and per finding, which the fast encoder writes and `diff` reads."""
        entries = [_members(report, "  ") for report in document["reports"]]
        head = ", ".join(f"{_text(key)}: {_text(value)}" for key, value in document.items() if key != "reports")
        return f'{{{head}, "reports": [\n' + ",\n".join(entries) + "\n]}\n"


def _members(report: dict[str, Any], indent: str) -> str:
    lines = []
    for key, value in report.items():
        if isinstance(value, list) and value:
            body = ",\n".join(f"{indent}    {_text(item)}" for item in value)
            lines.append(f"{indent}  {_text(key)}: [\n{body}\n{indent}  ]")
        else:
            lines.append(f"{indent}  {_text(key)}: {_text(value)}")
    return f"{indent}{{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _text(value: Any) -> str:
    return json.dumps(value, allow_nan=False)
