"""The exit code of a run says something about all of its models, or that some have no row yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from initaudit.cli import run
from initaudit.cli.fleet_following import EXIT_UNFINISHED, followed
from initaudit.fleet.plan import Shard
from initaudit.fleet.store import Store
from tests.fleet.stubs import row, write_run

PATHS = ["a.onnx", "b.onnx", "c.onnx"]


@pytest.mark.parametrize("codes", [(0, 0, 0), (0, 1, 0), (1, 2, 0), (0, 0), (2,), ()])
def test_a_code_below_three_means_that_rows_and_plan_are_equal(tmp_path: Path, codes: tuple[int, ...]):
    """It is the worst of them then; a row that is missing weighs more than any."""
    rows = [row(path, exit_code=code) for path, code in zip(PATHS, codes, strict=False)]
    record = write_run(Store(tmp_path), "run", rows, planned=PATHS)
    is_whole = len(codes) == len(PATHS)

    assert followed((row for row in rows), record, Shard(), quiet=True) == (max(codes) if is_whole else EXIT_UNFINISHED)
    assert run(["fleet", "status", str(tmp_path)]) == (0 if is_whole else EXIT_UNFINISHED)
