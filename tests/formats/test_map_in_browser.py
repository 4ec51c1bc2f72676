"""The map of the network in a real browser: boxes and wires where they belong, and what they answer."""

from __future__ import annotations

import base64

import pytest

from initaudit.formats.page.page import page
from tests.formats import documents

pytestmark = pytest.mark.browser

WAIT = "return new Promise((done) => setTimeout(done, 100))"
# The map is drawn when it comes into view, a moment after the page.
DRAWN = """
return new Promise((done) => {
  const look = () => (document.querySelector(".map-view svg") ? done() : setTimeout(look, 20));
  look();
});
"""
# The boxes of layers: what is written on each, and where it is.
BOXES = """
return [...document.querySelectorAll(".map-view a")].map((box) => {
  const { x, y, width, height } = box.querySelector(".frame").getBBox();
  return { label: box.querySelector(".label").textContent, sign: box.querySelector(".sign").textContent, health: box.classList[0], x, y, width, height };
});
"""
WIRES = "return document.querySelectorAll('.map-view .wire').length"


def report(*places, **more):
    """A report on a network of layers and joins: (name, names it reads), a join where the name begins with `+`."""
    given = documents.dense_report(depth=sum(not name.startswith("+") for name, _ in places), width=8, **more)
    names, nodes, edges = {}, [documents.place("input", "x")], []
    layers = iter(given["layers"])
    for name, reads in places:
        if name.startswith("+"):
            nodes.append(documents.place("join", name, "Add"))
        else:
            layer = next(layers)
            layer["title"] = name
            nodes.append(documents.place("layer", name, "MatMul", layer["name"]))
        names[name] = len(nodes) - 1
        edges += [[names.get(source, 0), names[name]] for source in reads]
    given["graph"] = {"nodes": nodes, "edges": edges}
    return given


ATTENTION = (
    ("norm", ["x"]), ("q", ["norm"]), ("k", ["norm"]), ("v", ["norm"]), ("+qk", ["q", "k"]), ("+qkv", ["+qk", "v"]),
    ("out", ["+qkv"]), ("+skip", ["out", "norm"]), ("up", ["+skip"]), ("down", ["up"]), ("+end", ["down", "+skip"]), ("head", ["+end"]),
)  # fmt: skip


def render(*reports):
    return page(documents.document(*reports), documents.RULES)


def show(browser, html, **window):
    """Opens the page with its first map in view."""
    browser.open(html, **window)
    browser.run("document.querySelector('.map').scrollIntoView()")
    browser.run(DRAWN)


def overlap(one, other):
    """Whether two boxes cover each other."""
    return (
        one["x"] < other["x"] + other["width"]
        and other["x"] < one["x"] + one["width"]
        and one["y"] < other["y"] + other["height"]
        and other["y"] < one["y"] + one["height"]
    )


def test_every_layer_is_a_box_and_every_edge_a_wire(browser):
    """A transformer block: projections side by side, all else below what it reads, no box over another."""
    show(browser, render(report(*ATTENTION)))
    boxes = {box["label"]: box for box in browser.run(BOXES)}

    assert set(boxes) == {name for name, _ in ATTENTION if not name.startswith("+")}
    assert browser.run(WIRES) == sum(len(reads) for _, reads in ATTENTION)
    assert len({boxes[name]["y"] for name in "qkv"}) == 1
    assert boxes["norm"]["y"] < boxes["q"]["y"] < boxes["out"]["y"] < boxes["up"]["y"] < boxes["down"]["y"]
    everything = list(boxes.values())
    assert not [(a, b) for i, a in enumerate(everything) for b in everything[:i] if overlap(a, b)]
    assert browser.errors() == []


def test_a_small_network_lies_in_one_line(browser):
    """Three layers stand from left to right."""
    show(browser, render(report(("a", ["x"]), ("b", ["a"]), ("c", ["b"]))))
    boxes = browser.run(BOXES)

    assert len({box["y"] for box in boxes}) == 1
    assert [box["label"] for box in sorted(boxes, key=lambda box: box["x"])] == ["a", "b", "c"]


