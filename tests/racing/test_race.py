"""Networks really trained; where torch is not installed, what is said of that."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import initaudit
from initaudit.cli import run
from initaudit.errors import NotTrainable, UsageError
from tests.networks import mlp, model, normal

NETWORK = mlp([4, 8, 2], "Tanh", normal(0.02))
QUICK: Any = {"steps": 30, "seeds": 1, "optimizers": "adam", "rates": 0.05}


def data(count: int = 200) -> dict[str, np.ndarray]:
    """Two classes that a line tells apart."""
    x = np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32)
    return {"x": x, "y": (x[:, 0] > 0).astype(np.int64)}


def test_without_torch_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In one line, with exit code 2, before anything is read."""
    monkeypatch.setitem(sys.modules, "torch", None)

    code = run(["race", str(tmp_path / "no.onnx"), "--digits"])

    told = capsys.readouterr().err
    assert code == 2
    assert told.count("\n") == 1
    assert "initaudit[torch]" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "what is it to learn?"),
        (["--digits", "--synthetic", "labels"], "one thing at a time"),
        (["--digits", "--optimizer", "adm"], "did you mean adam"),
        (["--digits", "--output-format", "sarif"], "cannot show a comparison"),
        (["--digits", "--schemes", "he_norml"], "did you mean he_normal"),
        (["--data", "d.npz", "-o", "d.npz", "--output-format", "json"], None),
    ],
)
def test_options_that_contradict_themselves_cost_no_training(
    arguments: list[str],
    told: str | None,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line, exit code 2; no file that is read is written over."""
    monkeypatch.chdir(tmp_path)
    Path("d.npz").write_bytes(b"kept")

    code = run(["race", "m.onnx", *arguments])

    assert code == 2
    assert (told or "is a model that is read") in capsys.readouterr().err
    assert Path("d.npz").read_bytes() == b"kept"


@pytest.fixture
def torch() -> Any:
    """The package, with what makes its modules of models."""
    pytest.importorskip("onnx2fx", reason="the extra torch is not installed")
    return pytest.importorskip("torch", reason="the extra torch is not installed")


pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter


@pytest.mark.usefixtures("torch")
def test_the_better_start_wins_and_constant_weights_learn_nothing_of_an_inner_layer() -> None:
    """All zeros stay at chance; the same call gives the same curves to the last bit."""
    races = [initaudit.race(NETWORK, data(), schemes=["xavier_normal", "zeros"], **QUICK) for _ in range(2)]
    found = races[0].document

    assert races[0].winner == "xavier_normal"
    assert found["starts"][1]["steps"] is None
    assert found["starts"][1]["predicted"]["learns"] is False
    assert found["starts"] == races[1].document["starts"]
    assert found["race"]["metric"] == "accuracy"


@pytest.mark.usefixtures("torch")
def test_a_race_goes_on_from_its_journal(tmp_path: Path) -> None:
    """Runs that were finished are not run again; those of further starts are."""
    path = tmp_path / "race.jsonl"
    first = initaudit.race(NETWORK, data(), schemes="as-is", journal=path, **QUICK)
    lines = path.read_text().splitlines()
    row = json.loads(lines[1])
    row["curve"]["held_out"] = 0.123
    path.write_text("\n".join([lines[0], json.dumps(row)]) + "\n")

    again = initaudit.race(NETWORK, data(), schemes="as-is,he_normal", journal=path, **QUICK)

    kept = {start["scheme"]: start["outcomes"][0] for start in again.document["starts"]}
    assert kept["as-is"]["held_out"] == 0.123
    assert kept["as-is"]["runs"][0]["loss"] == first.document["starts"][0]["outcomes"][0]["runs"][0]["loss"]
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.usefixtures("torch")
def test_what_is_interrupted_shows_the_runs_that_are_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """With how many of how many; before the first one there is nothing to show."""
    from initaudit.racing import training

    done, train = [], training.train

    def once(*arguments: Any, **keywords: Any) -> Any:
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return train(*arguments, **keywords)

    monkeypatch.setattr(training, "train", once)
    found = initaudit.race(NETWORK, data(), schemes="as-is,he_normal,zeros", **QUICK).document

    assert found["run"]["interrupted"] == {"audited": 1, "of": 3, "exit_code": 130}
    assert [bool(start["outcomes"]) for start in found["starts"]].count(True) == 1
    with pytest.raises(KeyboardInterrupt):
        initaudit.race(NETWORK, data(), schemes="as-is", **QUICK)


@pytest.mark.usefixtures("torch")
def test_the_time_is_shared_by_all_runs(tmp_path: Path) -> None:
    """Every start is seen, however little time there is; what was cut is not kept as finished."""
    journal = tmp_path / "journal"
    found = initaudit.race(
        NETWORK, data(), schemes="as-is,he_normal", seconds=0.05, journal=journal, **{**QUICK, "steps": 100_000}
    ).document
    ends = [run["end"] for start in found["starts"] for run in start["outcomes"][0]["runs"]]

    assert ends == ["time", "time"]
    assert len(journal.read_text().splitlines()) == 1
    assert found["race"]["seconds"] < 20


@pytest.mark.usefixtures("torch")
def test_a_step_takes_all_examples_where_they_are_fewer_than_was_asked_for() -> None:
    """Those that are trained on, each once; what is held out is measured all the same. A run that stays at chance ends when it was waited for."""
    options = {**QUICK, "steps": 9, "batch_size": 5000, "patience": 4}
    found = initaudit.race(NETWORK, data(), schemes="he_normal,zeros", **options).document
    learns, stuck = (start["outcomes"][0]["runs"][0] for start in found["starts"])

    assert (found["race"]["batch"], found["race"]["batch_from"]) == (160, "examples")
    assert learns["held_out"] > 0.5
    assert [learns["end"], stuck["end"], stuck["done"]] == ["steps", "chance", 4]
    with pytest.raises(UsageError, match="an optimiser is empty"):
        initaudit.race(NETWORK, data(), optimizers="")
    with pytest.raises(UsageError, match="not above chance"):
        initaudit.race(NETWORK, data(), schemes="zeros", target=0.5, **QUICK)


@pytest.mark.usefixtures("torch")
def test_values_of_a_start_reach_a_module_that_was_moved(torch: Any) -> None:
    """To another device, or type: its buffers are other tensors then."""
    from initaudit.racing.trainee import trainee_of

    module = torch.nn.BatchNorm1d(3)
    trainee = trainee_of(module, ["x"], {"mean": module.running_mean, "scale": module.weight})
    module.to(torch.float64)
    trainee.begin({"mean": np.full(3, 2.0, np.float32), "scale": np.full(3, 5.0, np.float32)})

    assert module.running_mean.tolist() == [2.0] * 3
    assert module.weight.tolist() == [5.0] * 3


@pytest.mark.usefixtures("torch")
def test_a_rate_that_is_too_large_diverges() -> None:
    """Which is told, and is no success."""
    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    linear = mlp([4, 8, 8, 1], "Relu")
    found = initaudit.race(
        linear, {"x": x, "y": x[:, :1]}, schemes="as-is", steps=60, seeds=1, optimizers="sgd", rates=30.0
    )

    assert found.document["starts"][0]["outcomes"][0]["diverged"] == 1
    assert found.winner is None


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("made", ["teacher", "labels"])
def test_targets_can_be_made_up(made: str) -> None:
    """Of a network that no data is at hand for."""
    found = initaudit.race(NETWORK, made, schemes="he_normal", **{**QUICK, "steps": 3}).document

    assert found["race"]["examples"] == 1024
    assert len(found["starts"][0]["outcomes"][0]["runs"][0]["loss"]) == 3


@pytest.mark.usefixtures("torch")
def test_an_operator_that_has_no_way_to_torch_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    pytest.importorskip("onnx2fx")
    from initaudit.model.load import load_model
    from initaudit.racing.conversion import _refuse_operators

    strange = mlp([4, 8, 2])
    strange.graph.node[1].op_type, strange.graph.node[1].domain = "Strange", "other"
    strange.opset_import.add(domain="other", version=1)

    with pytest.raises(NotTrainable, match=r"other\.Strange"):
        _refuse_operators(load_model(strange), strange)


@pytest.mark.usefixtures("torch")
def test_a_module_that_computes_something_else_is_not_raced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained is the network of the file, or nothing."""
    from initaudit.racing import operators

    gather = [helper.make_node("Gather", ["a1", "place"], ["last"], axis=1)]
    network = mlp([4, 8, 3], "Tanh")
    network.graph.node[-1].output[0] = "a1"
    network.graph.node.extend([*gather, helper.make_node("Unsqueeze", ["last", "axes"], ["y"])])
    network.graph.initializer.extend(
        [onnx.numpy_helper.from_array(np.array(-1), "place"), onnx.numpy_helper.from_array(np.array([1]), "axes")]
    )
    x = data()["x"]

    right = initaudit.race(network, {"x": x, "y": x[:, :1]}, schemes="as-is", **{**QUICK, "steps": 2})
    monkeypatch.setattr(operators.Gather, "forward", lambda self, x, places: x[:, 0])

    assert right.document["race"]["metric"] == "R2"
    with pytest.raises(NotTrainable, match="differs from onnxruntime"):
        initaudit.race(network, {"x": x, "y": x[:, :1]}, schemes="as-is", **{**QUICK, "steps": 2})


@pytest.mark.usefixtures("torch")
def test_norms_go_by_their_batch_and_dropout_drops_in_training_alone() -> None:
    """As in the framework that the network came from."""
    import torch

    from initaudit.racing.operators import BatchNorm, Dropout

    x, one, zero = torch.randn(64, 3) * 5 + 2, torch.ones(3), torch.zeros(3)
    norm, drop = BatchNorm(1e-5, always=False), Dropout()

    assert norm(x, one, zero, zero, one).mean().abs() < 1e-5
    assert torch.allclose(norm.eval()(x, one, zero, zero, one), x, rtol=1e-4)
    assert (drop(x, 0.5) == 0).float().mean() > 0.3
    assert torch.equal(drop.eval()(x, 0.5), x)


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_a_recurrence_has_the_activation_that_it_names(direction: str) -> None:
    """In either direction, with a state to begin with: as onnxruntime has it."""
    from initaudit.model.load import load_model
    from initaudit.racing.conversion import check, converted

    rng, ways = np.random.default_rng(0), 2 if direction == "bidirectional" else 1
    shapes = {"w": (ways, 5, 3), "r": (ways, 5, 5), "b": (ways, 10), "h": (ways, 2, 5)}
    tensors = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    node = helper.make_node(
        "RNN", ["x", "w", "r", "b", "", "h"], ["y"], hidden_size=5, activations=["Relu"] * ways, direction=direction
    )
    network = load_model(model([node], {"x": (4, 2, 3)}, ["y"], tensors))
    trainee, _ = converted(network, "y", classes=False)

    check(trainee, network, "y", {"x": rng.standard_normal((4, 2, 3)).astype(np.float32)}, squashed=None)

    assert len(trainee.trained()) >= 3


@pytest.mark.usefixtures("torch")
def test_weights_that_are_tied_stay_tied_and_all_of_them_move() -> None:
    """One parameter, however often it is read."""
    from initaudit.model.load import load_model
    from initaudit.racing.conversion import converted

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    tied = model(nodes, {"x": ("N", 4)}, ["y"], {"w": np.eye(4, dtype=np.float32)})

    trainee, _ = converted(load_model(tied), "y", classes=False)

    assert len(trainee.trained()) == 1


def test_a_module_is_raced_as_it_is(torch: Any) -> None:
    """Nothing is converted, and the module stays as it came."""
    pytest.importorskip("onnxscript")
    import initaudit.torch as of_torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    before = {name: values.clone() for name, values in module.state_dict().items()}
    x, y = data()["x"], data()["y"]

    found = of_torch.race(module, (torch.from_numpy(x), torch.from_numpy(y)), schemes=["as-is", "zeros"], **QUICK)

    assert found.winner == "as-is"
    assert all(torch.equal(before[name], values) for name, values in module.state_dict().items())
    with pytest.raises(UsageError, match="pair"):
        of_torch.race(module, torch.from_numpy(x))
    with pytest.raises(UsageError, match="fewer than 2 examples"):
        of_torch.race(module, (x[:1], y[:1]))
    with pytest.raises(NotTrainable, match="Sequential: none of its parameters requires a gradient"):
        of_torch.race(module.requires_grad_(False), (x, y))


@pytest.mark.usefixtures("torch")
def test_a_device_that_is_not_there_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is read; one that computes nothing is as good as none."""
    for device in ("cuda:99", "meta", "nonsense"):
        assert run(["race", "m.onnx", "--digits", "--device", device]) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"initaudit: error: device '{device}': ")
        assert told.count("\n") == 1


@pytest.mark.usefixtures("torch")
def test_weights_that_are_not_kept_are_drawn_again_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained is what was measured, however large the network is."""
    from initaudit.racing import drawing

    kept = initaudit.race(NETWORK, data(), schemes="he_normal,lsuv", **{**QUICK, "steps": 3}).document
    monkeypatch.setattr(drawing, "KEPT", 0)
    again = initaudit.race(NETWORK, data(), schemes="he_normal,lsuv", **{**QUICK, "steps": 3}).document

    assert again["starts"] == kept["starts"]
