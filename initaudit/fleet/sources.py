"""Sources: what a fleet is made of: files, folders, globs, lists of them, and URLs that fsspec knows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from initaudit.errors import UsageError
from initaudit.fleet.file_system import file_system
from initaudit.fleet.origin import file_stamp, is_url, remote_stamp
from initaudit.fleet.plan import Item
from initaudit.model.folder import SUFFIX, models_below
from initaudit.settings.globs import is_left_out

LIST = "@"
"""In front of a file that lists sources, a line each; `@-` reads them from stdin."""
MAGIC = frozenset("*?[")
"""Characters that make a glob."""
PLAIN_ONLY = ("http", "https")
"""Protocols of which a URL may hold `?`; only `*` makes a glob there."""


def items_of(sources: Sequence[str], exclude: Sequence[str] = ()) -> Iterator[Item]:
    """Every model of the sources, each once, in their order, by name within one.

    A file that is named and is not there is one, too: its audit says so. Raises UsageError naming the source that cannot be looked into, or
    that holds no model.

    Args:
        sources: files, folders (every .onnx file below, in whatever case), globs, `@` and a list of these, URLs of all these kinds.
        exclude: globs over a path, the end of it, or a folder that it is in.
    """
    seen: set[object] = set()
    for source in _listed(sources):
        is_empty = True
        for item, identity in _remote(source) if is_url(source) else _local(source):
            is_empty = False
            if identity not in seen and not is_left_out(PurePath(item.path), exclude):
                seen.add(identity)
                yield item
        if is_empty:
            raise UsageError(f"{source}: holds no {SUFFIX} file")


def _listed(sources: Sequence[str]) -> Iterator[str]:
    for source in sources:
        if not source.startswith(LIST) or Path(source).exists():
            yield source
            continue
        name = source.removeprefix(LIST)
        try:
            with sys.stdin if name == "-" else Path(name).open(encoding="utf-8", errors="surrogateescape") as lines:
                yield from (line for line in map(str.strip, lines) if line and not line.startswith("#"))
        except OSError as error:
            raise UsageError(f"{source}: {error.strerror or error}") from error


def _local(source: str) -> Iterator[tuple[Item, object]]:
    from glob import has_magic, iglob

    path = Path(source)
    if path.is_dir():
        found: Iterator[str] = map(str, models_below(path))
    elif has_magic(source) and not path.exists():
        found = iter(sorted(p for p in iglob(source, recursive=True) if not Path(p).is_dir()))
    else:
        found = iter([source])
    return map(_file, found)


def _file(path: str) -> tuple[Item, object]:
    """With what two ways to one file have in common."""
    try:
        found = os.stat(path)  # noqa: PTH116  of a path that may be no text
    except (OSError, ValueError):
        return Item(path=path), path
    return Item(path=path, size=found.st_size, stamp=file_stamp(found)), (found.st_dev, found.st_ino)


def _remote(url: str) -> Iterator[tuple[Item, object]]:
    system, path = file_system(url)
    scheme = url.partition("://")[0]
    try:
        if set(path) & ({"*"} if scheme in PLAIN_ONLY else MAGIC):
            found = system.glob(path, detail=True)
        elif (info := _info(system, path)) is None:
            return iter([(Item(path=url), url)])
        elif info["type"] != "directory":
            return iter([_object(url, info)])
        else:
            found = system.find(path, detail=True)
            found = {name: info for name, info in found.items() if name.lower().endswith(SUFFIX)}
    except Exception as error:  # each protocol raises its own
        raise UsageError(f"{url}: {type(error).__name__}: {error}") from error
    files = ((name, info) for name, info in sorted(found.items()) if info["type"] != "directory")
    return (_object(_url(system, scheme, name), info) for name, info in files)


def _info(system: Any, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = system.info(path)
    except FileNotFoundError:
        return None
    return found


def _url(system: Any, scheme: str, name: str) -> str:
    """What finds the object again, by the protocol that the source was given with."""
    return f"{scheme}://{str(system.unstrip_protocol(name)).partition('://')[2]}"


def _object(url: str, info: dict[str, Any]) -> tuple[Item, object]:
    return Item(path=url, size=info.get("size"), stamp=remote_stamp(info)), url
