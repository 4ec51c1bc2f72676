"""Of a trained layer with a lost unit that unit alone is mended, from what the layer's others are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import initaudit
from initaudit.cli import run
from initaudit.errors import FixRefused
from tests.networks import mlp, save, trained_like

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRAINED = initaudit.Config(context="trained", probe="forward")


def tensors(source: Path | str | onnx.ModelProto) -> dict[str, np.ndarray]:
    """Stored tensors by name."""
    proto = source if isinstance(source, onnx.ModelProto) else onnx.load(source)
    return {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}


def learned(name: str, edit: Callable[[np.ndarray], None]) -> onnx.ModelProto:
    """A trained network of which `edit` spoils one tensor."""

    def spoilt(values: np.ndarray) -> np.ndarray:
        edit(values)
        return values

    bias = lambda shape, rng: rng.normal(0, 0.1, shape)  # noqa: E731
    return mlp([64, 64, 64, 8], draw=trained_like, bias=bias, change={name: spoilt})


def spoil(index: object, value: float) -> Callable[[np.ndarray], None]:
    def edit(values: np.ndarray) -> None:
        values[index] = value  # type: ignore[call-overload]

    return edit


def test_a_unit_of_which_nothing_is_left_is_drawn_like_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is said which; every other weight keeps its bits, the same seed gives the same bytes, and a second fix changes nothing."""
    path, out = save(learned("fc1.weight", spoil(5, np.nan)), tmp_path / "m.onnx"), tmp_path / "out.onnx"

    code = run(["fix", "--isolated", "--context", "trained", "--probe", "forward", path, "-o", str(out)])
    told = capfd.readouterr().out
    initaudit.fix(path, tmp_path / "same.onnx", config=TRAINED)
    again = initaudit.fix(out, tmp_path / "again.onnx", config=TRAINED)
    before, after = tensors(path), tensors(out)
    differs = before["fc1.weight"] != after["fc1.weight"]
    others = np.delete(before["fc1.weight"], 5, axis=0)

    assert code == 0
    assert "unit 5, of which no number was left, drawn from the mean and std of the others; all else kept" in told
    assert np.flatnonzero(differs.any(axis=1)).tolist() == [5]
    assert after["fc1.weight"][5].std() == pytest.approx(others.std(), rel=0.3)
    assert all(np.array_equal(before[name], after[name]) for name in before if name != "fc1.weight")
    assert again.changes == ()
    assert (tmp_path / "again.onnx").read_bytes() == out.read_bytes() == (tmp_path / "same.onnx").read_bytes()


def test_one_unit_of_a_narrow_head_is_lost_alone(tmp_path: Path) -> None:
    """An eighth of the weights is no number, and seven classes of eight are as they were."""
    proto = learned("fc2.weight", spoil(2, np.inf))

    result = initaudit.fix(proto, tmp_path / "out.onnx", config=TRAINED)

    assert [c.repaired for c in result.changes] == [
        "unit 2, of which no number was left, drawn from the mean and std of the others"
    ]


def test_half_of_a_layer_lost_is_no_repair(tmp_path: Path) -> None:
    """What is left tells too little: it was trained, and is to be loaded again."""
    proto = learned("fc1.weight", spoil(slice(0, 32), np.nan))

    with pytest.raises(FixRefused, match="it was trained"):
        initaudit.fix(proto, tmp_path / "out.onnx", config=TRAINED)


@pytest.mark.parametrize("tensor", ["fc1.bias", "fc2.bias"])
def test_a_bias_that_no_input_outweighs_becomes_the_median_of_the_others(tensor: str, tmp_path: Path) -> None:
    """Of a hidden unit, which it kills, and of a class, which it makes the answer to everything; the weights and the other biases stay."""
    value = -1e3 if tensor == "fc1.bias" else 1e3
    proto = learned(tensor, spoil(3, value))

    result = initaudit.fix(proto, tmp_path / "out.onnx", config=TRAINED)
    before, after = tensors(proto), tensors(tmp_path / "out.onnx")

    assert [c.repaired for c in result.changes] == ["the bias of unit 3 set to the median of the others"]
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {tensor}
    assert np.flatnonzero(before[tensor] != after[tensor]).tolist() == [3]
    assert after[tensor][3] == pytest.approx(np.median(np.delete(before[tensor], 3)), rel=1e-6)


def test_biases_that_training_made_large_stay(tmp_path: Path) -> None:
    """Many units that are off, and one off by no more than some others, are what was learned."""
    proto = learned("fc1.bias", spoil(slice(0, 20), -40.0))

    result = initaudit.fix(proto, tmp_path / "out.onnx", config=TRAINED)

    assert result.changes == ()


def test_what_is_excluded_is_not_mended_either(tmp_path: Path) -> None:
    """Also where its values alone are wrong."""
    proto = learned("fc1.weight", spoil((5, 3), np.nan))

    result = initaudit.fix(
        proto, tmp_path / "out.onnx", config=initaudit.Config(context="trained", probe="none"), exclude="fc1"
    )

    assert result.changes == ()
