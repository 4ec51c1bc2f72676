"""Markdown for job summaries and comments on pull requests."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from initaudit.format import FormatOptions, find_format
from tests.formats.documents import (
    HOSTILE,
    dense_report,
    document,
    error_report,
    everywhere,
    finding,
    rendered,
    varied_reports,
)


def test_the_worst_model_comes_first_and_counts_are_at_the_top():
    """Who reads the first line knows how it went."""
    text = rendered("markdown", *varied_reports())

    assert text.startswith("## initaudit: 4 models, 1 not audited, 2 failed, 1 passed\n")
    assert re.findall(r"^### \S+ `models/(\w+)", text, re.MULTILINE) == ["broken", "sick", "asked", "healthy"]
    assert "**The gate is closed: trainability 0.5 is below 0.9.**" in text
    assert "**rule INI999" in text


def test_a_run_that_was_ended_does_not_look_complete():
    """It is said before the models, and of such a run alone."""
    ended = document(dense_report(), interrupted={"audited": 1, "of": 9, "exit_code": 130})
    text = find_format("markdown").render(ended, FormatOptions())

    assert text.index("**interrupted: 1 of 9 models audited**") < text.index("### ")
    assert "interrupted" not in rendered("markdown", dense_report())


def test_a_fault_in_many_layers_is_one_row_and_its_places_are_folded():
    """A table that is read, and details at a click; what is suppressed has its reason."""
    text = rendered("markdown", varied_reports()[0])
    rows = [line for line in text.splitlines() if line.startswith(("| error", "| warning"))]
    details = re.findall(r"<details><summary>(.*?) \((\d+)\)</summary>", text)

    assert len(rows) == 2
    assert "and 9 more" in rows[1]
    assert details == [("Where else", "9"), ("Suppressed", "2"), ("Coverage", "3")]
    assert text.count("<details>") == text.count("</details>")
    assert "tied on purpose" in text


def test_notes_are_folded_unless_they_are_asked_for():
    """As in the text report."""
    report = dense_report()
    report["findings"] = [finding("INI104", "mean-off-zero", "info", "/fc", "m")]

    assert "| info |" not in rendered("markdown", report)
    assert "<summary>Info (1)" in rendered("markdown", report)
    assert "| info |" in rendered("markdown", report, verbose=True)


def test_a_comment_holds_it_and_what_is_left_out_is_said():
    """GitHub refuses a comment of more than 65,536 characters."""
    report = dense_report(depth=3)
    report["findings"] = [finding(f"INI{i:03}", "x" * 50, "error", "/fc" * 5000, "é" * 5000) for i in range(100, 400)]
    many = [error_report(f"models/{i}.onnx", "broken") for i in range(3000)]

    for text in (rendered("markdown", report, report), rendered("markdown", *many)):
        assert 60_000 < len(text.encode()) <= 65_536
        assert re.search(r"_[\d,]+ more lines are left out", text)
        assert text.count("<details>") == text.count("</details>")
    assert "left out" not in rendered("markdown", *varied_reports())


def test_hostile_names_are_neither_markup_nor_mentions():
    """Markup is escaped, mentions and references are broken up, and a table keeps its columns."""
    text = rendered("markdown", *everywhere(varied_reports(), HOSTILE + "``` https://evil.example www.evil.example"))
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    outside = re.sub(r"<code>.*?</code>", "", html, flags=re.DOTALL)
    cells = {len(re.findall(r"<t[dh]", row)) for row in re.findall(r"<tr>.*?</tr>", html, re.DOTALL)}

    assert not re.search(r"<script|<a |<strong>b|<del>|@all|#1|://|www\.", outside)
    assert "@all #1" in "".join(re.findall(r"<code>(.*?)</code>", html, re.DOTALL))
    assert cells == {4, 5}
    assert "\x1b" not in text


def test_code_in_a_message_is_code_and_a_name_with_backquotes_is_none():
    """Commands and options that messages name in backquotes; what a model calls its layers stays text."""
    message = "Try `initaudit fix --all` (`--input-data`): x`y`z, ``a`, `<b>`, `@all|`, `open"
    report = dense_report()
    report["findings"] = [
        finding("INI104", "mean-off-zero", severity, "/fc", message) for severity in ("error", "info")
    ]

    html = MarkdownIt("commonmark").enable("table").render(rendered("markdown", report))
    shown = re.findall(r"Try .*(?=\n|</td>)", html)

    assert len(shown) == 2
    for text in shown:
        assert re.findall(r"<code>(.*?)</code>", text) == ["initaudit fix --all", "--input-data"]
        assert "x`y`z, ``a`, `&lt;b&gt;`, `@<!-- -->all|`, `open" in text


def test_a_name_is_shown_as_it_is_wherever_it_stands():
    """Bars and backticks neither close a cell nor a span of code."""
    report = dense_report(name="a|b`c``d")
    report["findings"] = [finding("INI104", "mean-off-zero", "error", name, "m") for name in ("x|y`z", "`|`")]

    html = MarkdownIt("commonmark").enable("table").render(rendered("markdown", report, report))
    spans = [span for span in re.findall(r"<code>(.*?)</code>", html) if span != "initaudit fix"]

    assert spans == ["models/a|b`c``d.onnx"] * 2 + ["models/a|b`c``d.onnx", "x|y`z", "`|`", "rope.table"] * 2


def test_a_rule_leads_to_its_page_and_nowhere_else():
    """An address that is none is left out; a rule of another package may have no page."""
    report = dense_report()
    addresses = ["https://x.example/rules/INI104/", "javascript:alert(1)", "https://x) <img src=y>", ""]
    report["findings"] = [
        finding(f"INI10{i}", "mean-off-zero", "error", "/fc", "m", url=url) for i, url in enumerate(addresses)
    ]

    html = MarkdownIt("commonmark").enable("table").render(rendered("markdown", report))

    assert re.findall(r'<a href="(.*?)">(.*?)</a>', html) == [(addresses[0], "INI100")]
    assert "<img" not in html


def test_statistics_count_findings_by_rule_and_list_chi():
    """As in the text report, folded."""
    report = dense_report(depth=2)
    report["findings"] = [finding("INI104", "mean-off-zero", "info", f"/fc{i}", "m") for i in range(3)]
    report["layers"][0]["signal"]["chi"] = 0.25

    text = rendered("markdown", report, statistics=True)

    assert "3 INI104 mean-off-zero (info)" in text
    assert "0.25 by theory" in text
    assert "by theory" not in rendered("markdown", report)
