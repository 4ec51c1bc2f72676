"""What fsspec knows of a URL."""

from __future__ import annotations

from typing import Any

from initaudit.errors import UsageError
from initaudit.fleet.needs import needed

HTTP = frozenset({"http", "https"})
"""Protocols."""
ABSENT = (404, 410)
"""Statuses by which a server says that there is no such object (RFC 9110, 15.5.5 and 15.5.11)."""


class Unreachable(UsageError):
    """What is behind a URL does not answer; the text names it."""


def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it. Raises Unreachable, and UsageError where something for it is not installed."""
    fsspec = needed("fsspec", f"reading {url.partition('://')[0]}://")
    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{url}: {error}") from error
    except Exception as error:  # some connect at once, and each protocol raises its own
        raise Unreachable(f"{url}: {type(error).__name__}: {error}") from error
    return system, str(path).rstrip("/")


def protocols(system: Any) -> set[str]:
    """Names of the protocol that a file system speaks."""
    protocol = system.protocol
    return {protocol} if isinstance(protocol, str) else set(protocol)


def info_of(system: Any, path: str) -> dict[str, Any]:
    """What a file system says of an object as it is now. Raises FileNotFoundError where there is none, and what else the protocol raises."""
    system.invalidate_cache()  # what it listed a while ago may be another now
    try:
        found: dict[str, Any] = system.info(path)
    except FileNotFoundError as error:
        why = error.__cause__  # over HTTP every failure is told as this one
        if why is None or not protocols(system) & HTTP or getattr(why, "status", None) in ABSENT:
            raise
        raise why from None
    return found
