"""A report as a notebook shows it: the page in a frame of its own."""

from __future__ import annotations

import pytest

import initaudit
from tests.formats.test_html_in_browser import COLOURS
from tests.networks import mlp

pytestmark = pytest.mark.browser

REACHES_OUT = "try { return parent.document.title; } catch (error) { return error.name; }"


def test_a_notebook_shows_the_page_and_is_safe_from_it(browser):
    """Charts are drawn, the frame is as wide as the cell, and nothing in it can read the notebook."""
    cell = initaudit.audit(mlp([32, 32, 10]))._repr_html_()
    browser.open(f"<!doctype html><title>notebook</title><body style='margin: 0'>{cell}</body>", width=1000)
    frame = browser.one("iframe")
    width = frame.rect["width"]
    browser.driver.switch_to.frame(frame)
    try:
        colours = browser.run(COLOURS, ".chart canvas")
        text = browser.one("body").text
        reach = browser.run(REACHES_OUT)
    finally:
        browser.driver.switch_to.default_content()

    assert width == 1000
    assert colours
    assert set(colours) == {3}
    assert "PASS" in text
    assert reach == "SecurityError"
    assert browser.errors() == []
