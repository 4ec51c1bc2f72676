"""A short run of the fuzzer, the same each time; `python -m tests.fuzz` runs for hours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.case import Case, make_case
from tests.fuzz.seeds import corpus, networks
from tests.fuzz.worker import Worker

MOST_MEMORY = 500 << 20
"""Bytes; a third of it is the interpreter with its libraries."""
LONGEST = 10.0
"""Seconds of the processor; the longest takes two."""
CASES = range(0, 80, 2)
PROBED = range(1, 20, 2)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """One process with limits for all tests of this file."""
    with Worker() as one:
        yield one


@pytest.mark.parametrize("cases", [CASES, PROBED], ids=["weights", "probed"])
def test_a_mutated_file_gives_a_report_or_a_documented_error(cases: range, worker: Worker):
    """Never another exception, a warning, or a report that a format cannot show; whole parts of the cases also go through `fix`."""
    ended = {number: worker.run((number, 0)).what for number in cases}

    assert {number: what for number, what in ended.items() if what.startswith("!")} == {}
    assert len(set(ended.values())) >= 3


@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.stem)
def test_what_was_once_a_fault_is_none_any_more(path, worker: Worker):
    """Each file of the corpus made a version of initaudit fail; it is audited and mended, and the command's own process stays small."""
    raw = path.read_bytes()

    alone = worker.run(Case(raw=raw, fix=True, mapped=True))
    probed = worker.run(Case(raw=raw, probe=True))

    assert [ended.what for ended in (alone, probed) if ended.what.startswith("!")] == []
    assert alone.memory < MOST_MEMORY
    assert max(alone.seconds, probed.seconds) < LONGEST


@pytest.mark.parametrize("name", sorted(networks()))
def test_a_seed_is_sound(name: str, worker: Worker):
    """What mutations start from is audited and probed: else they would reach nothing."""
    ended = worker.run(Case(raw=networks()[name].SerializeToString(), probe=True))

    assert ended.what.split(", ")[1] in ("probe complete", "probe partial"), ended.what


def test_a_case_is_the_same_each_time():
    """Its number and the seed determine all of it."""
    assert make_case(5, 1) == make_case(5, 1)
    assert make_case(5, 1).raw != make_case(5, 2).raw
