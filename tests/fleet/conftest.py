"""What tests of a fleet share: some tiny models, and a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from initaudit.fleet.store import Store
from tests.fleet.running import with_external
from tests.networks import mlp, save


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of four sound models (`a`, `b`, `deep/c`, and `outside`, whose weights lie in a file beside it) and one with dead weights (`zero`)."""
    folder = tmp_path / "models"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(["a", "b", "deep/c"]):
        save(mlp([8, 8 + i, 4], seed=i), folder / f"{name}.onnx")
    save(mlp([8, 8, 4], change={"fc0.weight": np.zeros_like}), folder / "zero.onnx")
    with_external(folder / "outside.onnx")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty one."""
    return Store(tmp_path / "store")
