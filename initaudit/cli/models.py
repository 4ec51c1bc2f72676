"""Which models the arguments of a command mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from initaudit.errors import UsageError
from initaudit.model.folder import models_below
from initaudit.settings.globs import is_left_out

STDIN = "-"
"""The argument that stands for a model on stdin."""
STDIN_NAME = "<stdin>"
"""What reports and messages call it."""


def expand(models: Sequence[str], exclude: Sequence[str] = ()) -> list[str]:
    """Files from files, directories (every .onnx file below, in whatever case), globs and `-`; each file once.

    Raises UsageError where nothing is found, or nothing is left by `exclude` (globs over a path, the end of it, or a folder that it is in).
    """
    from glob import glob, has_magic

    found: dict[str, None] = {}
    for item in models:
        path = Path(item)
        if item == STDIN or path.is_file():
            found[item] = None
        elif path.is_dir():
            inside = sorted(str(file) for file in models_below(path))
            if not inside:
                raise UsageError(f"{item}: no .onnx file in this directory")
            found |= dict.fromkeys(inside)
        elif has_magic(item):
            matched = sorted(p for p in glob(item, recursive=True) if not Path(p).is_dir())
            if not matched:
                raise UsageError(f"{item}: matches no file")
            found |= dict.fromkeys(matched)
        else:
            found[item] = None  # the audit says why it cannot be read
    kept = [item for item in found if not is_left_out(Path(item), exclude)]
    if not kept:
        raise UsageError(f"nothing is left to audit: all {len(found)} models are excluded")
    once: dict[object, str] = {}
    for item in kept:
        once.setdefault(_identity(item), item)
    return list(once.values())


def left_out(models: Sequence[str], exclude: Sequence[str]) -> Iterator[str]:
    """A note on files and folders that are named themselves, yet left out by `exclude`; what a glob or a folder means is left out without one."""
    from glob import has_magic

    named = [item for item in dict.fromkeys(models) if Path(item).exists() or not has_magic(item)]
    items = [item for item in named if is_left_out(Path(item), exclude)]
    if items:
        more = f" and {len(items) - 1:,} more" if len(items) > 1 else ""
        yield f"{items[0]}{more}: named, but left out by `exclude`"


def label(path: str) -> str:
    """What reports call the model of an argument."""
    return STDIN_NAME if path == STDIN else path


def _identity(path: str) -> object:
    """Equal for two ways to one file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return path
    return path if path == STDIN else (status.st_dev, status.st_ino)
