"""Which kind of place an address means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from initaudit.fleet.bucket import Bucket
from initaudit.fleet.place import Folder

if TYPE_CHECKING:
    from initaudit.fleet.place import Place


def place_at(address: str | os.PathLike[str]) -> Place:
    """The place at a path or a URL. Raises UsageError where fsspec is needed and is not there."""
    text = os.fsdecode(address)
    if text.startswith("file://"):
        return Folder(Path(unquote(urlsplit(text).path)))
    if "://" not in text:
        return Folder(Path(text))
    return Bucket(text)
