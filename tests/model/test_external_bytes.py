"""How much external data there is: what the time limit of a task grows with."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from initaudit.model.external import external_bytes


def referring(*locations: str) -> onnx.ModelProto:
    """A model with a tensor in each of the files."""
    tensors = []
    for i, location in enumerate(locations):
        tensor = TensorProto(name=f"w{i}", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", location
        tensors.append(tensor)
    return helper.make_model(helper.make_graph([], "g", [], [], tensors))


def test_a_file_counts_once_however_it_is_called(tmp_path: Path):
    """Thousands of spellings of one path make it no longer."""
    (tmp_path / "d").write_bytes(bytes(8192) + b"x" * 8192)
    os.link(tmp_path / "d", tmp_path / "e")

    assert external_bytes(referring("d"), tmp_path) == 16384
    assert external_bytes(referring("d", "./d", "././d", "e"), tmp_path) == 16384


def test_holes_and_what_is_not_there_count_nothing(tmp_path: Path):
    """A file may promise terabytes that no disk holds."""
    with (tmp_path / "d").open("wb") as file:
        file.truncate(1 << 40)

    assert external_bytes(referring("d", "missing"), tmp_path) < 1 << 20
    assert external_bytes(referring("d"), None) == 0
