"""Pictures of parts of the pages that the commands wrote, taken by a headless Chromium."""

from __future__ import annotations

import base64
import importlib.util
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docs.experiments.page import IMAGES

if TYPE_CHECKING:
    from docs.experiments.experiment import Experiment

WIDTH = 1100
"""Of the pictures, in pixels: two charts fit beside each other, and all histograms below them."""
MARGIN = 12
"""Around what is shown, in pixels."""
LEAVE = """
const kept = [...document.querySelectorAll(arguments[0])];
const needed = (e) => kept.some((k) => k === e || k.contains(e) || e.contains(k));
document.querySelectorAll("body *").forEach((e) => { if (!needed(e) && e.tagName !== "SCRIPT") e.style.display = "none"; });
document.querySelectorAll(".charts figure .hint, .charts figcaption, .charts .readout").forEach((e) => { e.style.display = "none"; });
document.querySelector("main").style.paddingTop = "24px";
window.dispatchEvent(new Event("resize"));
"""
"""Hides all but some elements, and the explanations of the charts."""
BOX = """
const boxes = [...document.querySelectorAll(arguments[0])].map((e) => e.getBoundingClientRect());
return [Math.min(...boxes.map((b) => b.top)) + scrollY, Math.max(...boxes.map((b) => b.bottom)) + scrollY];
"""


def take(experiments: Iterable[Experiment], folder: Path) -> None:
    """One for each experiment that has a picture, of its page in `folder`."""
    shown = [experiment for experiment in experiments if experiment.picture is not None]
    driver = _browser()
    try:
        for experiment in shown:
            assert experiment.picture is not None
            page = (folder / f"{experiment.picture.page}.html").as_uri()
            picture = _picture(driver, page, ", ".join(experiment.picture.selectors))
            (IMAGES / f"{experiment.name}.png").write_bytes(picture)
    finally:
        driver.quit()


def _picture(driver: Any, page: str, selector: str) -> bytes:
    """PNG of the elements that the selector finds, one below the other."""
    screen = {"width": WIDTH, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(page)
    driver.execute_script(LEAVE, selector)
    driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));")
    top, bottom = driver.execute_script(BOX, selector)
    clip = {"x": 0, "y": top - MARGIN, "width": WIDTH, "height": bottom - top + 2 * MARGIN, "scale": 1}
    taken = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True}
    )
    return base64.b64decode(taken["data"])


def why_none() -> str | None:
    """What is missing; None where pictures can be taken."""
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed"
    if _chromium() is None or shutil.which("chromedriver") is None:
        return "there is no Chromium with its chromedriver"
    return None


def _chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def _browser() -> Any:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = _chromium()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-background-networking"):  # fmt: skip
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
