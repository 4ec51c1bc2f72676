"""Real inputs from an .npz or .npy file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_data(data: str | bytes, wanted: Mapping[str, np.dtype[Any]], path: str) -> dict[str, np.ndarray]:
    """The arrays of the file by input.

    Args:
        data: an .npz file with one array per input, by name; or an .npy file with the array of the only input; or the bytes of one.
        wanted: input -> dtype. Floats and whole numbers of another width are converted, and whole numbers to floats.
        path: how errors name the data.

    Raises:
        UsageError: file unreadable, an input missing, or of values that its dtype does not hold or that are not finite.
    """
    try:
        with io.BytesIO(data) if isinstance(data, bytes) else Path(data).open("rb") as file:
            stored = _stored(np.load(file, allow_pickle=False), wanted, path)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UsageError:
        raise
    except Exception as error:  # numpy and zipfile raise whatever a damaged header or archive leads them to
        raise UsageError(f"{path}: cannot be read as .npz or .npy: {error}") from error
    missing = [name for name in wanted if name not in stored]
    if missing:
        others = sorted(set(stored) - set(wanted))
        has = f"; it holds {', '.join(others)}" if others else ""
        raise UsageError(f"{path}: no array for input {', '.join(missing)}{has}")
    return {name: converted(stored[name], dtype, name, path) for name, dtype in wanted.items()}


def _stored(loaded: Any, wanted: Mapping[str, np.dtype[Any]], path: str) -> dict[str, np.ndarray]:
    if not isinstance(loaded, np.ndarray):
        return {name: loaded[name] if name in wanted else np.empty(0) for name in loaded.files}
    if len(wanted) != 1:
        raise UsageError(f"{path}: one array, for the inputs {', '.join(wanted)}; give one for each, by name")
    return dict.fromkeys(wanted, loaded)


def converted(array: np.ndarray, dtype: np.dtype[Any], name: str, path: str) -> np.ndarray:
    """The array of an input in the type that it wants. Raises UsageError where that does not hold its values, or they are not finite."""
    fitting = _converted(array, dtype, name, path)
    if fitting.dtype.kind == "f" and not np.isfinite(fitting.astype(np.float64)).all():
        raise UsageError(f"{path}: input {name!r} holds NaN or infinity, or numbers that {fitting.dtype} does not hold")
    return fitting


def _converted(array: np.ndarray, dtype: np.dtype[Any], name: str, path: str) -> np.ndarray:
    if array.dtype == dtype:
        return array
    kinds = array.dtype.kind, dtype.kind
    whole = kinds[0] in "iu" and kinds[1] in "iu"
    if whole and array.size and not (np.iinfo(dtype).min <= array.min() and array.max() <= np.iinfo(dtype).max):
        raise UsageError(f"{path}: input {name!r} wants {dtype}, the file has numbers beyond it")
    if whole or (kinds[0] in "iuf" and kinds[1] == "f"):
        return array.astype(dtype)
    raise UsageError(f"{path}: input {name!r} wants {dtype}, the file has {array.dtype}")


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
        if array.ndim and not array.shape[0] and dims[name][0] != 0:
            raise UsageError(f"{path}: the array of input {name!r} is empty: it has no row")
    _check_rows(arrays, dims, path)
    return [dict(arrays)]


def _check_rows(arrays: Mapping[str, np.ndarray], dims: Mapping[str, tuple[int | str | None, ...]], path: str) -> None:
    """Raises UsageError where inputs whose first axis the model calls the same have arrays of several lengths; one row may stand for all."""
    first: dict[str, tuple[str, int]] = {}
    for name, array in arrays.items():
        axis = dims[name][0] if dims[name] else None
        if not isinstance(axis, str) or array.shape[0] == 1:
            continue
        other, rows = first.setdefault(axis, (name, array.shape[0]))
        if rows != array.shape[0]:
            raise UsageError(
                f"{path}: the arrays differ in rows: {rows} of input {other!r}, {array.shape[0]} of {name!r}; "
                f"the model calls both {axis}"
            )


def check_shape(name: str, shape: tuple[int, ...], dims: tuple[int | str | None, ...], where: str) -> None:
    """Raises UsageError where `shape` cannot be that of the input."""
    text = "x".join("?" if d is None else str(d) for d in dims)
    if len(shape) != len(dims):
        raise UsageError(f"{where}: input {name!r} has {len(dims)} dimensions ({text}), not {len(shape)}")
    for size, dim in zip(shape, dims, strict=True):
        if isinstance(dim, int) and dim > 0 and size != dim:
            raise UsageError(f"{where}: input {name!r} has shape {text}, not {'x'.join(map(str, shape))}")
