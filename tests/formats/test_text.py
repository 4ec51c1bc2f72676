"""The report for the terminal, in terminals of every width."""

from __future__ import annotations

import re

import pytest

from initaudit.format import FormatOptions
from initaudit.formats.text import TextFormat
from tests.formats.documents import dense_report, document, varied_reports


def test_a_run_that_was_ended_does_not_look_complete():
    """It is the last that is said, and of such a run alone."""
    report = dense_report() | {"failed_rules": []}
    ended = document(report, interrupted={"audited": 1, "of": 9, "exit_code": 130})

    assert TextFormat().render(ended, FormatOptions()).endswith("\n\ninterrupted: 1 of 9 models audited\n")
    assert "interrupted" not in TextFormat().render(document(report), FormatOptions())


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
