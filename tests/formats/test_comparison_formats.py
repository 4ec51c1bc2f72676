"""Comparisons as people read them: text, Markdown and the page."""

from __future__ import annotations

import json
import re

import pytest
from markdown_it import MarkdownIt

from initaudit.format import Format, FormatOptions, all_formats, find_format
from initaudit.report.comparison import compared, comparison
from tests.formats.documents import HOSTILE, dense_report, everywhere, finding

GATE = {"fail_on": "error", "missed": [], "exit_code": 1}


def document(*, text: str = "", depth: int = 6):
    """A network before and after its scale fell, with a finding of every fate; `text` in front of every name."""
    before, after = dense_report(depth=depth), dense_report(depth=depth, factor=0.3)
    for print_, (was, now) in enumerate(
        [(None, "error"), ("info", "error"), ("error", "warning"), ("error", None), ("info", "info")]
    ):
        for report, severity in ((before, was), (after, now)):
            if severity is not None:
                more = {"fingerprint": f"{print_:016x}", "initializer": f"w{print_}"}
                report["findings"].append(
                    finding(f"INI00{print_}", "some-name", severity, None, f"message {print_}", **more)
                )
    models = everywhere([before, after], text) if text else [before, after]
    return comparison([compared(*models)], GATE, versions=("0.1.0", "0.1.0"))


def shown(name: str, text: str = "", **options: object) -> str:
    return find_format(name).compare(document(text=text), FormatOptions(**options))


@pytest.mark.parametrize("name", all_formats())
def test_every_format_shows_no_models_as_well(name: str):
    """An empty report on both sides is no error."""
    text = find_format(name).compare(comparison([], GATE, versions=("0.1.0", "0.1.0")), FormatOptions())

    assert text.endswith("\n")
    assert find_format(name).can_compare()
    assert not _Other().can_compare()


class _Other(Format):
    name, suffix = "other", ".other"

    def render(self, document, options):
        return "\n"


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_fates_are_in_words_and_what_came_is_first(name: str):
    """New, more severe, less severe, gone; what is as before is folded or counted."""
    text = shown(name)
    words = ["new", "more severe", "less severe", "gone"]
    places = [
        re.search(rf"\b{word}\b[^.]{{0,80}}INI00{i}", re.sub(r"<[^>]*>|[*|\[\]]", " ", text), re.DOTALL)
        for i, word in enumerate(words)
    ]

    assert all(places)
    assert [place.start() for place in places] == sorted(place.start() for place in places)


def test_of_several_models_the_worst_comes_first():
    """In a table at the top that leads to each."""
    well, sick = dense_report(depth=3, name="well"), dense_report(depth=3, factor=0.3, name="sick")
    several = comparison(
        [compared(well, well), compared(None, sick), compared(well, sick)], GATE, versions=("0.1.0", "0.1.0")
    )

    page = find_format("html").compare(several, FormatOptions())
    markdown = find_format("markdown").compare(several, FormatOptions())

    assert re.findall(r'<a href="#m(\d)">', page) == re.findall(r'id="m(\d)"', page) == ["1", "2", "3"]
    assert re.findall(r"^### . `(?:models/well.onnx → )?models/(\w+)", markdown, re.MULTILINE) == [
        "sick",
        "sick",
        "well",
    ]


def test_versions_that_differ_are_said():
    """Another version may judge differently."""
    other = comparison([], GATE, versions=("0.1.0", "0.2.0"))

    for name in ("text", "markdown", "html"):
        assert "0.1.0 and 0.2.0" in find_format(name).compare(other, FormatOptions())


def test_hostile_names_stay_text():
    """On the page, in Markdown, in the terminal, in JSON."""
    page, markdown, text = (shown(name, HOSTILE) for name in ("html", "markdown", "text"))
    rendered = MarkdownIt("commonmark").enable("table").render(markdown)

    assert "<script" not in page
    assert not re.search(r"<script|<a |@all", re.sub(r"<code>.*?</code>", "", rendered, flags=re.DOTALL))
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert not {"\x1b", "\u202e"} & set(page + markdown + text)
    assert "##vso[" not in text + shown("json", HOSTILE)
    assert json.loads(shown("json", HOSTILE))["comparisons"][0]["outcome"] == "mixed"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_terminal_is_wide_enough(width: int):
    """Columns go before numbers are cut."""
    assert max(map(len, shown("text", width=width).splitlines())) <= width


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 800, 1400])
def test_the_page_fits_and_its_policy_lets_its_style_in(browser, width: int):
    """No script, no error, nothing asked of the network, no scrolling sideways."""
    page = browser.open(shown("html"), width=width)

    assert page.errors() == []
    assert [url for url in page.requests() if url.startswith("http")] == []
    assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")
    assert page.run("return getComputedStyle(document.querySelector('.compared')).borderTopWidth") == "5px"
