"""Real inputs from an .npz file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_data(
    path: str, wanted: Mapping[str, tuple[np.dtype[Any], tuple[int | str | None, ...] | None]]
) -> dict[str, np.ndarray]:
    """The arrays of the file by input, checked against what the model declares.

    Args:
        path: an .npz file with one array per input, by name.
        wanted: input -> (dtype, declared dimensions or None where the rank is unknown).

    Raises:
        UsageError: file unreadable, an input missing, wrong dtype, rank or size.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise UsageError(f"{path}: not an .npz archive")
            stored = {name: archive[name] for name in archive.files if name in wanted}
            others = sorted(set(archive.files) - set(wanted))
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: cannot be read as .npz: {error}") from error
    missing = [name for name in wanted if name not in stored]
    if missing:
        has = f"; it holds {', '.join(others)}" if others else ""
        raise UsageError(f"{path}: no array for input {', '.join(missing)}{has}")
    for name, array in stored.items():
        dtype, dims = wanted[name]
        if array.dtype != dtype:
            raise UsageError(f"{path}: input {name!r} wants {dtype}, the file has {array.dtype}")
        check_shape(name, array.shape, dims, path)
    return stored


def check_shape(name: str, shape: tuple[int, ...], dims: tuple[int | str | None, ...] | None, where: str) -> None:
    """Raises UsageError where `shape` cannot be that of the input."""
    if dims is None:
        return
    text = "x".join("?" if d is None else str(d) for d in dims)
    if len(shape) != len(dims):
        raise UsageError(f"{where}: input {name!r} has {len(dims)} dimensions ({text}), not {len(shape)}")
    for size, dim in zip(shape, dims, strict=True):
        if isinstance(dim, int) and dim > 0 and size != dim:
            raise UsageError(f"{where}: input {name!r} has shape {text}, not {'x'.join(map(str, shape))}")