def test_colours_have_signs_and_a_legend(browser):
    """Each severity has its sign on the box and in the legend, with the number of layers."""
    sick = report(("a", ["x"]), ("b", ["a"]), ("c", ["b"]), ("d", ["c"]))
    sick["findings"] = [
        documents.finding("INI101", "weight-too-small", severity, layer["name"], "too small")
        for severity, layer in zip(("error", "warning", "info"), sick["layers"], strict=False)
    ]
    show(browser, render(sick))

    found = [(box["label"], box["health"], box["sign"]) for box in browser.run(BOXES)]
    assert found == [("a", "error", "✗"), ("b", "warning", "!"), ("c", "info", "i"), ("d", "fine", "✓")]
    legend = [entry.text.replace("\n", " ") for entry in browser.all(".map-legend:not([hidden]) li")]
    assert legend == ["✗ error 1", "! warning 1", "i info 1", "✓ no finding 1"]


def test_a_click_opens_the_row_of_the_layer(browser):
    """The box is a link into the table."""
    show(browser, render(report(*ATTENTION)))
    browser.run("document.querySelectorAll('.map-view a')[2].dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }))")  # fmt: skip
    browser.run(WAIT)

    assert browser.run("return document.querySelector('.sheet .marked').cells[0].textContent") == "3"
    assert browser.errors() == []


def test_keys_go_from_layer_to_layer_and_tell_of_each(browser):
    """One Tab stop; arrow keys go to the neighbour on that side, whose facts are shown and spoken, and whose wires are lit."""
    show(browser, render(report(*ATTENTION)))
    stops = browser.run("return document.querySelectorAll('.map-view [tabindex=\"0\"]').length")
    browser.run("document.querySelector('.map-view a').focus()")
    first = browser.one(".map-tip").text
    browser.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }))")  # fmt: skip
    label = browser.run("return document.activeElement.querySelector('.label').textContent")
    spoken = browser.run("return document.activeElement.getAttribute('aria-label')")

    assert stops == 1
    assert first.startswith("norm\nlinear · 8×8")
    assert label in ("q", "k", "v")
    assert spoken.startswith(f"no finding: {label}; linear")
    assert browser.run("return document.querySelectorAll('.map-view .lit').length") == 2


def test_boxes_can_be_coloured_by_the_scale_of_the_signal(browser):
    """A layer at 1e-8 is bluer than one near 1, says its value, and the legend changes."""
    faint = report(("a", ["x"]), ("b", ["a"]))
    faint["layers"][0]["signal"]["variance"], faint["layers"][1]["signal"]["variance"] = 1.0, 1e-8
    show(browser, render(faint))
    browser.run("const by = document.querySelector('.map select'); by.value = 'signal'; by.dispatchEvent(new Event('change'));")  # fmt: skip
    fills = browser.run("return [...document.querySelectorAll('.map-view a .frame')].map((e) => getComputedStyle(e).fill)")  # fmt: skip
    details = [detail.text for detail in browser.all(".map-view .detail")]

    assert fills[0] != fills[1]
    assert details == ["1", "1e-8"]
    assert browser.one(".map-legend:not([hidden])").text.startswith("1e-6 or less")


def test_a_long_wire_is_a_sign_that_leads_to_its_source(browser):
    """A sum that reads a layer far above names it; a click brings that layer into view."""
    chain = [(f"l{i}", [f"l{i - 1}" if i else "x"]) for i in range(60)]
    show(browser, render(report(*chain, ("+", ["l59", "l0"]), ("head", ["+"]))), width=800)
    browser.run("document.querySelector('.map-view').scrollLeft = 1e6")
    browser.run(WAIT)
    browser.run("document.querySelector('.map-view .jump').dispatchEvent(new MouseEvent('click', { bubbles: true }))")
    browser.run(WAIT)

    assert browser.one(".map-view .jump").text == "↑ l0"
    assert browser.run("return document.querySelector('.map-view').scrollLeft") == 0
    assert browser.one(".map-tip").text.startswith("l0\n")


