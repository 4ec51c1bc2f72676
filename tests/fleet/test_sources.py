"""Which models a fleet is made of."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from initaudit.errors import UsageError
from initaudit.fleet.sources import items_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: `b.onnx`, `a.onnx`, `deep/C.ONNX` and files of other kinds."""
    (tmp_path / "deep").mkdir()
    for name in ("b.onnx", "a.onnx", "deep/C.ONNX", "deep/weights.data", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bucket() -> Iterator[str]:
    """The same behind a URL."""
    memory = fsspec.filesystem("memory")
    for name in ("b.onnx", "a.onnx", "deep/C.ONNX", "deep/weights.data", "notes.txt"):
        memory.pipe_file(f"/sources/{name}", name.encode())
    yield "memory://sources"
    memory.rm("/sources", recursive=True)


def paths(*sources: str, exclude: tuple[str, ...] = ()) -> list[str]:
    """Of the models of these sources."""
    return [item.path for item in items_of(sources, exclude)]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("b.onnx", ["b.onnx"]),
        ("deep", ["deep/C.ONNX"]),
        (".", ["a.onnx", "b.onnx", "deep/C.ONNX"]),
        ("*.onnx", ["a.onnx", "b.onnx"]),
        ("**/*.ONNX", ["deep/C.ONNX"]),
        ("gone.onnx", ["gone.onnx"]),
    ],
)
def test_a_file_a_folder_and_a_glob_mean_the_models_that_they_mean_to_check(source: str, found: list[str]):
    """Every .onnx file below a folder, in whatever case and by name; a file that is named is one whether it is there or not."""
    assert paths(source) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("/b.onnx", ["/b.onnx"]),
        ("/deep", ["/deep/C.ONNX"]),
        ("", ["/a.onnx", "/b.onnx", "/deep/C.ONNX"]),
        ("/*.onnx", ["/a.onnx", "/b.onnx"]),
        ("/**/*.ONNX", ["/deep/C.ONNX"]),
        ("/gone.onnx", ["/gone.onnx"]),
    ],
)
def test_a_url_means_a_file_a_folder_or_a_glob_in_the_same_way(bucket: str, source: str, found: list[str]):
    """What is found is called by a URL that finds it again."""
    assert [p.replace("memory:///", "memory://") for p in paths(bucket + source)] == [bucket + name for name in found]


def test_a_url_of_files_is_as_good_as_their_folder(folder: Path):
    """`file://` leads to the same."""
    assert [Path(path.removeprefix("file://")) for path in paths(f"file://{folder}/deep")] == [folder / "deep/C.ONNX"]


@pytest.mark.usefixtures("folder")
def test_a_list_names_sources_of_every_kind(bucket: str, monkeypatch: pytest.MonkeyPatch):
    """A line each, from a file or from stdin; blank lines and those that begin with # mean nothing."""
    text = f"# ours\n\nb.onnx\ndeep\n{bucket}/a.onnx\n"
    Path("list.txt").write_text(text)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    assert paths("@list.txt") == ["b.onnx", "deep/C.ONNX", f"{bucket}/a.onnx"]
    assert paths("@-") == ["b.onnx", "deep/C.ONNX", f"{bucket}/a.onnx"]


@pytest.mark.usefixtures("folder")
def test_a_file_that_several_sources_mean_is_one_model():
    """By the file itself, not by its name."""
    os.link("a.onnx", "deep/again.onnx")

    assert paths("b.onnx", ".", "./b.onnx") == ["b.onnx", "a.onnx", "deep/C.ONNX"]


@pytest.mark.usefixtures("folder")
def test_what_is_excluded_is_left_out():
    """A folder, a file, or the end of a path."""
    assert paths(".", exclude=("deep",)) == ["a.onnx", "b.onnx"]
    assert paths(".", exclude=("b.onnx", "deep/*")) == ["a.onnx"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("source", ["*.pt", "@nothing.txt", "memory://nowhere/*.onnx"])
def test_a_source_without_a_model_is_an_error_that_names_it(source: str):
    """A spelling mistake must not make a fleet of nothing."""
    with pytest.raises(UsageError) as error:
        paths(source)
    assert source in str(error.value)


@pytest.mark.usefixtures("folder")
def test_a_model_shows_its_size_and_what_changes_with_its_content(bucket: str):
    """Of a file and of an object alike; of a file that is not there nothing is known."""
    local, remote, gone = items_of(["a.onnx", f"{bucket}/a.onnx", "gone.onnx"])
    Path("a.onnx").write_bytes(b"A.onnx")
    fsspec.filesystem("memory").pipe_file("/sources/a.onnx", b"A.onnx")
    later = list(items_of(["a.onnx", f"{bucket}/a.onnx"]))

    assert (local.size, remote.size, gone.size) == (6, 6, None)
    assert local.stamp not in (None, later[0].stamp)
    assert remote.stamp not in (None, later[1].stamp)
