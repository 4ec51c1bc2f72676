"""A fixed model keeps one generation of data files beside it."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest

from initaudit.errors import FixRefused
from initaudit.fixing.generations import first_line, is_data_of
from initaudit.fixing.patching import write_model
from initaudit.model.load import load_model
from tests.networks import mlp


def external(folder: Path, location: str = "m.onnx.data", name: str = "m.onnx") -> Path:
    """A model whose weights lie in `location`."""
    path = folder / name
    onnx.save(mlp([8, 16, 4]), path, save_as_external_data=True, location=location, size_threshold=0)
    return path


def rewrite(path: Path, output: Path | None = None) -> None:
    """Write the model again, with the same values."""
    write_model(load_model(path), output or path, {}, touched={})


def names(folder: Path) -> list[str]:
    """Files of the folder."""
    return sorted(p.name for p in folder.iterdir())


def test_replacing_a_model_again_and_again_leaves_one_data_file(tmp_path: Path):
    """Ten runs do not fill a disk; the model stays whole."""
    path = external(tmp_path)
    values = {t.name: t.raw_data for t in onnx.load(path).graph.initializer}

    for _ in range(3):
        rewrite(path)

        assert len(names(tmp_path)) == 2
        assert {t.name: t.raw_data for t in onnx.load(path).graph.initializer} == values


def test_writing_over_an_output_leaves_one_data_file(tmp_path: Path):
    """The source keeps its own."""
    path = external(tmp_path)

    for _ in range(3):
        rewrite(path, tmp_path / "out.onnx")

    assert len(names(tmp_path)) == 4
    assert {"m.onnx", "m.onnx.data", "out.onnx"} < set(names(tmp_path))


def test_a_data_file_that_another_model_reads_stays(tmp_path: Path):
    """Two models share their weights; one is replaced."""
    path = external(tmp_path)
    (tmp_path / "twin.onnx").write_bytes(path.read_bytes())

    rewrite(path)

    assert "m.onnx.data" in names(tmp_path)
    onnx.load(tmp_path / "twin.onnx")


def test_a_data_file_of_another_name_stays(tmp_path: Path):
    """It is not called after the model: somebody else may want it."""
    path = external(tmp_path, "weights.bin")

    rewrite(path)
    rewrite(path)

    assert names(tmp_path) == ["m.onnx", "m.onnx.1.data", "weights.bin"]


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path):
    """Killed between the two renames: the new data stands beside the old model, which nothing of it needs."""
    path = external(tmp_path)
    (tmp_path / "m.onnx.7.data").write_bytes(first_line(path, [tmp_path / "m.onnx.data"]) + b"weights")
    (tmp_path / "m.onnx.8.data").write_bytes(b"of somebody else")

    rewrite(path)

    assert names(tmp_path) == ["m.onnx", "m.onnx.1.data", "m.onnx.8.data"]
    onnx.load(path)


def test_a_link_to_a_model_with_data_beside_it_is_not_written_to(tmp_path: Path):
    """Readers look for the data beside the link or beside the file: only the user knows which."""
    (tmp_path / "real").mkdir()
    external(tmp_path / "real")
    (tmp_path / "m.onnx").symlink_to("real/m.onnx")

    with pytest.raises(FixRefused, match="is a link"):
        rewrite(tmp_path / "m.onnx")

    assert names(tmp_path / "real") == ["m.onnx", "m.onnx.data"]


def test_a_data_file_from_a_stranger_names_nothing_that_is_removed(tmp_path: Path):
    """Its first line may say anything; what is not called as data of the model stays, wherever it says that it is replaced."""
    path = external(tmp_path)
    others = ["thesis.txt", "id_rsa", "mail.data", "m.py", "m"]
    for name in others:
        (tmp_path / name).write_text("mine")
    (tmp_path / "m.onnx.7.data").write_bytes(first_line(path, [tmp_path / name for name in others]))

    rewrite(path)

    assert set(others) < set(names(tmp_path))
    assert "m.onnx.7.data" not in names(tmp_path)


@pytest.mark.parametrize(
    "name", ["m.onnx.data", "m.onnx_data", "m.onnx_data_1", "m.data", "m.weights.bin", "m_weights.pb"]
)
def test_data_is_known_by_the_names_that_exporters_give_it(name: str):
    """Only such a file is replaced together with its model."""
    assert is_data_of(Path("m.onnx"), name)
    assert not is_data_of(Path("n.onnx"), name)
    assert not is_data_of(Path("m.onnx"), f"{name}.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.timeout(20)
def test_a_pipe_in_the_folder_is_not_waited_for(tmp_path: Path):
    """Whatever it is called."""
    path = external(tmp_path)
    os.mkfifo(tmp_path / "z.onnx")
    os.mkfifo(tmp_path / "m.onnx.7.data")

    rewrite(path)

    assert names(tmp_path) == ["m.onnx", "m.onnx.1.data", "m.onnx.7.data", "z.onnx"]
