"""What the tests of the probe share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _measured_once() -> None:
    """Each of these tests measures for itself."""
