"""Writes every sample model: `python sample_models/make.py [FOLDER]`, by default next to this file.

The networks are built by `initaudit.making`, of this checkout. The same bytes on every run: the generators are seeded by the names of the files.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import plain, structured, trained

PRODUCER = "initaudit-samples"


def files() -> dict[str, bytes]:
    """File name -> content."""
    made: dict[str, bytes] = {}
    for name, sample in {**plain.samples(), **structured.samples(), **trained.samples()}.items():
        model, data = sample if isinstance(sample, tuple) else (sample, None)
        model.producer_name = PRODUCER
        made[f"{name}.onnx"] = model.SerializeToString(deterministic=True)
        if data is not None:
            made[f"{name}.onnx.data"] = data
    return made


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
