"""External data is what lies in the model's folder, whichever library reads it and whatever directory the command runs in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import initaudit
from initaudit.errors import ExternalDataError
from tests.networks import model
from tests.opened import Watch

WIDTH = 16
NAME = "data.bin"
VALUES = np.full(1 << 16, 0.5, np.float32).tobytes()
PLACES = ["initializer", "large_initializer", "constant", "constant_of_shape", "slope", "branch", "function"]


def referring(place: str) -> ModelProto:
    """A layer, and beside it a value that lies in a file: `place` says by what it is referred to."""
    many = 1 << 15 if place == "large_initializer" else WIDTH
    one = place in ("constant_of_shape", "slope")
    outside = TensorProto(name="e", data_type=TensorProto.FLOAT, dims=[1 if one else many])
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value=NAME)
    weights = {"w": np.random.default_rng(0).normal(0, 0.3, (WIDTH, WIDTH)).astype(np.float32)}
    weights |= {"shape": np.array([WIDTH]), "yes": np.array(True), "few": np.arange(WIDTH)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "fc")]
    if place in ("constant", "function"):
        nodes.insert(0, helper.make_node("Constant", [], ["e"], value=outside))
    elif one:
        nodes.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["e"], value=outside))
    elif place == "branch":
        nodes.insert(0, _branch(outside))
    if place == "large_initializer":
        nodes.append(helper.make_node("Gather", ["e", "few"], ["part"]))
    last = "PRelu" if place == "slope" else "Add"
    nodes.append(helper.make_node(last, ["h", "part" if place == "large_initializer" else "e"], ["y"]))
    proto = model(nodes, {"x": ["N", WIDTH]}, ["y"], weights)
    if place.endswith("initializer"):
        proto.graph.initializer.append(outside)
    if place == "function":
        made, call = proto.graph.node[0], helper.make_node("Made", [], ["e"], domain="own")
        function = helper.make_function("own", "Made", [], ["e"], [made], [helper.make_opsetid("", 17)])
        proto.functions.append(function)
        proto.graph.node[0].CopyFrom(call)
        proto.opset_import.append(helper.make_opsetid("own", 1))
    return proto


def _branch(outside: TensorProto) -> NodeProto:
    """An If whose branch holds the tensor as an initializer of its own."""
    outside.name = "inside"
    bodies = []
    for name, source in (("then", "inside"), ("else", "few_inside")):
        made = helper.make_node("Identity", [source], [f"{name}_out"])
        tensors = [outside if name == "then" else numpy_helper.from_array(np.zeros(WIDTH, np.float32), source)]
        output = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [WIDTH])
        bodies.append(helper.make_graph([made], name, [], [output], tensors))
    return helper.make_node("If", ["yes"], ["e"], then_branch=bodies[0], else_branch=bodies[1])


@pytest.fixture
def decoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of that name in the current directory, which is not the model's."""
    (tmp_path / "here").mkdir()
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / NAME).write_bytes(VALUES)
    return tmp_path / "here" / NAME


@pytest.fixture
def path(decoy: Path) -> Path:
    """Of a model beside which nothing lies yet."""
    return decoy.parents[1] / "models" / "m.onnx"


def save(place: str, path: Path) -> None:
    proto = referring(place)
    size = 4 * (1 << 15 if place == "large_initializer" else WIDTH)
    (path.parent / NAME).write_bytes(VALUES[: 4 if place in ("constant_of_shape", "slope") else size])
    path.write_bytes(proto.SerializeToString())


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("place", PLACES)
def test_data_is_read_from_the_folder_of_the_model(place: str, decoy: Path, path: Path):
    """The network runs with it, and the file of its name in the current directory is not opened."""
    save(place, path)

    with Watch(path.parent / NAME) as beside, Watch(decoy) as here:
        report = initaudit.audit(path).to_dict()["reports"][0]

    assert report["probe"]["status"] == "complete"
    assert beside.opened
    assert not here.opened


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("source", ["file", "memory"])
def test_nothing_is_taken_from_the_current_directory(source: str, place: str, decoy: Path, path: Path):
    """Where the model's folder has no such file, and where the model has no folder: a report or an error, without a look at it."""
    save(place, path)
    (path.parent / NAME).unlink()

    with Watch(decoy) as here:
        try:
            report = initaudit.audit(path if source == "file" else referring(place)).to_dict()["reports"][0]
        except ExternalDataError as error:
            said = str(error)
        else:
            said = report["probe"]["reason"]

    assert NAME in said
    assert not here.opened


def test_an_opening_is_seen(tmp_path: Path):
    """And one that was before is not."""
    file = tmp_path / "file"
    file.write_text("text")

    with Watch(file) as reading:
        file.read_text()
    with Watch(file) as idle:
        pass

    assert reading.opened
    assert not idle.opened
