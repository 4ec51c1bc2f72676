"""Large weights are read by several workers, and nobody can tell from the report how many they were."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.engine import Engine
from initaudit.engines.local import Local
from initaudit.errors import ExternalDataError, InitauditError, LostWorker
from initaudit.measuring import sharing
from initaudit.model.external import ExternalRange, supplied
from initaudit.model.load import load_model
from initaudit.model.located import located
from initaudit.remembering import remembering
from initaudit.stats import plan, walk
from initaudit.stats.sampling import SAMPLE_SIZE
from initaudit.task import Task, Watch
from tests.networks import he, model

RNG = np.random.default_rng(3)
TENSORS = {
    "float32": he((200, 384), RNG).T.astype(np.float32),
    "bfloat16": he((384, 200), RNG).T.astype(ml_dtypes.bfloat16),
    "float16": he((200, 384), RNG).T.astype(np.float16),
    "quantised": RNG.integers(-127, 128, (200, 384)).astype(np.int8),
    "scale": np.float32(0.001),
    "convolution": he((128, 64, 3, 3), RNG).astype(np.float32),
    "gates": he((1, 1024, 384), RNG).astype(np.float32),
    "recurrent": he((1, 1024, 256), RNG).astype(np.float32),
    "image": np.array([-1, 64, 3, 2], np.int64),
    "sequence": np.array([1, -1, 384], np.int64),
}
"""The weights are larger than what is looked at as a whole."""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A network of every kind of weight, with external data."""
    nodes = [
        helper.make_node("MatMul", ["x", "float32"], ["a"]),
        helper.make_node("Cast", ["bfloat16"], ["wide"], to=1),
        helper.make_node("MatMul", ["a", "wide"], ["b"]),
        helper.make_node("Relu", ["b"], ["b1"]),
        helper.make_node("Cast", ["float16"], ["wider"], to=1),
        helper.make_node("MatMul", ["b1", "wider"], ["c"]),
        helper.make_node("DequantizeLinear", ["quantised", "scale"], ["dense"]),
        helper.make_node("MatMul", ["c", "dense"], ["d"]),
        helper.make_node("Reshape", ["d", "image"], ["d1"]),
        helper.make_node("Conv", ["d1", "convolution"], ["e"], pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["e", "sequence"], ["e1"]),
        helper.make_node("LSTM", ["e1", "gates", "recurrent"], ["y"], hidden_size=256),
    ]
    return str(write(model(nodes, {"x": ["n", 384]}, ["y"], TENSORS), tmp_path / "m.onnx"))


def write(proto: onnx.ModelProto, path: Path) -> Path:
    """With all weights in a file beside it."""
    onnx.save(proto, path, save_as_external_data=True, location="m.bin", size_threshold=64)
    return path


class Here(Engine):
    """So many workers that are none: each does the tasks that are its own in this process, the last one first."""

    name = "here"

    def __init__(self, workers: int, loses: Callable[[int], bool] = lambda _: False) -> None:
        self.workers, self.loses, self.tasks = workers, loses, 0

    def run(
        self, tasks: Iterable[Task[Any]], watch: Callable[[int], Any] = lambda _: None
    ) -> Iterator[tuple[int, Any | InitauditError]]:
        """See `Engine.run`."""
        numbered = list(enumerate(tasks))
        self.tasks = len(numbered)
        nobody = Watch(doing=lambda _: None, weighs=lambda _: None, repeats=lambda _: None)
        for worker in reversed(range(self.workers)):
            for number, task in numbered[worker :: self.workers]:
                lost = self.loses(number)
                yield number, LostWorker("gone") if lost else task.work(*task.arguments, watch=nobody)


