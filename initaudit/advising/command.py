"""Command lines for someone who has the file alone: quoted for a POSIX shell, and free of what a reader cannot see."""

from __future__ import annotations

import shlex

LONGEST = 400
"""Characters of a layer's name beyond which no command is offered. A judgement: nobody can check what they paste."""
FIXED = "fixed.onnx"
REASON = "why it is meant"
ANY_FILE = "@initaudit-file@"
"""Stands for the path in a line for a file that may lie anywhere."""


def fix_command(path: str, *, layer: str | None = None, select: str | None = None, every: bool = False) -> str | None:
    """`initaudit fix` for the whole file or one layer; None where no such line can be written."""
    words = ["initaudit", "fix", _file(path), "-o", FIXED]
    if every:
        words.append("--all")
    if select is not None:
        words += ["--select", select]
    if layer is not None:
        words += ["--layers", layer]
    return _line(words)


def ignore_command(path: str, code: str, layer: str | None) -> str | None:
    """`initaudit check` that accepts a finding, with room for the reason; None where no such line can be written."""
    if layer is not None and "=" in layer:  # what begins the reason
        return None
    where = "" if layer is None else f":{layer}"
    return _line(["initaudit", "check", _file(path), "--ignore", f"{code}{where}={REASON}"])


def for_file(line: str, path: str) -> str | None:
    """The line made for ANY_FILE, for the file at `path`; None where no such line can be written. Any other line stays."""
    if ANY_FILE not in line:
        return line
    word = _file(path)
    return line.replace(ANY_FILE, shlex.quote(word), 1) if word.isprintable() and len(word) <= LONGEST else None


def _file(path: str) -> str:
    return f"./{path}" if path.startswith("-") and path != "-" else path


def _line(words: list[str]) -> str | None:
    line = shlex.join(words)
    return line if line.isprintable() and max(map(len, words)) <= LONGEST else None
