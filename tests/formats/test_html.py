"""The HTML report as text, without a browser."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import shlex
from fnmatch import fnmatchcase
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import initaudit
from initaudit.errors import FixRefused
from initaudit.formats.page import words
from initaudit.formats.page.page import page
from initaudit.formats.printing import is_hidden, number
from tests.formats import documents

SAMPLES = Path(__file__).parents[2] / "sample_models"

HOSTILE = "</script><script>owned=1</script><img src=x onerror=owned=1>\"'&{{7*7}}<!--`"


class Page(HTMLParser):
    """Elements, attributes and texts of a page as a browser's parser sees them."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.texts = {}
        self.inside = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        while self.inside and self.elements[self.inside.pop()][0] != tag:
            pass

    def handle_data(self, data):
        if self.inside:
            self.texts[self.inside[-1]] = self.texts.get(self.inside[-1], "") + data

    def contents(self, tag):
        return [self.texts.get(i, "") for i, (name, _) in enumerate(self.elements) if name == tag]

    def islands(self):
        return [
            json.loads(self.texts[i])
            for i, (_, attributes) in enumerate(self.elements)
            if attributes.get("class") == "island"
        ]


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
    assert not [c for c in html if is_hidden(c) and c != "\n"]
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
             "gradient_resolved", "activation_params", "duplicate_units", "subnormal", "spectral_norm"}  # fmt: skip
    report = without(documents.dense_report(depth=3, factor=0.1), extra)
    del report["verdict"]["evidence"]

    texts = Page(render(report)).contents("h3")
    assert any("Through depth" in text for text in Page(render(report)).contents("h2"))
    assert texts


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


# Few characters, so that one name's glob comes to match another name unless it is escaped.
NAMES = st.text("ab*?[]\n", min_size=1, max_size=3) | st.text(min_size=1, max_size=8)


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_fix_command_names_its_layer_alone(names):
    """Read by a shell, the command selects the layer it was made for and no other, and holds no hidden character."""
    command = words.fix_command("models/net.onnx", names[0], names)

    if command is not None:
        assert not [c for c in command if is_hidden(c)]
        *rest, pattern = shlex.split(command)
        assert rest == ["initaudit", "fix", "models/net.onnx", "-o", "fixed.onnx", "--layers"]
        assert [name for name in names if fnmatchcase(name, pattern)] == [names[0]]


@pytest.mark.parametrize("path", ["a b.onnx", "$(reboot).onnx", "a';reboot;'.onnx", "`x`.onnx"])
def test_fix_command_quotes_the_path(path):
    """A path with shell characters stays one argument."""
    assert shlex.split(words.fix_command(path))[2] == path


def test_fix_command_shields_a_leading_dash_and_refuses_hidden_characters():
    """A path must not become an option, and what cannot be seen must not be pasted."""
    assert shlex.split(words.fix_command("-o.onnx"))[2] == "./-o.onnx"
    assert words.fix_command("a\x1b[2J.onnx") is None
    assert words.fix_command("a.onnx", "x" * 1000, ["x" * 1000]) is None


def offers(report):
    """Whether the page offers to fix the network, and each of its layers alone."""
    html = render(report)
    (island,) = Page(html).islands()
    return "draws the weights of the layers below anew" in html, [fix is not None for fix in island["fixes"]]


@pytest.mark.parametrize(
    ("severity", "remedy", "offered"),
    [
        ("error", "draw-layer", (True, [True, False])),
        ("warning", "draw-network", (True, [False, False])),
        ("info", "draw-layer", (False, [False, False])),
        ("error", "restore-layer", (False, [False, False])),
        ("error", "check", (False, [False, False])),
        ("error", "none", (False, [False, False])),
    ],
)
def test_fix_is_offered_where_a_new_draw_is_the_remedy(severity, remedy, offered):
    """For the layer that is to blame, or for the network as a whole; not for what needs no action or other weights."""
    report = documents.dense_report(depth=2)
    layer = report["layers"][0]["name"]
    report["findings"] = [documents.finding("INI101", "weight-too-small", severity, layer, "small", remedy=remedy)]
    report["verdict"]["headline"] = {"cause": "small", "layer": layer, "action": "Draw it anew."}

    assert offers(report) == offered


@pytest.mark.parametrize(
    "name",
    [
        "relu4_zero",
        "resnet_fixup",
        "digits_fresh",
        "digits_trained",
        "digits_trained_layer_zero",
        "digits_trained_head_random",
    ],
)
def test_fix_does_what_the_page_offers(name):
    """Weights change in exactly the networks whose page offers the command."""
    config = initaudit.Config(probe="none")
    offered = (
        "draws the weights of the layers below anew"
        in initaudit.audit(SAMPLES / f"{name}.onnx", config=config).to_html()
    )

    try:
        changes = initaudit.fix(SAMPLES / f"{name}.onnx", config=config).changes
    except FixRefused:
        changes = ()

    assert bool(changes) == offered


def test_a_suppressed_finding_offers_no_fix():
    """What was accepted needs none."""
    report = documents.dense_report(depth=6, factor=0.3)
    for finding in report["findings"]:
        finding["suppressed"] = "accepted in the baseline"

    assert offers(report) == (False, [False] * 6)


def test_trained_model_is_offered_no_fix():
    """Re-initialising a trained model destroys it: the page does not propose that."""
    fresh = documents.dense_report(depth=6, factor=0.3)
    trained = documents.dense_report(depth=6, factor=0.3, context="trained")

    assert "draws the weights of the layers below anew" in render(fresh)
    assert "draws the weights of the layers below anew" not in render(trained)


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
