"""A real Chromium for the tests of pages."""

from __future__ import annotations

import json
import os
import shutil

import pytest


class Browser:
    """A headless Chromium that opens pages from disk and tells what they did."""

    def __init__(self, driver, folder):
        self.driver = driver
        self.folder = folder
        self.pages = 0

    def open(self, html, *, width=1280, height=900, dark=False, script=True):
        """Shows a page in a window of this size; forgets what earlier pages logged."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.command("Emulation.setEmulatedMedia", features=[scheme, motion])
        self.command("Emulation.setScriptExecutionDisabled", value=not script)
        self.pages += 1
        file = self.folder / f"{self.pages}.html"
        file.write_text(html, encoding="utf-8")
        self.errors()
        self.requests()
        self.driver.get(file.as_uri())
        return self

    def command(self, name, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def errors(self):
        """What went to the console since the last call, refusals by the content security policy among it."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses that the page asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One browser for all tests; without a Chromium the tests are skipped, in CI they fail."""
    programs = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    chromium = next(filter(None, programs), None)
    driver_path = shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        reason = "no Chromium with its chromedriver is installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    selenium = pytest.importorskip("selenium.webdriver")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(driver_path))
    yield Browser(driver, tmp_path_factory.mktemp("pages"))
    driver.quit()
