"""The data files that fixed models leave beside them: one generation each, whatever happened to earlier runs.

A data file starts with a line that says which model it belongs to and which files it replaces. So a run knows the files of earlier ones, also of
those that were killed between writing the weights and replacing the model, and removes them once its own model stands. What a file says is
believed only of names that data files of this model have: both may come from strangers.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from initaudit.errors import FixRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import IO

_MAGIC = b"initaudit data file "
_LONGEST = 1 << 16
"""Bytes of a first line that are read."""
ALIGNMENT = 64
"""Of every tensor in the file, in bytes: a line of cache, and what the widest vector instructions want."""


def is_data_of(output: Path, name: str) -> bool:
    """Whether a file is called as exporters call the data of this model: `m.onnx.data`, `m.onnx_data_1`, `m.data`, `m.weights.bin`, `m.onnx.2.data`."""
    ending = r"([._-]?(\d+|external|onnx|data|weights?|bin|pb)){1,4}"
    return name != output.name and re.fullmatch(re.escape(output.stem) + r"(\.onnx)?" + ending, name) is not None


def first_line(output: Path, replaced: Iterable[Path]) -> bytes:
    """What a data file of `output` starts with, padded to ALIGNMENT."""
    line = _MAGIC + json.dumps({"model": output.name, "replaces": sorted(p.name for p in replaced)}).encode() + b"\n"
    return line + b"\0" * (-len(line) % ALIGNMENT)


def free_name(output: Path) -> Path:
    """A name for a data file of `output` that no file has: an existing one may belong to the model that is being read."""
    for number in range(1000):
        path = output.with_name(f"{output.name}.data" if number == 0 else f"{output.name}.{number}.data")
        if not path.exists():
            return path
    raise FixRefused(f"{output}: no free name for the data file")


def remove_earlier(output: Path, data: Path) -> list[Path]:
    """Remove the data files of earlier generations of `output`, and what they and `data` replace; those removed.

    Whatever another model of the folder mentions stays.
    """
    mine = re.compile(rf"{re.escape(output.name)}(\.\d+)?\.data")
    earlier: dict[Path, None] = {}
    for path in sorted(output.parent.iterdir()):
        said = _said(path) if mine.fullmatch(path.name) else None
        if said is not None and said[0] == output.name:
            replaced = (name for name in said[1] if is_data_of(output, name))
            earlier |= dict.fromkeys([path, *(output.parent / name for name in replaced)])
    earlier.pop(data, None)
    models = [p for p in output.parent.iterdir() if p.suffix.lower() == ".onnx"]
    removed = []
    for path in earlier:
        if path.is_file() and path.parent == output.parent and path.name and not _is_mentioned(path.name, models):
            with suppress(OSError):
                path.unlink()
                removed.append(path)
    return removed


def _said(path: Path) -> tuple[str, list[str]] | None:
    """The model that a data file belongs to and what it replaces; None where another program wrote it."""
    try:
        with _opened(path) as file:
            line = file.readline(_LONGEST)
        said = json.loads(line[len(_MAGIC) :]) if line.startswith(_MAGIC) else None
        return None if said is None else (str(said["model"]), [str(name) for name in said["replaces"]])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _is_mentioned(name: str, models: Sequence[Path]) -> bool:
    """Whether a model holds this text, as one does whose weights lie in that file; also where that cannot be seen."""
    for model in models:
        try:
            with _opened(model) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
                if raw.find(name.encode()) >= 0:
                    return True
        except (ValueError, _NoFile):  # empty, or what holds no model
            continue
        except OSError:
            return True
    return False


class _NoFile(OSError):
    """A device, a pipe or a folder."""


def _opened(path: Path) -> IO[bytes]:
    """A regular file, opened; nothing else is waited for. Raises OSError."""
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _NoFile
    return file
