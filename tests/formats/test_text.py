"""The report for the terminal, in terminals of every width."""

from __future__ import annotations

import re

import pytest

from initaudit.format import FormatOptions
from initaudit.formats.text import TextFormat
from tests.formats.documents import varied_reports


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int, verbose: bool):
    """And no number is cut: columns are left out."""
    options = FormatOptions(width=width, verbose=verbose, statistics=True)

    reports = [report | {"failed_rules": []} for report in varied_reports()]

    lines = TextFormat().render({"reports": reports}, options).splitlines()

    assert [line for line in lines if len(line) > width] == []
    assert [line for line in lines if re.search(r"\d…", line)] == []
    assert any(line.startswith("layer ") for line in lines)
