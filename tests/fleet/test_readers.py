"""Workers that have no model of their own read the weights of the others'."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from initaudit.cli import cli
from initaudit.fleet.run import Run
from tests.networks import mlp, save


@pytest.mark.parametrize(("workers", "readers"), [(1, 1), (2, 1), (5, 2), (8, 4)])
def test_workers_are_shared_among_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, readers: int
) -> None:
    """Two models on eight workers: each has four that read its weights."""
    for name in ("a", "b"):
        save(mlp([8, 8]), tmp_path / f"{name}.onnx")
    found: list[int] = []
    monkeypatch.setattr(Run, "rows", lambda run, _: found.append(run._care.readers) or iter(()))
    command = ["fleet", "run", str(tmp_path), "--store", str(tmp_path / "store"), "--workers", str(workers), "-q"]

    CliRunner().invoke(cli, command)

    assert found == [readers]