def entry(path: str, engine: Engine | int | None) -> dict[str, Any]:
    """What the document says of the model, its times aside."""
    said = audit(path, Config(probe="none"), readers=engine).entry()
    return {key: value for key, value in said.items() if key != "timing"}


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of a few thousand values."""
    monkeypatch.setattr(sharing, "SHARED_SIZE", SAMPLE_SIZE + 1)
    monkeypatch.setattr(walk, "SPAN", 1 << 12)
    monkeypatch.setattr(plan, "RANGE", 1 << 15)


@pytest.mark.usefixtures("_short")
def test_the_report_is_the_same_whoever_reads_the_weights(path: str) -> None:
    """Byte for byte, for one worker, two, four and seven, and for none."""
    alone = entry(path, None)

    for workers in (1, 2, 4, 7):
        engine = Here(workers)

        assert entry(path, engine) == alone
        assert engine.tasks > 10


@pytest.mark.usefixtures("_short")
def test_what_a_lost_worker_leaves_undone_is_done_here(path: str) -> None:
    """Whether one range of a weight is lost, or all."""
    alone = entry(path, None)

    assert entry(path, Here(2, loses=lambda number: number % 5 == 1)) == alone
    assert entry(path, Here(2, loses=lambda _: True)) == alone


@pytest.mark.usefixtures("_short")
def test_a_weight_that_cannot_be_read_costs_the_others_nothing(tmp_path: Path) -> None:
    """Of more axes than an array has; the report gives the reason."""
    tensors = {"first": he((384, 200), RNG).astype(np.float32), "deep": he((200, 400), RNG).astype(np.float32)}
    nodes = [helper.make_node("MatMul", ["x", "first"], ["a"]), helper.make_node("MatMul", ["a", "deep"], ["y"])]
    proto = model(nodes, {"x": ["n", 384]}, ["y"], tensors)
    proto.graph.initializer[1].dims[:] = [1] * 68 + [200, 400]
    path = str(write(proto, tmp_path / "m.onnx"))
    alone = entry(path, 1)

    engine = Here(2)

    assert entry(path, engine) == alone
    assert engine.tasks > 0
    assert "a tensor with 70 axes cannot be read" in str(alone["coverage"]["skipped"])


def test_worker_processes_read_what_this_one_reads(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights go to them as places in a file."""
    alone = entry(path, None)
    monkeypatch.setattr(sharing, "SHARED_SIZE", SAMPLE_SIZE + 1)
    monkeypatch.setattr(sharing, "WORTH_SHARING", 0.0)
    read: list[object] = []
    run = Local.run
    monkeypatch.setattr(Local, "run", lambda *a: (read.append(result) or (i, result) for i, result in run(*a)))

    assert entry(path, 2) == alone
    assert len(read) >= 4
    assert not [result for result in read if isinstance(result, InitauditError)]


def test_a_small_model_is_read_by_one(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting processes would take longer."""
    monkeypatch.setattr(Local, "__init__", lambda *_, **__: pytest.fail("a process was started"))
    monkeypatch.setattr(sharing, "cores", lambda: 2)

    assert entry(path, None)["layers"]


@pytest.mark.usefixtures("_short")
def test_a_weight_of_short_rows_is_read_here(tmp_path: Path) -> None:
    """What is found of it is nearly as large as itself."""
    nodes = [helper.make_node("Gemm", ["x", "wide"], ["y"], transB=1)]
    proto = model(nodes, {"x": ["n", 8]}, ["y"], {"wide": he((8, 9000), RNG).T.astype(np.float32)})
    engine = Here(2)

    assert entry(str(write(proto, tmp_path / "m.onnx")), engine)["layers"]
    assert engine.tasks == 0


@pytest.mark.parametrize("where", [np.s_[:], np.s_[2:5], np.s_[:, 3:7], np.s_[::-1, ::2], np.s_[4]])
def test_an_array_is_found_again_where_it_stands_in_a_file(path: str, where: object) -> None:
    """A slice of a mapped tensor, in any order, is the same array in the process that reads the place."""
    tensor = next(t for _, t in load_model(path).graph.tensors() if t.name == "float32")
    held = tensor.external()
    assert held is not None

    place = located(tensor.array()[where], held)

    assert place is not None
    assert place.held.length <= held.length
    np.testing.assert_array_equal(place.array(), TENSORS["float32"][where])
    assert located(tensor.array() + 1, held) is None


def test_what_this_process_alone_is_supplied_with_stands_in_no_file(path: str) -> None:
    """Another process finds other bytes where the file stands for them."""
    tensor = next(t for _, t in load_model(path).graph.tensors() if t.name == "float32")
    held = tensor.external()
    assert held is not None
    content = np.fromfile(held.path, np.uint8)

    with supplied({held.path: lambda offset, length: content[offset : offset + length]}):
        assert located(tensor.array(), held) is None
    assert located(tensor.array(), held) is not None


def test_a_file_that_changed_is_not_read_for_the_old_one(path: str) -> None:
    """A worker says so; the process that asks has still mapped what it was."""
    tensor = next(t for _, t in load_model(path).graph.tensors() if t.name == "float32")
    held = tensor.external()
    assert isinstance(held, ExternalRange)
    place = located(tensor.array(), held)
    assert place is not None
    status = held.path.stat()
    os.utime(held.path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    with pytest.raises(ExternalDataError, match=r"m\.bin: changed while it was read"):
        place.array()


@pytest.mark.usefixtures("_short")
def test_weights_that_were_weighed_and_stand_where_they_stood_are_not_read_again(path: str) -> None:
    """As the layers that a fix leaves as they are."""
    first, again = Here(2), Here(2)

    with remembering():
        one = entry(path, first)
        other = entry(path, again)

    assert first.tasks > 10
    assert again.tasks == 0
    assert one == other
