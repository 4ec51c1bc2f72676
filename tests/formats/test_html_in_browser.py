"""The HTML report in a real browser: what it draws, how it answers, and that nothing in a model file can take it over."""

from __future__ import annotations

import re

import pytest

from initaudit.formats.page.page import page
from tests.formats import documents

pytestmark = pytest.mark.browser

HOSTILE = "</script><script>window.owned=1</script><img src=x onerror=window.owned=1><svg onload=window.owned=1>\"' onclick=window.owned=1 \u202e\x1b[31m\n"

# Number of colours in a canvas, up to 3: an empty one has 1.
COLOURS = """
return [...document.querySelectorAll(arguments[0])].map((canvas) => {
  const data = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  return Math.min(3, new Set(data).size);
});
"""
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
SHOWN_ROWS = "return [...document.querySelectorAll('.sheet tbody tr:not(.detail)')].filter((row) => !row.hidden).map((row) => row.cells[0].textContent)"

# Contrast of each element's own text with the nearest opaque ground behind it, as WCAG 2 defines it; the worst ones.
LOW_CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const low = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility() || element.closest("svg, script, style, .skip")) continue;
  let ground = element;
  while (ground && rgba(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
  const [a, b] = [luminance(rgba(getComputedStyle(element).color)), luminance(rgba(getComputedStyle(ground ?? document.body).backgroundColor))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) low.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)} ${element.textContent.slice(0, 30)}`);
}
return low;
"""


def render(*reports):
    return page(documents.document(*reports), documents.RULES)


@pytest.fixture(scope="module")
def healthy():
    return render(documents.dense_report(depth=8))


@pytest.fixture(scope="module")
def sick():
    return render(documents.dense_report(depth=24, factor=0.6))


def test_charts_are_drawn_without_error_or_request(browser, sick):
    """All six charts show something, the console stays empty, and nothing is asked of any server."""
    browser.open(sick)

    assert browser.run(COLOURS, ".chart canvas") == [3] * 6
    assert browser.errors() == []
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("depth", [1, 3])
def test_small_networks_are_drawn(browser, depth):
    """A network of one layer has charts too."""
    browser.open(render(documents.dense_report(depth=depth, activation="tanh")))

    assert browser.run(COLOURS, ".chart canvas") == [3] * 6
    assert browser.errors() == []


def test_numbers_beyond_the_axes_do_no_harm(browser):
    """Zeros, words for NaN and infinity, and variances far below what floats hold leave the page working."""
    report = documents.dense_report(depth=12)
    wild = [0.0, 1e-300, 1e300, "NaN", "Infinity", None, 5e-324, 1.7e308, 1.0, 0.0, 1e-40, 1e40]
    for layer, value in zip(report["layers"], wild, strict=True):
        for key in ("variance", "mean_square", "gradient_rms", "similarity"):
            layer["signal"][key] = value
        layer["target"]["ratio"] = value
        layer["signal"]["histogram"] = {"low": -1e300, "high": 1e300, "counts": [1, 0, 3]} if value == 1e300 else None
    browser.open(render(report))

    assert browser.errors() == []
    assert browser.run(COLOURS, ".chart canvas") == [3] * 6


def test_hostile_names_stay_text(browser):
    """Script in every name, message and path of a report never runs, and the details show it as text."""
    browser.open(render(documents.everywhere(documents.dense_report(depth=6, factor=0.3), HOSTILE)))
    for opener in browser.all(".opener")[:2]:
        browser.run("arguments[0].click()", opener)
    browser.run("document.querySelector('.chart .canvas').dispatchEvent(new KeyboardEvent('keydown', { key: 'End' }))")

    assert browser.run("return window.owned === undefined")
    assert (
        browser.run(
            "return document.querySelectorAll('img, svg:not(.brand svg, .gauge svg, .picture svg, .map svg), [onclick], [onload]').length"
        )
        == 0
    )
    assert "<img src=x" in browser.one(".panel").text
    assert browser.errors() == []


@pytest.mark.parametrize("width", [375, 650, 910, 1250])
def test_page_never_scrolls_sideways(browser, sick, width):
    """The page fits a phone and a wide screen, with long names and an opened layer as well; wide tables scroll in their own box."""
    long = documents.dense_report(depth=4, factor=0.01)
    pages = {
        "sick": sick,
        "long names": render(documents.everywhere(long, "encoder_without_any_break" * 12)),
        "several": render(long, documents.error_report()),
        "error": render(documents.error_report(reason="x" * 500)),
    }
    overflow = {}
    for name, html in pages.items():
        browser.open(html, width=width, height=800)
        browser.run(
            "for (const part of document.querySelectorAll('details')) part.open = true; document.querySelector('.opener')?.click()"
        )
        overflow[name] = browser.run(OVERFLOW)

    assert overflow == dict.fromkeys(pages, 0)


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast(browser, sick, dark):
    """All text has the contrast of 4.5 to 1 that WCAG AA asks for, in the light and in the dark theme."""
    browser.open(sick, dark=dark)
    browser.run(
        "for (const part of document.querySelectorAll('details')) part.open = true; document.querySelector('.opener').click()"
    )

    assert browser.run(LOW_CONTRAST) == []


def test_theme_follows_the_system_until_it_is_chosen(browser, healthy):
    """Dark where the system is dark; the button goes through light and dark, and the charts follow."""
    ground = "return getComputedStyle(document.body).backgroundColor"
    picture = "return document.querySelector('.chart canvas').toDataURL()"
    browser.open(healthy, dark=True)
    by_system, dark_chart = browser.run(ground), browser.run(picture)
    browser.one("#theme").click()
    light, light_chart = browser.run(ground), browser.run(picture)
    browser.one("#theme").click()
    chosen = browser.run(ground)
    browser.one("#theme").click()

    assert by_system == chosen != light
    assert dark_chart != light_chart


def test_table_sorts_by_number_and_keeps_unknown_values_last(browser):
    """Sorting is by value, not by text, both ways, and a layer without a value stands last in both."""
    report = documents.dense_report(depth=4)
    for layer, ratio in zip(report["layers"], (9.0, 10.0, None, 0.5), strict=True):
        layer["target"]["ratio"] = ratio
    browser.open(render(report))
    button = browser.one("th[data-sort=ratio] button")
    browser.run("arguments[0].click()", button)
    ascending = browser.run(SHOWN_ROWS)
    browser.run("arguments[0].click()", button)
    descending = browser.run(SHOWN_ROWS)

    assert ascending == ["4", "1", "2", "3"]
    assert descending == ["2", "1", "4", "3"]
    assert browser.one("th[data-sort=ratio]").get_attribute("aria-sort") == "descending"


def test_table_filters_by_text_kind_and_findings(browser):
    """The three filters narrow the table together, and the count says what is left."""
    report = documents.dense_report(depth=6)
    report["layers"][1]["kind"] = "conv"
    report["layers"][4]["kind"] = "conv"
    report["findings"] = [
        documents.finding("INI101", "weight-too-small", "warning", report["layers"][4]["name"], "too small")
    ]
    browser.open(render(report))
    by_kind = "const form = document.querySelector('.filters'); form.elements.kind.value = 'conv'; form.dispatchEvent(new Event('input'));"
    browser.run(by_kind)
    convolutions = browser.run(SHOWN_ROWS)
    browser.one("input[name=found]").click()
    found = browser.run(SHOWN_ROWS)
    browser.one("input[type=search]").send_keys("linear.1")

    assert convolutions == ["2", "5"]
    assert found == ["5"]
    assert browser.run(SHOWN_ROWS) == []
    assert browser.one(".count").text == "0 of 6 layers"


def test_finding_leads_to_the_opened_layer(browser, sick):
    """The link in a finding opens its layer with two histograms, the reason for the target and the command that fixes it."""
    browser.open(sick)
    browser.run("document.querySelector('.findings a').click()")
    browser.run("return new Promise((done) => setTimeout(done, 100))")

    panel = browser.one(".panel").text
    assert browser.run(COLOURS, ".panel canvas") == [3, 3]
    assert "relu follows" in panel
    assert re.search(r"initaudit fix models/net\.onnx -o fixed\.onnx --layers /net/\S+", panel)
    assert browser.run("return document.activeElement.getAttribute('aria-expanded')") == "true"


def test_keyboard_reads_the_charts(browser, sick):
    """Arrow keys move through the layers of all charts together, the value is there for a screen reader, Enter opens the layer."""
    browser.open(sick)
    press = (
        "document.querySelector('.chart .canvas').dispatchEvent(new KeyboardEvent('keydown', { key: arguments[0] }))"
    )
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        browser.run(press, key)
    spoken = [chart.get_attribute("aria-valuetext") for chart in browser.all(".chart .canvas")]
    browser.run(press, "Enter")

    assert all(text.startswith("2 net.block.0.linear.1") for text in spoken)
    assert "variance 0." in spoken[0]
    assert browser.run("return document.querySelector('.marked').cells[0].textContent") == "2"


def test_everything_that_acts_can_be_focused(browser, sick):
    """Whatever answers a click is a control that the Tab key reaches, and every control has a name."""
    browser.open(sick)

    nameless = browser.run(
        "return [...document.querySelectorAll('button, a, input, select, [tabindex=\"0\"]')].filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"
    )
    assert nameless == 0
    assert browser.run(
        "return [...document.querySelectorAll('.canvas')].every((e) => e.tabIndex === 0 || e.closest('.panel'))"
    )


def test_core_is_readable_without_script(browser, sick):
    """Where an artifact viewer forbids scripts, verdict, findings and the layer table stand, and dead controls do not."""
    browser.open(sick, script=False)

    body = browser.one("body").text
    assert "INI401 vanishing-signal" in body
    assert "net.block.5.linear.23" in body
    assert "The charts need JavaScript" in body
    assert not [e for e in browser.all("#theme, .filters, .plot") if e.is_displayed()]


def test_several_models_open_from_the_overview(browser):
    """The page of several models starts with one line each; a model opens when it is asked for, and its charts with it."""
    browser.open(
        render(
            documents.dense_report(depth=4),
            documents.dense_report(depth=6, factor=0.3, name="sick"),
            documents.error_report(),
        )
    )
    before = browser.run("return document.querySelectorAll('canvas').length")
    browser.run("document.querySelectorAll('tbody a')[1].click()")
    browser.run("return new Promise((done) => setTimeout(done, 100))")

    assert before == 0
    assert browser.run("return [...document.querySelectorAll('details.model')].map((e) => e.open)") == [
        False,
        True,
        False,
    ]
    assert browser.run(COLOURS, "#r1 .chart canvas") == [3] * 6
    assert browser.errors() == []


def test_500_layers_are_quick(browser):
    """A report on 500 layers costs the processor less than three seconds (measured: 0.9), until the last layer is open."""
    html = render(documents.dense_report(depth=500, width=32, factor=0.99))
    browser.command("Performance.enable", timeDomain="threadTicks")
    browser.open(html)
    browser.run(
        "location.hash = '#layer-net.block.124.linear.499'; return new Promise((done) => setTimeout(done, 100))"
    )

    spent = {entry["name"]: entry["value"] for entry in browser.command("Performance.getMetrics")["metrics"]}
    assert 0 < spent["TaskDuration"] < 3
    assert browser.run(COLOURS, ".panel canvas") == [3, 3]


def test_screenshot_is_not_blank(browser, healthy):
    """The first screen shows the verdict: its picture holds many times what an empty page's does."""
    size = {}
    for name, html in {"blank": "<!doctype html><title>blank</title>", "healthy": healthy}.items():
        browser.open(html)
        size[name] = len(browser.driver.get_screenshot_as_png())

    assert size["healthy"] > 5 * size["blank"]
