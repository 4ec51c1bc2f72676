"""The audits of a fix: no network is measured twice, and what is said of the file is what an audit of it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import initaudit
from initaudit.fixing.notes import notes_of_context
from initaudit.probe import isolation
from tests.networks import mlp, save, trained_like

FRESH = initaudit.Config(context="fresh")


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the probe was asked, as text."""
    asked: list[str] = []
    ask = isolation.run_child

    def run_child(job: dict[str, Any], blobs: Any = (), **limits: Any) -> dict[str, Any]:
        asked.append(json.dumps({key: job[key] for key in ("plan", "options")}))
        return ask(job, blobs, **limits)

    monkeypatch.setattr(isolation, "run_child", run_child)
    return asked


def test_what_is_said_of_the_file_is_what_an_audit_of_it_says(jobs: list[str], tmp_path: Path) -> None:
    """To the last bit, though its network was measured before it was written: as it was, and with one layer drawn anew."""
    path = save(mlp([32, 160, 160, 4], change={"fc1.weight": np.zeros_like}), tmp_path / "m.onnx")

    result = initaudit.fix(path, tmp_path / "out.onnx", config=FRESH)
    asked = len(jobs)
    fresh = initaudit.audit(tmp_path / "out.onnx", context="fresh")

    assert result.after is not None
    assert result.after.entry() | {"timing": None} == fresh.entry() | {"timing": None}
    assert asked == 2
    assert len(jobs) == 3


def test_the_context_of_the_model_before_is_not_told_as_given(tmp_path: Path) -> None:
    """Audits of a fix go by it; only what was given is said to be."""
    path = save(mlp([64, 64, 64, 4], change={"fc1.weight": np.zeros_like}), tmp_path / "m.onnx")

    found = initaudit.fix(path, config=initaudit.Config(probe="none")).after
    given = initaudit.fix(path, config=initaudit.Config(probe="none", context="fresh")).after

    assert found is not None
    assert given is not None
    assert found.entry()["verdict"]["evidence"] == ["fresh as before the fix"]
    assert given.entry()["verdict"]["evidence"] == ["given as fresh"]


def test_a_network_whose_values_do_not_tell_that_it_is_fresh_comes_with_a_note() -> None:
    """An audit that is not told so judges it by another standard than the fix did."""
    report = initaudit.audit(mlp([64, 64, 64, 4], draw=trained_like), context="fresh", probe="none")
    drawn = initaudit.audit(mlp([64, 64, 64, 4]), context="fresh", probe="none")

    assert ["--context fresh" in note for note in notes_of_context(report)] == [True]
    assert notes_of_context(drawn) == ()


def test_outside_of_a_fix_every_audit_measures(jobs: list[str], tmp_path: Path) -> None:
    """What a file holds may change between two of them."""
    path = save(mlp([16, 16, 4]), tmp_path / "m.onnx")

    for _ in range(2):
        initaudit.audit(path)

    assert len(jobs) == 2
