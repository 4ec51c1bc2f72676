"""The Dockerfile: there is no daemon to build it here; what it copies is what the hook is installed from in its test."""

from __future__ import annotations

import json
import re
import tomllib

from tests.ci.conftest import ROOT

LINES = (ROOT / "Dockerfile").read_text().splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_it_fits_the_package():
    """A Python that the package takes, and the command that it installs, for a user without rights."""
    (version,) = re.findall(r"FROM python:3\.(\d+)-slim", LINES[1])
    (command,) = [json.loads(line.removeprefix("ENTRYPOINT ")) for line in LINES if line.startswith("ENTRYPOINT ")]
    needed = int(PROJECT["requires-python"].removeprefix(">=3."))

    assert int(version) >= needed
    assert command == list(PROJECT["scripts"])
    assert any(line.startswith("USER ") and line != "USER root" for line in LINES)
    assert len(LINES) <= 10
