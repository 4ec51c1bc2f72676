"""The HTML report on screens of three sizes and on paper, in a real browser."""

from __future__ import annotations

import base64

import pypdfium2
import pytest

from initaudit.formats.page.page import page
from tests.formats import documents

pytestmark = pytest.mark.browser

SCREENS = [(1400, 900), (800, 1000), (390, 844)]
BOX = (
    "const box = document.querySelector(arguments[0]).getBoundingClientRect(); return [box.top, box.bottom, box.width]"
)
SETTLE = "return new Promise((done) => setTimeout(done, 100))"

# What can be scrolled up and down besides the page itself.
INNER_SCROLLBARS = """
return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && ["auto", "scroll"].includes(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 1).map((e) => e.className);
"""

# Buttons and fields whose text does not fit, or that stick out of the window.
BROKEN_CONTROLS = """
return [...document.querySelectorAll("button, select, input, summary")].filter((e) => e.checkVisibility()).filter((e) => {
  const box = e.getBoundingClientRect();
  return e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && e.tagName !== "INPUT" || box.left < 0 || box.right > document.documentElement.clientWidth;
}).map((e) => e.outerHTML.slice(0, 90));
"""

# Distance in pixels from the upper border of the plot to the first pixel of the line, and from the last one to the lower border.
AIR_OF_LINE = """
const chart = document.querySelector(arguments[0]);
const canvas = chart.querySelector("canvas"), over = chart.querySelector(".u-over");
const probe = document.createElement("span");
probe.style.color = "var(--measured)";
document.body.append(probe);
const [r, g, b] = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
const rows = [];
for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) {
  const at = 4 * (y * width + x);
  if (data[at] === r && data[at + 1] === g && data[at + 2] === b) { rows.push(y); break; }
}
const top = over.getBoundingClientRect().top - canvas.getBoundingClientRect().top;
return [rows[0] - top, top + over.clientHeight - rows[rows.length - 1]];
"""


def render(*reports):
    return page(documents.document(*reports), documents.RULES)


@pytest.fixture(scope="module")
def sick():
    return render(documents.dense_report(depth=24, factor=0.6))


@pytest.fixture(scope="module")
def many():
    """Twelve models in two folders, three of them failing, two unreadable."""
    reports = [documents.dense_report(depth=4, name=f"zoo/fine/{n}") for n in range(7)]
    reports += [documents.dense_report(depth=4 + n, factor=0.1, name=f"zoo/sick/{n}") for n in range(3)]
    reports += [documents.error_report(path=f"models/zoo/broken/{n}.onnx") for n in range(2)]
    return render(*reports)


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_first_screen_of_a_failure_shows_the_signal(browser, sick, width, height):
    """The verdict and the whole picture of the signal through depth are seen without scrolling, without a script as well."""
    for script in (True, False):
        browser.open(sick, width=width, height=height, script=script)
        top, bottom, drawn = browser.run(BOX, ".picture svg")
        assert top > 0
        assert bottom < height
        assert drawn > 280


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_link_to_a_layer_lands_below_the_head_of_the_table(browser, sick, width, height):
    """The name of the layer is seen below the head that stays in sight, also where the layer is far down the table."""
    browser.open(sick, width=width, height=height)
    browser.run("location.hash = '#layer-net.block.4.linear.17'")
    browser.run(SETTLE)

    head_top, head_bottom, _ = browser.run(BOX, ".sheet thead th:nth-child(2)")
    name_top, name_bottom, _ = browser.run(BOX, ".marked .opener")
    assert browser.one(".marked .opener").text.endswith("linear.17")
    assert head_top == pytest.approx(0, abs=1)
    assert head_bottom <= name_top < name_bottom < height
    assert browser.run(BOX, ".panel")[2] > 280


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_the_page_alone_scrolls_and_controls_fit(browser, sick, many, width, height):
    """One scrollbar, and no button, field or fold is cut or sticks out."""
    for html in (sick, many):
        browser.open(html, width=width, height=height)
        browser.run("document.querySelector('.opener')?.click()")
        assert browser.run(INNER_SCROLLBARS) == []
        assert browser.run(BROKEN_CONTROLS) == []


@pytest.mark.parametrize("chart", ["signal", "gradient", "units"])
def test_points_at_the_ends_of_the_axis_are_whole(browser, chart):
    """A point at the smallest or largest value keeps its distance from the border."""
    report = documents.dense_report(depth=4)
    for layer, value in zip(report["layers"], (1.0, 0.1, 0.0, 1.0), strict=True):
        layer["signal"] |= {
            "variance": max(value, 1e-2),
            "gradient_rms": max(value, 1e-2),
            "elements": 1,
            "predicted_variance": None,
        }
        layer["signal"] |= {"mean_square": None, "similarity": value, "gradient_error": None}  # fmt: skip
    browser.open(render(report))

    above, below = browser.run(AIR_OF_LINE, f"[data-chart={chart}]")
    assert above > 2
    assert below > 2