def test_hostile_names_stay_text(browser):
    """Markup in the names of layers, joins, inputs and bodies is shown, not run."""
    hostile = "</script><img src=x onerror=window.owned=1>\u202e<svg onload=window.owned=1>"
    net = documents.everywhere(report(*ATTENTION), hostile)
    for node in net["graph"]["nodes"]:
        node["kind"] = node["kind"].removeprefix(hostile)
        node["inside"] = [hostile]
    show(browser, render(net))
    browser.run("document.querySelector('.map-view a').focus(); document.querySelector('.map details').open = true")

    assert browser.run("return window.owned === undefined && !document.querySelector('img, .map svg [onload]')")
    assert "<img src=x" in browser.one(".map-tip").text
    assert len(browser.run(BOXES)) == 8
    assert browser.errors() == []


def test_without_a_script_the_table_tells_the_same(browser):
    """What each layer reads, with links to the layers; no empty box where the map would be."""
    browser.open(render(report(*ATTENTION)), script=False)
    details = browser.one(".map details")

    assert "The same as a table" in details.text
    assert not browser.one(".map-view").is_displayed()
    assert [link.get_attribute("href").rsplit("#")[1] for link in browser.all(".map tbody th a")] == [
        f"layer-{name}" for name, _ in ATTENTION if not name.startswith("+")
    ]


def test_a_phone_scrolls_the_map_in_its_own_box(browser):
    """The page itself stays as wide as the screen."""
    show(browser, render(report(*ATTENTION)), width=390, height=800)

    assert browser.run("const v = document.querySelector('.map-view'); return v.scrollWidth > v.clientWidth")
    assert browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_500_layers_are_drawn_quickly_with_an_overview(browser):
    """The map of 500 layers costs the processor less than two seconds; the overview shows all of it and scrolls to where it is pressed."""
    html = render(documents.dense_report(depth=500, width=32, factor=0.99))
    browser.command("Performance.enable", timeDomain="threadTicks")
    show(browser, html)
    spent = {entry["name"]: entry["value"] for entry in browser.command("Performance.getMetrics")["metrics"]}
    press = "const o = document.querySelector('.map-overview svg'), r = o.getBoundingClientRect(); o.setPointerCapture = () => {}; o.dispatchEvent(new PointerEvent('pointerdown', { clientX: r.right - 5, clientY: r.top + 5, bubbles: true }));"  # fmt: skip
    browser.run(press)

    assert len(browser.run(BOXES)) == 500
    assert len(browser.all(".map-overview .frame")) == 502
    assert browser.run("return document.querySelector('.map-view').scrollLeft") > 5000
    assert 0 < spent["ScriptDuration"] < 2


def test_the_map_is_printed_in_lines_that_fit_the_paper(browser):
    """Paper does not scroll: columns are printed line under line, and the screen's map is back afterwards."""
    chain = [(f"l{i}", [f"l{i - 1}" if i else "x"]) for i in range(75)]
    browser.open(render(report(*chain)))
    browser.run("window.addEventListener('beforeprint', () => { window.lines = document.querySelectorAll('.map-view svg').length; })")  # fmt: skip
    pdf = base64.b64decode(browser.command("Page.printToPDF", printBackground=True)["data"])
    browser.run(WAIT)

    assert pdf.count(b"/Type /Page\n") >= 2
    assert browser.run("return window.lines") == 2
    assert len(browser.all(".map-view svg")) == 1


def test_maps_of_closed_reports_are_printed_as_well(browser):
    """Nobody has to open every model of a page before printing it."""
    browser.open(render(report(("a", ["x"])), report(("b", ["x"]))))
    before = len(browser.all(".map-view svg"))
    browser.command("Page.printToPDF", printBackground=True)
    browser.run(WAIT)

    assert before == 0
    assert len(browser.all(".map-view svg")) == 2
