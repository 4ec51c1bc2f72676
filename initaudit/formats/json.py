"""JSON: the machine-readable contract."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from initaudit.document import document
from initaudit.format import Format, FormatOptions

if TYPE_CHECKING:
    from initaudit.report import Report


class JsonFormat(Format):
    """One document for all reports; see `initaudit/schema.json`."""

    name = "json"
    suffix = ".json"

    def render(self, reports: Sequence[Report], options: FormatOptions) -> str:
        """Indented by two, keys in the order of the contract."""
        del options
        return json.dumps(document(reports), indent=2, allow_nan=False) + "\n"
