"""Tasks: what a file, digits and made-up targets come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from initaudit.config import Config
from initaudit.errors import NotTrainable, UsageError
from initaudit.model.load import load_model
from initaudit.racing.data import digits_task, labels_task, resized, task_from_arrays, task_from_file, teacher_task
from initaudit.racing.interface import Interface, interface_of
from initaudit.racing.journal import Journal, digest
from initaudit.racing.options import RaceOptions, read_settings
from initaudit.racing.task import task_of
from tests.networks import mlp
from tests.racing.races import runs, task

FLAT = Interface(inputs={"x": np.zeros((8, 6), np.float32)}, axes={"x": 0}, fixed=None, answer="y", shape=(3,), axis=0)


def test_a_file_gives_inputs_by_name_and_targets_as_y(tmp_path: Path):
    """Whole numbers are classes; a type that holds the same values will do."""
    np.savez(tmp_path / "d.npz", x=np.ones((20, 6)), y=np.arange(20) % 3)

    found = task_from_file(str(tmp_path / "d.npz"), FLAT)

    assert (found.kind, found.metric, found.examples) == ("classify", "accuracy", 20)
    assert found.inputs["x"].dtype == np.float32
    assert found.chance == pytest.approx(7 / 20)


def test_real_targets_are_to_be_met():
    """Of the shape of the answers."""
    found = task_from_arrays("data", {"x": np.ones((20, 6)), "y": np.arange(60.0).reshape(20, 3)}, FLAT)

    assert (found.kind, found.metric, found.chance) == ("regress", "R2", 0.0)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": np.ones((20, 6))}, "which array holds the targets"),
        ({"x": np.ones((20, 5)), "y": np.zeros(20, int)}, "'x' has 5 an example, the network takes 6"),
        ({"a": np.ones((20, 6)), "b": np.zeros(20, int)}, "no array for input 'x'; it holds a, b"),
        ({"x": np.ones((20, 6)), "y": np.zeros(19, int)}, "19 and 20 examples"),
        ({"x": np.ones((0, 6)), "y": np.zeros(0, int)}, "holds no example"),
        ({"x": np.ones((20, 6)), "y": np.full(20, 3)}, "the network tells 3 apart"),
        ({"x": np.ones((20, 6)), "y": np.ones((20, 2))}, "targets of shape 2 for answers of shape 3"),
        ({"x": np.ones((20, 6)), "y": np.full(20, 2)}, "same target"),
        ({"x": np.ones((20, 6)), "y": np.arange(20.0) % 3}, "stored as int64 they are classes"),
        ({"x": np.ones((20, 6)), "y": np.eye(3, dtype=int)[np.arange(20) % 3]}, "not a row with a 1"),
        ({"x": [[1.0], [1.0, 2.0]], "y": np.arange(2)}, "'x' is no array"),
        ({"x": np.full((20, 6), np.nan), "y": np.zeros(20, int)}, "NaN"),
        ({"x": np.ones((20, 6)), "y": np.full((20, 3), np.inf)}, "NaN or infinity"),
    ],
)
def test_data_that_does_not_fit_is_told_in_one_line(arrays: dict[str, np.ndarray], told: str):
    """With what is there and what is wanted."""
    with pytest.raises(UsageError, match=told):
        task_from_arrays("data", arrays, FLAT)


def test_targets_of_another_output_are_none_of_this_one():
    """Whatever the array is called, and though it is the only one: it is said which output there are targets for."""
    two = replace(FLAT, answer="u", others=("v", "y"))
    inputs, answers = np.ones((20, 6)), np.arange(60.0).reshape(20, 3)

    found = task_from_arrays("data", {"x": inputs, "v": answers, "targets": -answers}, two)

    assert (found.array, found.targets[1, 0]) == ("targets", -3)
    for other in ("v", "y"):
        with pytest.raises(
            UsageError, match=f"no targets for the output 'u', only for '{other}'; --target-output {other}"
        ):
            task_from_arrays("data", {"x": inputs, other: answers}, two)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_none_is_told(tmp_path: Path, content: bytes | None):
    """By its name."""
    path = tmp_path / "d.npz"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=r"d\.npz"):
        task_from_file(str(path), FLAT)


@pytest.mark.parametrize(
    ("target", "shape", "axis"),
    [((), (4,), 1), ((), (7, 4), 2), ((7,), (7, 4), 2), ((), (4, 5, 5), 1), ((5, 5), (4, 5, 5), 1), ((6,), (4, 6), 1), ((), (1,), None)],
)  # fmt: skip
def test_the_axis_of_the_classes_follows_from_the_shapes(
    target: tuple[int, ...], shape: tuple[int, ...], axis: int | None
):
    """Vectors, sequences with a class each or together, images, and one number for two classes."""
    found = task_of("data", {"x": np.zeros((8, 2))}, {"x": 0}, np.zeros((8, *target), int), shape)

    assert found.class_axis == axis


def test_examples_are_held_out_once_and_never_trained_on():
    """The same ones for the same seed."""
    found = labels_task(
        Interface(
            inputs={"x": np.zeros((100, 6), np.float32)}, axes={"x": 0}, fixed=None, answer="y", shape=(3,), axis=0
        ),
        0,
    )
    trained, held_out = found.parts(1)

    assert len(held_out) == 20
    assert sorted([*trained, *held_out]) == list(range(100))
    assert (found.parts(1)[1] == held_out).all()


def test_images_are_resized_between_their_pixels():
    """Corners stay; channels are copies; a row of a square number is a square image."""
    images = np.arange(64.0).reshape(1, 8, 8)

    large, rgb, behind, flat = (resized(images, shape)[0] for shape in ((15, 15), (3, 16, 16), (16, 16, 3), (784,)))

    assert (large[::2, ::2] == images[0]).all()
    assert large[0, 1] == pytest.approx(0.5)
    assert rgb.shape == (3, 16, 16)
    assert (rgb[0] == rgb[2]).all()
    assert (behind[..., 0] == rgb[0]).all()
    assert flat.reshape(28, 28)[-1, -1] == 63
    assert resized(images, (10,)).shape == (1, 10)


def test_digits_fit_the_network():
    """As many classes as it tells apart; a network that answers with what it is given is to give it back, one that answers with a number to say which digit it is."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    back = Interface(
        inputs={"x": np.zeros((8, 64), np.float32)}, axes={"x": 0}, fixed=None, answer="y", shape=(64,), axis=0
    )

    three, same = digits_task(FLAT), digits_task(back)
    number = digits_task(replace(back, shape=()))

    assert set(np.unique(three.targets)) == {0, 1, 2}
    assert (same.kind, same.inputs["x"].shape) == ("regress", (1797, 64))
    assert (same.targets == same.inputs["x"]).all()
    assert (number.kind, number.targets.shape) == ("regress", (1797,))


