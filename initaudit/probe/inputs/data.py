"""Real inputs from an .npz file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_data(path: str, wanted: Mapping[str, np.dtype[Any]]) -> dict[str, np.ndarray]:
    """The arrays of the file by input.

    Args:
        path: an .npz file with one array per input, by name.
        wanted: input -> dtype.

    Raises:
        UsageError: file unreadable, an input missing, or of another dtype.
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
        if array.dtype != wanted[name]:
            raise UsageError(f"{path}: input {name!r} wants {wanted[name]}, the file has {array.dtype}")
    return stored


def pieces_of(
    arrays: Mapping[str, np.ndarray], dims: Mapping[str, tuple[int | str | None, ...]], most: int, path: str
) -> list[dict[str, np.ndarray]]:
    """The data cut along the first axis into what the model takes at once, at most `most` pieces.

    One piece where the first axis is free; where the file fixes it, as many as it fits into the data.

    Raises:
        UsageError: rank or size contradict the model.
    """
    fixed = {size for d in dims.values() if d and isinstance(size := d[0], int) and size > 0}
    leading = {array.shape[0] for array in arrays.values() if array.ndim}
    if len(fixed) == 1 and len(leading) == 1 and all(d and isinstance(d[0], int) for d in dims.values()):
        rows, total = fixed.pop(), leading.pop()
        if total > rows and total % rows == 0:
            count = min(most, total // rows)
            return [
                piece
                for start in range(0, count * rows, rows)
                for piece in pieces_of({n: a[start : start + rows] for n, a in arrays.items()}, dims, 1, path)
            ]
    for name, array in arrays.items():
        check_shape(name, array.shape, dims[name], path)
    return [dict(arrays)]


def check_shape(name: str, shape: tuple[int, ...], dims: tuple[int | str | None, ...], where: str) -> None:
    """Raises UsageError where `shape` cannot be that of the input."""
    text = "x".join("?" if d is None else str(d) for d in dims)
    if len(shape) != len(dims):
        raise UsageError(f"{where}: input {name!r} has {len(dims)} dimensions ({text}), not {len(shape)}")
    for size, dim in zip(shape, dims, strict=True):
        if isinstance(dim, int) and dim > 0 and size != dim:
            raise UsageError(f"{where}: input {name!r} has shape {text}, not {'x'.join(map(str, shape))}")
