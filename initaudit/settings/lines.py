"""Lines of the entries of a TOML file, which the standard library's parser does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Lines: TypeAlias = Mapping[tuple[str, ...], int]
"""Keys from the outermost table to the entry -> number of the line where it begins."""

_HEADER = re.compile(r"\s*\[.*\]\s*(#.*)?$")
_ONE = r"""(?:"[^"]*"|'[^']*'|[\w-]+)"""
_KEY = re.compile(rf"\s*({_ONE}(?:\s*\.\s*{_ONE})*)\s*=")


def lines_of(text: str) -> Lines:
    """Where tables and entries begin, in a text that is TOML."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        key = _KEY.match(line)
        if _HEADER.match(line):
            table = _keys(line)
            for length in range(1, len(table) + 1):
                found.setdefault(table[:length], number)
        elif key:
            found.setdefault((*table, *_keys(f"{key[1]} = 0")), number)
    return found


def line_of(lines: Lines, keys: Sequence[str]) -> int | None:
    """The line of an entry, or of what it is written within."""
    for length in range(len(keys), 0, -1):
        if tuple(keys[:length]) in lines:
            return lines[tuple(keys[:length])]
    return None


def _keys(line: str) -> tuple[str, ...]:
    """The keys that one line of TOML names; none where it is no such line (within a text of several lines)."""
    try:
        node = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    keys = []
    while node:
        key, inner = next(iter(node.items()))
        keys.append(key)
        node = inner[0] if isinstance(inner, list) else inner
        if not isinstance(node, dict):
            break
    return tuple(keys)
