"""The page of a run: ten thousand models in one file that a browser opens at once, and nothing in their names that takes it over."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from initaudit.fleet.overview import Overview, overview
from initaudit.fleet.page import index_page
from initaudit.fleet.reading import Reading
from initaudit.fleet.store import Store
from tests.fleet import zoo
from tests.fleet.stubs import finding, lost, row, store_of
from tests.formats.test_html_in_browser import LOW_CONTRAST, OVERFLOW

HOSTILE = "</script><script>window.owned=1</script><img src=x onerror=window.owned=1>\"'`onclick=window.owned=1 \u202e\x1b[31m\n.onnx"
FIRST, SECOND = "2026-03-08T09:00:00Z", "2026-03-09T09:00:00Z"
NAMES = "return [...document.querySelectorAll('.fleet tbody tr:not(.detail) th')].map((cell) => cell.firstChild.textContent)"
CHOOSE = """
const [name, value] = arguments;
const field = document.querySelector('.fleet .filters').elements[name];
field.value = value;
field.dispatchEvent(new Event('input', { bubbles: true }));
"""
SORT = (
    "[...document.querySelectorAll('.fleet thead .sort')].find((button) => button.textContent === arguments[0]).click()"
)


def busy(browser) -> float:
    """Seconds that the thread of the page has worked."""
    metrics = browser.command("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def seen(folder: Path, *runs: list) -> Overview:
    """The last of these runs, compared with the one before."""
    names = (FIRST, SECOND)[-len(runs) :]
    store = store_of(folder, dict(zip(names, runs, strict=True)))
    records = store.runs()
    return overview(Reading(store, records[-1]), records[0] if len(runs) > 1 else None)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """The page of ten thousand models, and the CPU seconds that it took from the store on."""
    store = store_of(tmp_path_factory.mktemp("store"), {FIRST: zoo.rows(1), SECOND: zoo.rows(2)})
    start = time.process_time()
    first, second = store.runs()
    text = index_page(overview(Reading(store, second), first), with_pages=True)
    return text, time.process_time() - start


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with every verdict and every change."""
    dead, small = finding("INI404", "error"), finding("INI101", "warning")
    before = [row("zoo/b10.onnx"), row("zoo/b2.onnx", small), row("zoo/c.onnx"), row("zoo/e.onnx", dead)]
    after = [
        row("zoo/b10.onnx", dead, bytes=2_000_000_000, trainability=0.5),
        row("zoo/b2.onnx", bytes=20_000_000, trainability=None),
        row("zoo/d.onnx", small, trainability=0.003),
        row("zoo/e.onnx", dead, trainability=0.1),
        lost("zoo/f.onnx"),
    ]
    return index_page(seen(tmp_path_factory.mktemp("store"), before, after), with_pages=False)


def test_the_skip_link_leads_to_the_models(small: str):
    """Whoever moves by keys gets past the head."""
    assert 'href="#all"' in small
    assert small.count('id="all"') == 1


def test_ten_thousand_models_fit_into_a_page(large: tuple[str, float]):
    """Below 5 MB, made within 5 CPU seconds from two runs of ten thousand rows."""
    text, seconds = large

    assert len(text.encode()) < 5_000_000
    assert seconds < 5


@pytest.mark.browser
def test_a_browser_opens_ten_thousand_models_at_once(browser, large: tuple[str, float]):
    """The table stands within 2 s of the page's thread, a sort and a filter answer within one, and no server is asked."""
    browser.command(
        "Performance.enable", timeDomain="threadTicks"
    )  # of a busy machine, only the time that the page itself takes
    before = busy(browser)
    browser.open(large[0])
    stands = busy(browser) - before
    browser.run(SORT, "Model")
    browser.run(CHOOSE, "text", "team-7/")
    answers = busy(browser) - before - stands

    assert stands < 2
    assert answers < 1
    assert browser.run("return document.querySelector('.count').textContent").endswith(" of 10,000 models")
    assert all("/team-7/" in name for name in browser.run(NAMES))
    assert browser.errors() == []
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:"))] == []


