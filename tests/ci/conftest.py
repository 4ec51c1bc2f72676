"""What CI systems find: the files of the project, installed without the network, and models to audit."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from tests.networks import mlp, save

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the Dockerfile copies: what is built from them shows that they are enough."""
    folder = tmp_path_factory.mktemp("sources")
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            *items, target = line.split()[1:]
            for item in items:
                copy = shutil.copytree if (ROOT / item).is_dir() else shutil.copy
                copy(ROOT / item, folder / target / item if target == "./" else folder / target)
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables under which pip finds the dependencies there already, and nothing of the project itself."""
    folder = tmp_path_factory.mktemp("dependencies")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "initaudit" not in entry.name and not entry.name.startswith("pip") and entry.suffix != ".pth":
            (folder / entry.name).symlink_to(entry)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "INITAUDIT_", "PRE_COMMIT"))}
    return {**kept, "PYTHONPATH": str(folder)}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with a sound model, and one with a layer of zeros in a folder apart."""
    for folder in ("models", "broken"):
        (tmp_path / folder).mkdir()
    save(mlp([16, 16, 4]), tmp_path / "models" / "good.onnx")
    save(mlp([16, 16, 4], change={"fc0.weight": np.zeros_like}), tmp_path / "broken" / "zero.ONNX")
    return tmp_path