def test_every_mark_is_explained(browser):
    """Findings, the layer that loses the signal, the level that is healthy, zeros, standard errors and unresolved values have their words."""
    report = documents.dense_report(depth=12, factor=0.3)
    report["layers"][3]["signal"]["variance"] = 0.0
    report["layers"][4]["signal"]["gradient_resolved"] = False
    browser.open(render(report))

    keys = {chart.get_attribute("data-chart"): chart.find_element("css selector", ".key").text for chart in browser.all(".chart")}  # fmt: skip
    words = ["layer with an error", "layer with a warning", "where the signal is lost"]
    assert all(word in keys["signal"] for word in [*words, "the signal keeps its size", "exactly zero"])
    assert all(word in keys["gradient"] for word in [*words, "standard error", "below what floats resolve"])
    assert "the darker, the more values" in keys["spread"]
    assert all(word in browser.one(".picture .key").text for word in ["layer with an error", "the signal is lost"])


def test_models_can_be_sorted_and_filtered(browser, many):
    """Worst first at first; a click on a head sorts, boxes and search narrow the list and what stands below it."""
    shown = "return [...document.querySelectorAll('.models tbody tr')].filter((row) => !row.hidden).map((row) => row.cells[1].textContent)"
    browser.open(many)
    first = browser.run(shown)
    browser.one(".models th:nth-child(7) button").click()
    most_layers = browser.run(shown)
    browser.one("input[value=error]").click()
    browser.one(".overview input[type=search]").send_keys("sick")

    assert [name.split("/")[0] for name in first] == ["broken"] * 2 + ["sick"] * 3 + ["fine"] * 7
    assert most_layers[0] == "sick/2.onnx"
    assert most_layers[-1].startswith("broken/")
    assert sorted(browser.run(shown)) == ["sick/0.onnx", "sick/1.onnx", "sick/2.onnx"]
    assert browser.one(".overview .count").text == "3 of 12 models"
    assert len([e for e in browser.all("details.model") if e.is_displayed()]) == 3


def printed(browser, html):
    """The pages that a browser prints: text of each, and the share of its height down to which there is ink."""
    browser.open(html)
    document = pypdfium2.PdfDocument(base64.b64decode(browser.command("Page.printToPDF", printBackground=True)["data"]))
    texts, depths = [], []
    for sheet in document:
        texts.append(" ".join(sheet.get_textpage().get_text_bounded().split()))
        inked = (sheet.render(scale=0.5).to_numpy() < 200).any(axis=(1, 2)).nonzero()[0]
        depths.append(inked.max() / (sheet.get_height() / 2))
    return texts, depths


def test_paper_holds_every_finding(browser):
    """Also those beyond the fifth of a rule, which the screen folds away, and the reasons of what was suppressed."""
    report = documents.dense_report(depth=24, factor=0.6)
    report["findings"][-1]["suppressed"] = "agreed in May"
    texts, _ = printed(browser, render(report))

    everything = "".join(texts).replace(" ", "")
    for finding in report["findings"]:
        assert (finding["layer"] + finding["message"]).replace(" ", "") in everything
    assert "agreedinMay" in everything


def test_paper_repeats_the_head_of_the_table_and_leaves_no_page_half_empty(browser):
    """The table of 150 layers has its head on each of its pages; all pages but the last are filled."""
    texts, depths = printed(browser, render(documents.dense_report(depth=150, width=16, factor=0.9)))

    rows = [index for index, text in enumerate(texts) if text.count("16×16") > 5]
    assert len(rows) > 2
    assert all("Ratio" in texts[index] for index in rows)
    assert min(depths[:-1]) > 0.5


def test_paper_holds_every_model(browser, many):
    """Also those that nobody opened: each with its findings and its layers."""
    texts, depths = printed(browser, many)

    everything = "".join(texts).replace(" ", "")
    for number in range(3):
        assert f"/zoo/sick/{number}/block.0/linear.3/MatMultheweightshave" in everything
    for number in range(7):
        assert f"zoo.fine.{number}.block.0.linear.3" in everything
    assert min(depths[:-1]) > 0.5


def test_screen_is_as_before_after_printing(browser, sick):
    """The charts, drawn smaller for paper, are back at full width."""
    browser.open(sick)
    width = "return document.querySelector('.chart canvas').width"
    before = browser.run(width)
    browser.command("Page.printToPDF", printBackground=True)
    browser.run(SETTLE)

    assert browser.run(width) == before
