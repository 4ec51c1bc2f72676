"""The picture that the README shows: made here, and looked at."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import pytest

import initaudit

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
MODEL = "sample_models/conv22_relu_xavier.onnx"
PICTURE = ROOT / "docs" / "images" / "report.png"
WIDTH, HEIGHT = 1280, 720
SEEN = """
return [...document.querySelectorAll(arguments[0])].filter((e) => {
  const box = e.getBoundingClientRect();
  return box.width > 0 && box.top >= 0 && box.top < innerHeight && e.checkVisibility();
}).flatMap((e) => [...e.childNodes]).filter((n) => n.nodeType === 3).map((n) => n.textContent.replace(/\\s+/g, " ").trim());
"""
"""Own texts of the elements that begin on the first screen."""
CHARTS = """
return [...document.querySelectorAll("main svg")].map((e) => e.getBoundingClientRect())
  .filter((box) => box.top >= 0 && box.bottom <= innerHeight).map((box) => box.width);
"""
"""Widths of the pictures that are whole on the first screen."""


@pytest.fixture(scope="module")
def report() -> initaudit.Report:
    """22 ReLU convolutions drawn by Xavier's scheme: half of the variance is lost in each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return initaudit.audit(MODEL)


def test_the_first_screen_says_verdict_cause_and_place(
    browser: Any, report: initaudit.Report, request: pytest.FixtureRequest
):
    """What the README's picture is to show is seen without scrolling: how the network fares, why, what to do, and the signal through depth."""
    browser.open(report.to_html(), width=WIDTH, height=HEIGHT)
    picture = base64.b64decode(browser.command("Page.captureScreenshot", format="png")["data"])
    if request.config.getoption("--update-docs"):
        PICTURE.write_bytes(picture)

    seen = " ".join(browser.run(SEEN, "main *"))

    assert size(picture) == size(PICTURE.read_bytes()) == (WIDTH, HEIGHT)
    assert report.verdict.headline is not None
    assert report.verdict.headline.cause.rstrip(".") in seen
    assert "FAIL" in seen
    assert f"initaudit fix {MODEL}" in seen
    assert max(browser.run(CHARTS)) > WIDTH / 4


def size(png: bytes) -> tuple[int, int]:
    """Width and height, from the first chunk (PNG, second edition, section 11.2.2)."""
    assert png[12:16] == b"IHDR"
    width, height = struct.unpack(">II", png[16:24])
    return width, height
