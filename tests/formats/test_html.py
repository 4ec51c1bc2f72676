"""The HTML report as text, without a browser."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import initaudit
from initaudit.formats.page import words
from initaudit.formats.page.page import page
from initaudit.formats.printing import is_hidden, number
from tests.formats import documents
from tests.formats.pages import Page

SAMPLES = Path(__file__).parents[2] / "sample_models"

HOSTILE = "</script><script>owned=1</script><img src=x onerror=owned=1>\"'&{{7*7}}<!--`"


def render(*reports):
    return page(documents.document(*reports), documents.RULES)


def without(value, names):
    """The same document without these keys."""
    if isinstance(value, dict):
        return {k: without(v, names) for k, v in value.items() if k not in names}
    return [without(item, names) for item in value] if isinstance(value, list) else value


def test_page_needs_nothing_from_anywhere():
    """No element of the page names another file or a server."""
    elements = Page(render(documents.dense_report(depth=3))).elements

    places = [
        v
        for _, attributes in elements
        for k, v in attributes.items()
        if k in ("src", "href", "action", "data", "srcset")
    ]
    assert places
    assert all(place.startswith("#") or place == "data:," for place in places)


def test_policy_allows_exactly_the_script_and_style_of_the_page():
    """The hashes in the content security policy are those of the two inline blocks, and nothing else may run or load."""
    html = Page(render(documents.dense_report(depth=3)))
    policy = next(a["content"] for _, a in html.elements if a.get("http-equiv") == "Content-Security-Policy")

    script = html.contents("script")[-1]
    for block in (script, html.contents("style")[0]):
        assert base64.b64encode(hashlib.sha256(block.encode()).digest()).decode() in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_hostile_names_add_no_element():
    """HTML in any name or message of the model changes texts, never the structure of the page."""
    report = documents.dense_report(depth=6, factor=0.3)

    html = render(documents.everywhere(report, HOSTILE))
    plain, hostile = Page(render(report)), Page(html)
    structure = [tag for tag, _ in plain.elements if tag not in ("code", "wbr")]
    assert [tag for tag, _ in hostile.elements if tag not in ("code", "wbr")] == structure
    assert "owned=1</script>" not in html
    assert "{{7*7}}" in html


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=30))
def test_no_character_of_a_name_is_hidden(name):
    """Control characters, bidirectional overrides and lone surrogates are written out, so that the page shows what the name holds."""
    report = documents.everywhere(documents.dense_report(depth=2, factor=0.01, width=4), name)

    html = render(report)
    assert not {c for c in set(html) - {"\n"} if is_hidden(c)}
    html.encode("utf-8")


def test_same_document_gives_same_page():
    """Nothing but the document decides what the page is."""
    report = documents.dense_report(depth=4)

    assert render(report) == render(copy.deepcopy(report))


def test_advice_is_shown_for_the_fitting_reader_and_folded_for_the_others():
    """The first of the document's advice stands open, line by line; names in it cannot break out of the page."""
    report = documents.dense_report(depth=2)
    advice = [
        {"reader": "pytorch", "text": "Before training:", "code": "first_(model)\nsecond_('<b>')"},
        {"reader": "onnx", "text": "In the file:", "code": "initaudit fix"},
    ]
    report["findings"] = [documents.finding("INI101", "small", "error", None, "small", advice=advice)]

    html = render(report)

    assert '<code class="line">first_(model)</code><code class="line">second_(&#39;&lt;b&gt;&#39;)</code>' in html
    assert "<summary>The file</summary>" in html


def test_island_holds_one_value_per_layer():
    """Every column of the data island has an entry for each layer, and numbers that JSON lacks stand as words or null."""
    report = documents.dense_report(depth=5)
    report["layers"][2]["signal"]["variance"] = "NaN"
    report["layers"][3]["signal"] = None
    report["layers"][4]["stats"]["std"] = float("inf")

    (island,) = Page(render(report)).islands()
    columns = [
        *island["series"].values(),
        *(values for _, _, values in island["facts"]),
        island["titles"],
        island["fixes"],
    ]
    assert {len(column) for column in columns} == {5}
    assert island["series"]["variance"][2:4] == ["NaN", None]
    assert island["series"]["std"][4] == "∞"


def test_contract_alone_is_enough():
    """A document with nothing beyond the published keys gives a page: the other keys are a bonus."""
    extra = {"title", "depth", "probe", "evidence_", "first_lost", "histogram", "after", "predicted_variance", "growth", "gradient_error",
             "gradient_resolved", "activation_params", "duplicate_units", "subnormal", "spectral_norm", "run", "options", "timing", "elements"}  # fmt: skip
    document = without(documents.document(documents.dense_report(depth=3, factor=0.1)), extra)
    del document["reports"][0]["verdict"]["evidence"]

    shown = Page(page(document, documents.RULES))
    assert any("Through depth" in text for text in shown.contents("h2"))
    assert shown.contents("h3")


@pytest.mark.parametrize("missing", ["signal", "target", "provenance", "activation"])
def test_what_is_unknown_is_a_dash(missing):
    """A layer without signal, target or provenance is shown with a dash in its place."""
    report = documents.dense_report(depth=3)
    for layer in report["layers"]:
        layer[missing] = None
    report["verdict"]["trainability"] = None

    html = render(report)
    assert f"<td>{words.NOTHING}</td>" in html
    assert "not measured" in html
    assert "None" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_error_report_says_why():
    """A model that could not be read gets its reason, and no empty tables."""
    html = render(documents.error_report(reason="is a Git LFS pointer: run `git lfs pull`"))

    assert "is a Git LFS pointer: run <code>git lfs pull</code>" in html
    assert "<table" not in html
    assert "<figure" not in html


