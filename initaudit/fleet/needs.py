"""What an extra brings, and one clear line where it is not installed."""

from __future__ import annotations

import importlib
from typing import Any

from initaudit.errors import UsageError


def needed(module: str, purpose: str) -> Any:
    """A module of the extra `fleet`. Raises UsageError that says what it is needed for and how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or module).partition(".")[0]
        raise UsageError(
            f"{purpose} needs {missing}, which is not installed: pip install 'initaudit[fleet]'"
        ) from error
