"""What follows from the probe's answer is the same whichever process measured it."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _measured_here(in_process: None) -> None:
    """Without a process for every network."""
