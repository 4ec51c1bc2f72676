"""Where a model lies, and what tells that it changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from initaudit.fleet.keys import Content, recall, remember
from initaudit.fleet.origin import LocalOrigin
from initaudit.fleet.store import Store

if TYPE_CHECKING:
    import pytest


def test_a_file_that_settles_has_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Just written it could change again without a trace; a minute later it is still the file that it was."""
    file = tmp_path / "m.onnx"
    file.write_bytes(b"model")
    origin = LocalOrigin(str(file))
    now = file.stat().st_mtime_ns

    monkeypatch.setattr("initaudit.fleet.origin.time.time_ns", lambda: now)
    fresh = origin.state()
    monkeypatch.setattr("initaudit.fleet.origin.time.time_ns", lambda: now + 60 * 10**9)
    settled = origin.state()

    assert fresh == settled
    assert (fresh.is_settled, settled.is_settled) == (False, True)


def test_only_what_has_settled_is_known_again_without_reading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A change within a tick of the clock would show in no time of the file."""
    file = tmp_path / "m.onnx"
    file.write_bytes(b"model")
    origin, place = LocalOrigin(str(file)), Store(tmp_path / "store").place
    now = file.stat().st_mtime_ns

    found = []
    for later in (0, 60 * 10**9):
        monkeypatch.setattr("initaudit.fleet.origin.time.time_ns", lambda later=later: now + later)
        remember(place, origin, Content("digest", {"": origin.state()}))
        found.append(recall(place, origin))

    assert found == [None, "digest"]
