"""Globs over paths of models."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import PurePath
from typing import Any

from initaudit.errors import UsageError
from initaudit.options import read_list

ANY_FOLDERS = "**"
"""Part of a glob that stands for any number of folders, none included."""


def fits(path: PurePath, glob: str) -> bool:
    """Whether a glob is like the path or the end of it; an absolute one is like the whole path. One that names nothing fits nothing."""
    pattern = PurePath(glob)
    if not pattern.parts:
        return False
    return _fit(path.parts, pattern.parts if pattern.is_absolute() else (ANY_FOLDERS, *pattern.parts))


def is_left_out(path: PurePath, globs: Sequence[str]) -> bool:
    """Whether a glob is like the path, the end of it, or a folder that it is in."""
    return any(fits(part, glob) for glob in globs for part in (path, *path.parents))


def read_globs(value: Any) -> tuple[str, ...]:
    """Globs of a list, or of a text with commas between them; blank ones, as of a variable that is not set, count as not given."""
    globs = tuple(glob for glob in read_list(value) if glob.strip())
    for glob in globs:
        if not PurePath(glob).parts:
            raise UsageError(f"{glob!r} names no file; write a name, a folder or a glob such as 'exports/**/*.onnx'")
    return globs


def _fit(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether the patterns are like all of the parts, one each but for `**`."""
    starts = {0}  # where the rest of the parts may begin
    for pattern in patterns:
        if pattern == ANY_FOLDERS:
            starts = set(range(min(starts), len(parts) + 1))
        else:
            starts = {at + 1 for at in starts if at < len(parts) and fnmatch(parts[at], pattern)}
        if not starts:
            return False
    return len(parts) in starts