def test_suppressed_findings_are_folded_with_their_reason():
    """A suppressed finding counts nowhere but can be read, with the reason it does not count."""
    report = documents.dense_report(depth=3, factor=0.01)
    for finding in report["findings"]:
        finding["suppressed"] = "accepted in the baseline"

    html = render(report)
    assert f"No findings ({len(report['findings'])} suppressed)" in html
    assert "suppressed: accepted in the baseline" in html


def test_only_rules_with_findings_are_explained():
    """The page explains the rules its findings come from, and no others."""
    html = render(documents.dense_report(depth=6, factor=0.3))

    assert 'id="rule-INI401"' in html
    assert 'href="https://docs.example/rules/INI401/"' in html
    assert "INI602" not in html


def test_report_on_500_layers_stays_below_3_mb():
    """Ten times the layers of a ResNet-50 still make a file that a mail server takes."""
    report = documents.dense_report(depth=500, width=32, factor=0.99)

    assert len(render(report).encode()) < 3_000_000


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0"), (0.0589256, "0.0589"), (1.2e-17, "1.2e-17"), (12345.6, "12,346"), (11689512, "11,689,512"), (123456.7, "1.23e5"),
     (1.0, "1"), (100.0, "100"), (-0.5, "-0.5"), (float("nan"), "NaN"), (float("-inf"), "-∞"), (True, "yes"), ("inf", "inf")],
)  # fmt: skip
def test_numbers_have_three_digits(value, shown):
    """Three significant digits, whole numbers in full, the way people write them."""
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0 %"), (0.001, "<1 %"), (0.5, "50 %"), (0.9999, ">99 %"), (1.0, "100 %"), (None, "–")]
)
def test_shares_are_never_rounded_to_all_or_nothing(value, shown):
    """99.99 % is not all, and one in a thousand is not none."""
    assert words.share(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (46_800_000, "46.8 MB"), (4e9, "4 GB")]
)
def test_sizes_have_decimal_units(value, shown):
    """A kB is 1000 bytes, as on a disk."""
    assert words.size(value) == shown


def test_journey_names_both_ends_and_the_factor():
    """The sentence under a chart says where the quantity starts and ends, and how much it changed if it did."""
    assert words.journey([1.0, None, 1e-6]) == "1 at layer 1, 1e-6 at layer 3: falls by a factor of 1e6 on the way"
    assert words.journey([1.0, 1.1]) == "1 at layer 1, 1.1 at layer 2"
    assert words.journey([None, "NaN"]) is None


def test_html_format_shows_a_real_audit():
    """The format called html makes the page of a report as the audit gives it, with the explanation of its rules."""
    report = initaudit.audit(SAMPLES / "relu4_zero.onnx", probe="none")

    html = report.to_html()
    assert html.endswith("</html>\n")
    assert report.findings
    for finding in report.findings:
        assert f'id="rule-{finding.code}"' in html
    (island,) = Page(html).islands()
    assert island["names"] == [layer.layer.name for layer in report.audit.layers]


def test_a_trained_network_is_not_asked_whether_it_would_learn():
    """Trainability is a question of the start: a trained network shows no gauge, on the page of one model or of several."""
    fresh = documents.dense_report(depth=3, context="fresh")
    trained = documents.dense_report(depth=3, context="trained")

    def gauges(report):
        return [attributes for _, attributes in Page(render(report)).elements if attributes.get("class") == "gauge"]

    assert gauges(fresh)
    assert not gauges(trained)
    assert "97 %" in render(fresh, fresh)
    assert "97 %" not in render(trained, trained)


def test_page_says_when_how_and_with_what_it_was_made():
    """Date, command, versions, options and the hash of the file: enough to make the report again."""
    html = " ".join(re.sub(r"<[^>]+>", " ", render(documents.dense_report(depth=2))).split())

    assert "audited 2026-03-09 14:05 UTC" in html
    assert "with python 3.12.1, numpy 2.1.0; schema 1" in html
    assert "Command: initaudit check models" in html
    assert "input-shapes x 64×48" in html
    assert "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" in html
    assert "Audited in 1.25 s" in html


def test_a_run_that_was_ended_does_not_look_complete():
    """It is said before the models, and of such a run alone."""
    ended = documents.document(documents.dense_report(), interrupted={"audited": 1, "of": 9, "exit_code": 130})
    html = page(ended, documents.RULES)

    told = "Interrupted: 1 of 9 models audited."
    assert html.index(told) < html.index('class="name"')
    assert told not in render(documents.dense_report())


def test_what_the_charts_show_is_there_without_a_script():
    """A picture drawn beforehand and a table with every layer: nothing that is measured needs JavaScript to be read."""
    report = documents.dense_report(depth=5, activation="tanh")
    shown = Page(render(report))

    pictures = [a["aria-label"] for tag, a in shown.elements if tag == "svg" and "Through depth" in a.get("aria-label", "")]  # fmt: skip
    cells = shown.contents("td")
    assert len(pictures) == 1
    assert "Signal: variance of a layer's output" in pictures[0]
    for layer in report["layers"]:
        for name in ("variance", "mean_square", "similarity", "dead", "saturated", "gradient_rms"):
            assert number(layer["signal"][name]) in cells


def test_models_stand_worst_first_under_names_without_their_common_folder():
    """A reader of forty models sees what fails, and not the same folder forty times."""
    shown = Page(render(documents.dense_report(name="zoo/good"), documents.dense_report(name="zoo/bad", factor=0.1)))

    assert [text for text in shown.contents("span") if text.endswith(".onnx")] == ["bad.onnx", "good.onnx"]
    assert "models/zoo/" in shown.contents("code")
