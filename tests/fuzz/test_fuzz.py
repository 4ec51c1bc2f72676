"""A short run of the fuzzer, the same each time; `python -m tests.fuzz` runs for hours."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.outcome import outcome
from tests.fuzz.seeds import seeds

FILES = 25
"""Mutated files for each seed."""


@pytest.mark.parametrize("name", sorted(seeds()))
def test_a_mutated_file_gives_a_report_or_a_documented_error(name: str):
    """Never another exception, a warning on stderr, or a document that is no JSON."""
    raw, rng = seeds()[name], random.Random(name)

    ends = [outcome(mutated(raw, rng)) for _ in range(FILES)]

    assert outcome(raw) == "report"
    assert [what for what in ends if what.startswith("!")] == []
