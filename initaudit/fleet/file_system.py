"""What fsspec knows of a URL."""

from __future__ import annotations

from typing import Any

from initaudit.errors import UsageError
from initaudit.fleet.needs import needed


def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it. Raises UsageError where something for it is not installed."""
    fsspec = needed("fsspec", f"reading {url.partition('://')[0]}://")
    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{url}: {error}") from error
    return system, str(path).rstrip("/")


def protocols(system: Any) -> set[str]:
    """Names of the protocol that a file system speaks."""
    protocol = system.protocol
    return {protocol} if isinstance(protocol, str) else set(protocol)
