"""undo: what a fix changed comes back from the original, where it is what the record says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import initaudit
from initaudit.cli import run
from initaudit.errors import FixRefused
from initaudit.fixing.undo import undo
from initaudit.model.record import KEY, read_record
from tests.networks import mlp, save

STATIC = initaudit.Config(probe="none", context="fresh")


def weights(path: Path | str) -> dict[str, np.ndarray]:
    """Stored tensors by name."""
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


@pytest.fixture
def original(tmp_path: Path) -> str:
    """A model with a zero layer."""
    return save(mlp([64, 64, 64, 8], change={"fc1.weight": np.zeros_like}, bias=0.0), tmp_path / "m.onnx")


@pytest.fixture
def fixed(original: str, tmp_path: Path) -> Path:
    """The same with that layer drawn anew."""
    result = initaudit.fix(original, tmp_path / "fixed.onnx", config=STATIC)
    assert [c.initializer for c in result.changes] == ["fc1.weight"]
    return tmp_path / "fixed.onnx"


def test_the_record_names_what_was_changed(original: str, fixed: Path) -> None:
    """Which file, how, which layer, which tensors."""
    record = read_record(onnx.load(fixed))

    assert record is not None
    (fix,) = record.fixes
    assert (fix.scheme, fix.mode, fix.seed) == ("auto", "resample", 0)
    assert fix.source == initaudit.load_model(original).sha256
    assert [(layer.initializer, layer.scheme) for layer in fix.layers] == [("fc1.weight", "he_normal")]
    assert fix.layers[0].std == pytest.approx(weights(fixed)["fc1.weight"].std(), rel=1e-3)
    assert "fc1.weight" in [tensor.name for tensor in fix.tensors]


def test_undo_gives_the_original_back(
    original: str, fixed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """To the byte; and it is said where that came from."""
    code = run(["fix", str(fixed), "--undo", original, "-o", str(tmp_path / "back.onnx")])

    assert code == 0
    assert f"of {original}: fc1.weight" in capfd.readouterr().out
    assert (tmp_path / "back.onnx").read_bytes() == Path(original).read_bytes()


def test_undo_of_two_fixes_goes_back_to_the_first(original: str, fixed: Path, tmp_path: Path) -> None:
    """Also where both changed the same tensor."""
    twice = tmp_path / "twice.onnx"
    initaudit.fix(fixed, twice, config=initaudit.Config(probe="none", context="fresh", seed=1), every=True)
    record = read_record(onnx.load(twice))
    assert record is not None
    assert len(record.fixes) == 2

    undo(twice, original, tmp_path / "back.onnx")

    assert (tmp_path / "back.onnx").read_bytes() == Path(original).read_bytes()


def test_undo_of_two_fixes_needs_the_model_before_the_first(fixed: Path, tmp_path: Path) -> None:
    """What the second was made of was fixed itself."""
    twice = tmp_path / "twice.onnx"
    initaudit.fix(fixed, twice, config=initaudit.Config(probe="none", context="fresh", seed=1), every=True)

    with pytest.raises(FixRefused, match="the model before the first one is needed"):
        undo(twice, fixed, None)


def test_what_else_was_changed_since_stays(original: str, fixed: Path, tmp_path: Path) -> None:
    """Another layer, trained in the meantime, say."""
    proto = onnx.load(fixed)
    trained = np.full((64, 64), 0.5, np.float32)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(trained, "fc0.weight"))
    onnx.save(proto, fixed)

    undo(fixed, original, tmp_path / "back.onnx")
    back = weights(tmp_path / "back.onnx")

    assert np.array_equal(back["fc0.weight"], trained)
    assert not back["fc1.weight"].any()
    assert read_record(onnx.load(tmp_path / "back.onnx")) is None


def test_a_fixed_tensor_that_was_changed_since_is_not_overwritten(original: str, fixed: Path, tmp_path: Path) -> None:
    """Unless that is asked for."""
    proto = onnx.load(fixed)
    proto.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.ones((64, 64), np.float32), "fc1.weight"))
    onnx.save(proto, fixed)

    with pytest.raises(FixRefused, match=r"fc1\.weight.*changed since.*--force"):
        undo(fixed, original, tmp_path / "back.onnx")
    assert not (tmp_path / "back.onnx").exists()

    undo(fixed, original, tmp_path / "back.onnx", force=True)
    assert not weights(tmp_path / "back.onnx")["fc1.weight"].any()


def test_another_model_is_not_taken_for_the_original(fixed: Path, tmp_path: Path) -> None:
    """Its tensor of that name holds something else."""
    other = save(mlp([64, 64, 64, 8], seed=1), tmp_path / "other.onnx")

    with pytest.raises(FixRefused, match=r"other\.onnx: does not hold what tensor 'fc1\.weight'"):
        undo(fixed, other, tmp_path / "back.onnx")

    assert not (tmp_path / "back.onnx").exists()


@pytest.mark.parametrize(
    ("metadata", "reason"), [({}, "no record"), ({KEY: "{}"}, "cannot be read: 'v' is missing")], ids=["none", "broken"]
)
def test_without_a_record_there_is_nothing_to_undo(
    original: str, tmp_path: Path, metadata: dict[str, str], reason: str
) -> None:
    """It is said."""
    proto = mlp([8, 4])
    helper.set_model_props(proto, metadata)

    with pytest.raises(FixRefused, match=reason):
        undo(proto, original, tmp_path / "back.onnx")


def test_a_copy_that_got_a_tensor_of_its_own_is_restored_too(tmp_path: Path) -> None:
    """The original stores it under the name of the other."""
    proto = mlp([64, 64, 64, 8], change={"fc1.weight": np.zeros_like, "fc2.bias": lambda b: b + 0.5})
    proto.graph.node.insert(0, helper.make_node("Identity", ["fc0.bias"], ["fc1.bias"]))
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((64, 64), np.float32), "fc0.weight"))
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.full(64, 5, np.float32), "fc0.bias"))
    del proto.graph.initializer[3]
    original = save(proto, tmp_path / "m.onnx")

    initaudit.fix(original, tmp_path / "fixed.onnx", config=STATIC)
    undo(tmp_path / "fixed.onnx", original, tmp_path / "back.onnx")
    fixed, back = weights(tmp_path / "fixed.onnx"), weights(tmp_path / "back.onnx")

    assert not fixed["fc1.bias"].any()
    assert np.array_equal(back["fc1.bias"], np.full(64, 5, np.float32))
    assert np.array_equal(back["fc0.bias"], back["fc1.bias"])


@pytest.mark.parametrize("more", [["--all"], ["--layers", "fc0"], ["--report", "r.json"]])
def test_undo_goes_with_nothing_else(
    original: str, fixed: Path, tmp_path: Path, more: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """It restores all, and names what it does not take."""
    assert run(["fix", str(fixed), "--undo", original, "-o", str(tmp_path / "back.onnx"), *more]) == 2
    assert f"leave out {more[0]}\n" in capfd.readouterr().err


def test_a_dry_run_of_undo_writes_nothing(
    original: str, fixed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It says what would be done."""
    assert run(["fix", str(fixed), "--undo", original, "--dry-run"]) == 0

    assert "nothing was written" in capfd.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fixed.onnx", "m.onnx"]


def test_the_original_is_not_written_to(original: str, fixed: Path) -> None:
    """It is what the values come from."""
    before = Path(original).read_bytes()

    assert run(["fix", str(fixed), "--undo", original, "-o", original, "--force"]) == 2
    assert Path(original).read_bytes() == before
