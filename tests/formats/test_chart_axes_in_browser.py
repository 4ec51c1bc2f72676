"""The axes of charts have numbers, whatever they span: what is drawn on a canvas is seen nowhere else."""

from __future__ import annotations

from copy import deepcopy

import pytest

from initaudit.format import FormatOptions, find_format
from tests.racing.races import document

pytestmark = pytest.mark.browser

RECORD = """
  const fill = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    if (this.textAlign === "right") (this.canvas.numbers ??= new Set()).add(text);
    return fill.call(this, text, ...place);
  };
"""
"""Numbers of axes that stand on the left end there."""


@pytest.mark.parametrize("factor", [1.0, 1e-9, 1e30])
def test_every_axis_has_numbers(browser, factor: float):
    """On a share, on a logarithm of a few units, and on one of a hundred powers of ten."""
    given = deepcopy(document())
    for start in given["starts"]:
        for outcome in start["outcomes"]:
            for run in outcome["runs"]:
                run["loss"] = [loss and loss * factor ** (number % 2) for number, loss in enumerate(run["loss"])]
    script = browser.command("Page.addScriptToEvaluateOnNewDocument", source=RECORD)
    try:
        browser.open(find_format("html").race(given, FormatOptions()))
    finally:
        browser.command("Page.removeScriptToEvaluateOnNewDocument", **script)

    numbers = browser.run("return [...document.querySelectorAll('canvas')].map((c) => [...(c.numbers ?? [])])")

    assert len(numbers) >= 2
    assert all(len(of_one) >= 2 for of_one in numbers)