@pytest.mark.browser
def test_pages_of_the_table_reach_every_model(browser, large: tuple[str, float]):
    """A hundred at a time; the last page holds what is left."""
    browser.open(large[0])
    first = browser.run(NAMES)
    browser.run("[...document.querySelectorAll('.pager button')].find((b) => b.textContent === 'Last').click()")

    assert len(first) == len(browser.run(NAMES)) == 100
    assert browser.one(".pager span").text == "9,901 to 10,000 of 10,000"
    assert set(first).isdisjoint(browser.run(NAMES))


@pytest.mark.browser
@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("rule", "INI404", ["e.onnx", "b10.onnx"]),
        ("size", "1e9,Infinity", ["b10.onnx"]),
        ("end", "timeout", ["f.onnx"]),
        ("fate", "fixed", ["b2.onnx"]),
        ("fate", "turned", ["f.onnx", "b10.onnx", "d.onnx", "b2.onnx"]),
        ("text", "took MORE", ["f.onnx"]),
        ("text", "no such model", []),
    ],
)
def test_the_table_is_filtered(browser, small: str, field: str, value: str, names: list):
    """By rule, size, end, change and words; the worst first."""
    browser.open(small)
    browser.run(CHOOSE, field, value)

    assert browser.run(NAMES.replace("th')", "th, .nothing')")) == (names or ["No model is like this."])


@pytest.mark.browser
def test_the_table_is_sorted(browser, small: str):
    """Numbers in names as people count; the largest first where that is the worst; what is not known last."""
    browser.open(small)
    orders = {}
    for head in ("Model", "Size", "Trainability"):
        browser.run(SORT, head)
        orders[head] = [name.removesuffix(".onnx") for name in browser.run(NAMES)]

    assert orders["Model"] == ["b2", "b10", "d", "e", "f"]
    assert orders["Size"][:2] == ["b10", "b2"]
    assert orders["Trainability"][:3] == ["d", "e", "b10"]


@pytest.mark.browser
def test_a_model_tells_how_its_report_is_made(browser, small: str):
    """A command that can be copied, under its row; one without a report has only the reason."""
    browser.open(small)
    lost_model, dead = browser.all(".fleet .opener")[:2]
    dead.click()
    command = browser.one(".detail .command code").text
    dead.click()
    lost_model.click()

    assert command.startswith("initaudit fleet report ")
    assert command.endswith(f"--run {SECOND} --model zoo/e.onnx -o model.html")
    assert browser.all(".detail .command") == []
    assert "took more than 60 s" in browser.one(".detail").text


@pytest.mark.browser
def test_hostile_paths_stay_text(browser, tmp_path: Path):
    """No script runs, no element appears, no hidden character reaches the reader, and no command is offered that holds one."""
    hostile = row(HOSTILE, finding("INI404", "error", HOSTILE), reason=HOSTILE)
    browser.open(index_page(seen(tmp_path, [row("a.onnx")], [hostile, row("a.onnx")]), with_pages=False))
    browser.all(".fleet .opener")[0].click()

    assert browser.run("return window.owned") is None
    assert browser.all("img, main script") == []
    assert "\u202e" not in browser.one("body").text
    assert "No command can be shown" in browser.one(".detail").text
    assert browser.errors() == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 800, 1280])
def test_the_page_fits_the_window(browser, small: str, width: int):
    """From a phone on, with a row opened."""
    browser.open(small, width=width)
    browser.all(".fleet .opener")[1].click()

    assert browser.run(OVERFLOW) == 0


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
def test_its_text_has_contrast(browser, small: str, dark: bool):
    """As WCAG asks for, in both themes."""
    browser.open(small, dark=dark)
    browser.all(".fleet .opener")[1].click()

    assert browser.run(LOW_CONTRAST) == []


def test_without_its_script_the_page_shows_the_worst(large: tuple[str, float], small: str):
    """As rows of the page itself, each with its link; and says that there are more."""
    text, _ = large

    assert text.count('<tr><td><span class="verdict') == 100
    assert "The worst 100 of 10,000" in text
    assert 'href="models/' in text
    assert "The worst" not in small


def test_an_empty_run_has_a_page(tmp_path: Path):
    """Nothing was planned, or nothing is finished."""
    store = Store(tmp_path)
    store_of(tmp_path, {FIRST: []})

    assert "0 models" in index_page(overview(Reading(store, store.run()), None), with_pages=False)
