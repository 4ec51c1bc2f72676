"""What tests of a fleet share: some tiny models, a store, and the browser of the tests of pages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from initaudit.engines.process import discard
from initaudit.fleet.store import Store
from tests.fleet.running import with_external
from tests.formats.conftest import browser
from tests.networks import mlp, save

__all__ = ["browser"]


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


@pytest.fixture(scope="module")
def faulty_workers() -> Iterator[None]:
    """Processes that are started meanwhile have the package of `faults`, and know the tests."""
    discard()
    with pytest.MonkeyPatch.context() as patch:
        here = Path(__file__).parent
        patch.setenv(
            "PYTHONPATH", os.pathsep.join([str(here / "faults"), str(here.parents[1]), *filter(None, sys.path)])
        )
        yield
    discard()


@pytest.fixture
def faults(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of models with the names given."""

    def make(*names: str) -> Path:
        for i, name in enumerate(names):
            save(mlp([8, 8 + i, 4], seed=i), tmp_path / f"{name}.onnx")
        return tmp_path

    return make
