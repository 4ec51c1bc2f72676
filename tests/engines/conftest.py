"""What tests of workers share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from initaudit.engines.process import discard


@pytest.fixture(autouse=True, scope="module")
def _workers_know_the_tests() -> Iterator[None]:
    """A worker that was started elsewhere may not."""
    discard()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]))
        yield
    discard()