def test_a_teacher_gives_each_class_its_share():
    """Its answers are compared with their own means: one that is always the largest says nothing."""
    answers = np.random.default_rng(0).standard_normal((8, 3)) + np.array([100, 0, 0])

    assert len(np.unique(teacher_task(FLAT, answers).targets)) > 1
    with pytest.raises(UsageError, match="the same to all inputs"):
        teacher_task(FLAT, np.ones((8, 3)))


def test_the_interface_is_what_a_trial_run_shows():
    """Inputs, the output that is trained, and the axes that count examples."""
    network = load_model(mlp([6, 5, 3]))
    found = interface_of(network, Config(), examples=4)

    assert (found.shape, found.axis, found.fixed) == ((3,), 0, None)
    assert [a.shape for a in found.inputs.values()] == [(4, 6)]
    with pytest.raises(UsageError, match="no output is called 'z'"):
        interface_of(network, Config(), examples=4, output="z")


def test_an_output_of_integers_is_not_trained():
    """The line says so, and which can be."""
    proto = mlp([6, 5, 3])
    last = proto.graph.output[0].name
    proto.graph.node.append(onnx.helper.make_node("ArgMax", [last], ["k"], axis=1, keepdims=0))
    proto.graph.output.append(onnx.helper.make_tensor_value_info("k", onnx.TensorProto.INT64, ["N"]))

    with pytest.raises(NotTrainable, match=f"the output 'k' holds integers, .*--target-output {last}"):
        interface_of(load_model(proto), Config(), examples=4, output="k")


def test_learning_rates_and_optimisers_make_a_grid():
    """Each rate with each optimiser; the usual ones where none are given."""
    assert [str(s) for s in read_settings(["sgd,adam"], ["0.1", "1"])] == ["sgd 0.1", "sgd 1", "adam 0.1", "adam 1"]
    assert [str(s) for s in read_settings(["adam"], [])] == ["adam 0.001", "adam 0.01"]
    for optimizers, rates, told in (
        (["adm"], [], "did you mean adam"),
        ([], ["fast"], "no learning rate"),
        ([], ["0"], "no learning rate"),
        ([""], [], "an optimiser is empty"),
        ([], ["0.1", " ,"], "a learning rate is empty"),
    ):
        with pytest.raises(UsageError, match=told):
            read_settings(optimizers, rates)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"seeds": 0},
        {"batch_size": 0},
        {"seconds": 0.0},
        {"target": 2.0},
        {"patience": 0},
        {"steps": "3"},
        {"seconds": "3"},
    ],
)
def test_options_that_cannot_be_followed_are_refused(wrong: dict[str, float]):
    """Before any work."""
    with pytest.raises(UsageError):
        RaceOptions(**wrong)  # type: ignore[arg-type]


def test_a_journal_gives_back_the_runs_that_were_finished(tmp_path: Path):
    """But for the line that was cut when the process ended; a race with other data does not take it."""
    path, race = tmp_path / "race.jsonl", digest(task(), {"steps": 100})
    for run in runs()[:3]:
        Journal(path, race).note(run)
    path.write_text(path.read_text()[:-20])

    known = Journal(path, race).known

    assert list(known.values()) == runs()[:2]
    with pytest.raises(UsageError, match="is of another race"):
        Journal(path, digest(task(), {"steps": 101}))
    (tmp_path / "other").write_text("{}\n")
    with pytest.raises(UsageError, match="no journal"):
        Journal(tmp_path / "other", race)


def test_what_is_quantised_is_not_trained():
    """The layer is named."""
    from initaudit.racing.learned import learned_tensors

    with pytest.raises(NotTrainable, match=r"fc1 is stored as int8"):
        learned_tensors(load_model("sample_models/digits_trained_int8_qdq.onnx"))
