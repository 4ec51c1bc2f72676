"""Writing a state into a file that PyTorch's side can read: .npz, for which numpy suffices, or .safetensors, for which the package `safetensors` is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.errors import UsageError
from initaudit.files import atomic_file

if TYPE_CHECKING:
    from typing import IO

SUFFIXES: Final = (".npz", ".safetensors")


def check_weights_file(path: Path) -> None:
    """Raises UsageError where no file of this name can be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path}: weights are written as {' or '.join(SUFFIXES)}, not {path.suffix or 'without a suffix'}"
        )
    if path.suffix.lower() == ".safetensors":
        try:
            import safetensors.numpy  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f"{path}: needs the package safetensors (pip install 'initaudit[torch]'); a .npz needs nothing"
            ) from error


def write_weights(path: Path, values: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, or nothing. Raises UsageError."""
    check_weights_file(path)
    with atomic_file(path) as stream:
        if path.suffix.lower() == ".npz":
            _write_npz(stream, values)
        else:
            from safetensors.numpy import save

            stream.write(save({name: np.ascontiguousarray(array) for name, array in values.items()}))


def _write_npz(stream: IO[bytes], values: Mapping[str, np.ndarray]) -> None:
    """As `numpy.savez`, which takes keywords and so refuses a parameter called `file`; bfloat16, which numpy does not know, as float32."""
    import zipfile

    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in values.items():
            known = array if array.dtype.kind in "biufc" else array.astype(np.float32)
            entry = zipfile.ZipInfo(f"{name}.npy")  # of a fixed date: the same weights give the same bytes
            with archive.open(entry, "w", force_zip64=True) as inside:
                np.lib.format.write_array(inside, np.asanyarray(known), allow_pickle=False)
