"""Real inputs as options hold them: the path of a file, or the bytes of one for arrays that Python code gives.

Bytes are what an option needs to be: immutable, comparable, and ready for the pipe to the probe's process.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any, TypeAlias

from initaudit.errors import UsageError

InputData: TypeAlias = "str | os.PathLike[str] | bytes | Mapping[str, Any] | Any"
"""A file, the bytes of one, arrays by the name of the input, or the array of the only input."""


def read_inputs(value: Any) -> str | bytes:
    """The path of an .npz or .npy file as text, or the bytes of one. Raises UsageError where it is neither that nor arrays."""
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    import numpy as np

    buffer = io.BytesIO()
    if isinstance(value, Mapping):
        arrays = {str(name): _array(array, f"input {name!r}") for name, array in value.items()}
        if not arrays:
            raise UsageError("no array is given")
        _write_archive(buffer, arrays)
    else:
        np.save(buffer, _array(value, "the value"), allow_pickle=False)
    return buffer.getvalue()


def _write_archive(buffer: IO[bytes], arrays: Mapping[str, Any]) -> None:
    """As numpy.savez does, whose own arguments forbid inputs called `file`; the same arrays give the same bytes."""
    from numpy.lib.format import write_array

    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                write_array(member, array, allow_pickle=False)


def _array(value: Any, what: str) -> Any:
    """Of numpy, torch, JAX ...: whatever has `__array__`; a list could as well be a mistake for something else."""
    import numpy as np

    if not hasattr(value, "__array__"):
        raise UsageError(f"{what} is neither a file nor an array: {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise UsageError(f"{what} is an array of Python objects, not of numbers")
    return array
