"""Files of models below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from initaudit.errors import UsageError

SUFFIX = ".onnx"


def models_below(folder: Path) -> Iterator[Path]:
    """Files of models below a folder, those of each folder by name, in whatever case.

    A link to nothing, a pipe, a socket and a device are among them, and their audits say so.

    Links to folders are not followed, so that none leads in a circle. Raises UsageError where a folder cannot be looked into: it may hold any model.
    """
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() == SUFFIX:
                yield path


def _refuse(error: OSError) -> None:
    raise UsageError(f"{error.filename}: {error.strerror}") from error
