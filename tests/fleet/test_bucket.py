"""A place behind a URL: whoever looks finds a whole file or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from initaudit.fleet.bucket import Bucket
from initaudit.fleet.place import StoreError


@pytest.mark.parametrize(
    "bring",
    [
        lambda place, file: place.write("runs/file", file.read_bytes()),
        lambda place, file: place.create("runs/file", file.read_bytes()),
        lambda place, file: place.upload("runs/file", file),
    ],
    ids=["write", "create", "upload"],
)
def test_what_breaks_off_on_its_way_has_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bring: Callable[[Bucket, Path], Any]
):
    """Also on a file system that shows files while they are written; the next attempt brings the whole."""
    source = tmp_path / "source"
    source.write_bytes(b"0123456789")
    place = Bucket(f"local://{tmp_path}/store")

    def breaking(self: LocalFileSystem, *arguments: Any, **options: Any) -> None:
        target = next(argument for argument in arguments if "store" in str(argument))
        Path(target).write_bytes(b"01234")
        raise OSError("connection lost")

    with monkeypatch.context() as patch:
        patch.setattr(LocalFileSystem, "pipe_file", breaking)
        patch.setattr(LocalFileSystem, "put_file", breaking)
        with pytest.raises(StoreError, match="runs/file: OSError: connection lost"):
            bring(place, source)
    assert place.read("runs/file") is None

    bring(place, source)

    assert place.read("runs/file") == b"0123456789"
    assert not place.create("runs/file", b"another")
