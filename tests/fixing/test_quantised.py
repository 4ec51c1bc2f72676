"""fix of networks whose weights are stored as integers: healed, proved and written like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import initaudit
from initaudit.cli import run
from initaudit.errors import FixRefused
from initaudit.redrawing.chain import links
from initaudit.redrawing.shaped import shape_chain
from tests.networks import mlp, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRESH = initaudit.Config(context="fresh")
WIDTHS = [32, 48, 48, 10]


def quantised(
    edit: Callable[[dict[str, np.ndarray]], None] = lambda _: None, *, biases: bool = False, calibrated: bool = False
) -> onnx.ModelProto:
    """A fresh network with int8 weights, a scale for each unit; `edit` changes what is stored.

    With `biases` these are int32, and `calibrated` what layers read passes a QuantizeLinear, as onnxruntime's static quantisation leaves both.
    """
    proto = mlp(WIDTHS)
    stored = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    made: dict[str, np.ndarray] = {"in.scale": np.float32(0.05), "in.zero": np.int8(0)}
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        if node.op_type != "Gemm":
            nodes.append(node)
            continue
        source, weight, bias = node.input
        scale = (abs(stored[weight]).max(axis=1) / 127).astype(np.float32)
        made |= {f"{weight}.q": np.rint(stored[weight] / scale[:, None]).astype(np.int8), f"{weight}.s": scale}
        made[f"{weight}.z"] = np.zeros(len(scale), np.int8)
        codes = [f"{weight}.{kind}" for kind in "qsz"]
        nodes.append(helper.make_node("DequantizeLinear", codes, [weight], f"{weight}.dq", axis=0))
        if biases:
            made |= {f"{bias}.q": np.full(len(scale), 7, np.int32), f"{bias}.s": scale * made["in.scale"]}
            nodes.append(helper.make_node("DequantizeLinear", [f"{bias}.q", f"{bias}.s"], [bias], axis=0))
        else:
            made[bias] = stored[bias]
        if calibrated:
            nodes += [
                helper.make_node("QuantizeLinear", [source, "in.scale", "in.zero"], [f"{source}.q"]),
                helper.make_node("DequantizeLinear", [f"{source}.q", "in.scale", "in.zero"], [f"{source}.dq"]),
            ]
            node.input[0] = f"{source}.dq"
        nodes.append(node)
    edit(made)
    del proto.graph.node[:], proto.graph.initializer[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), name) for name, a in made.items())
    return proto


def tensors(path: Path | str) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def changed(one: Path | str, other: Path | str) -> set[str]:
    """Names of the tensors that differ."""
    before, after = tensors(one), tensors(other)
    assert before.keys() == after.keys()
    return {name for name in before if not np.array_equal(before[name], after[name])}


def zero(stored: dict[str, np.ndarray]) -> None:
    stored["fc1.weight.q"] = np.zeros_like(stored["fc1.weight.q"])


def test_a_zero_layer_is_drawn_as_codes_with_their_scale(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Both are named; all else stays, a second fix changes nothing, and the same seed gives the same bytes."""
    path, out = save(quantised(zero), tmp_path / "m.onnx"), tmp_path / "out.onnx"

    code = run(["fix", "--isolated", "--context", "fresh", path, "-o", str(out)])
    told = capfd.readouterr().out
    again = initaudit.fix(out, tmp_path / "again.onnx", config=FRESH)
    initaudit.fix(path, tmp_path / "same.onnx", config=FRESH)

    assert code == 0
    assert "with the scale fc1.weight.s" in told
    assert changed(path, out) == {"fc1.weight.q", "fc1.weight.s"}
    assert again.before.verdict.status == "pass"
    assert again.changes == ()
    assert (tmp_path / "again.onnx").read_bytes() == out.read_bytes() == (tmp_path / "same.onnx").read_bytes()


def test_an_integer_bias_is_zero_behind_new_weights(tmp_path: Path) -> None:
    """Runtimes count it in steps of the weight's scale. That what the layers read was quantised for other weights is said."""
    path, out = save(quantised(biases=True, calibrated=True), tmp_path / "m.onnx"), tmp_path / "out.onnx"

    result = initaudit.fix(path, out, config=initaudit.Config(context="fresh", probe="none"), layers="/fc1/Gemm")

    assert changed(path, out) == {"fc1.weight.q", "fc1.weight.s", "fc1.bias.q"}
    assert not tensors(out)["fc1.bias.q"].any()
    held = 7 * float(tensors(path)["fc1.bias.s"].mean())
    assert [(c.bias, c.bias_after) for c in result.changes] == [("fc1.bias.q", 0.0)]
    assert result.changes[0].bias_before == pytest.approx(held, rel=1e-5)
    assert ["calibrate" in note for note in result.notes] == [True]


def test_an_integer_bias_is_zero_in_a_shaped_chain() -> None:
    """It is told from what to what."""
    report = initaudit.audit(quantised(biases=True), config=initaudit.Config(context="fresh", probe="none"))
    assert report.audit is not None

    changes, _, _ = shape_chain(report.audit.model, links(report.audit.layers), 0)

    assert [(c.bias, c.bias_after) for c in changes] == [(f"fc{k}.bias.q", 0.0) for k in range(3)]
    assert all(c.bias_before for c in changes)


def test_an_integer_bias_that_is_kept_follows_the_weights_scale(tmp_path: Path) -> None:
    """As many steps of the new size as make the old bias; runtimes count them in the input's scale times the weight's, which the bias's own scale repeats."""

    def constant(stored: dict[str, np.ndarray]) -> None:
        zero(stored)
        stored["fc1.bias.q"] = np.arange(-24000, 24000, 1000, dtype=np.int32)

    path, out = save(quantised(constant, biases=True, calibrated=True), tmp_path / "m.onnx"), tmp_path / "out.onnx"

    initaudit.fix(path, out, config=initaudit.Config(context="trained", probe="none"))
    before, after = tensors(path), tensors(out)
    step = after["fc1.bias.s"]

    assert changed(path, out) == {"fc1.weight.q", "fc1.weight.s", "fc1.bias.q", "fc1.bias.s"}
    assert np.allclose(step, after["fc1.weight.s"] * after["in.scale"], rtol=1e-6)
    assert (abs(after["fc1.bias.q"] * step - before["fc1.bias.q"] * before["fc1.bias.s"]) <= 0.51 * step).all()


def test_rescaled_integers_keep_their_biases(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """To half a step of theirs, with zero points or without. Where only scales become others, they are told."""

    def with_zero_points(stored: dict[str, np.ndarray]) -> None:
        stored["fc0.bias.z"] = np.zeros(WIDTHS[1], np.int32)

    proto = quantised(with_zero_points, biases=True)
    next(node for node in proto.graph.node if node.input[0] == "fc0.bias.q").input.append("fc0.bias.z")
    path, out = save(proto, tmp_path / "m.onnx"), tmp_path / "out.onnx"

    run(["fix", "--isolated", "--probe", "none", "--mode", "rescale", "--all", "--gain", "0.5", path, "-o", str(out)])
    told = capfd.readouterr().out
    before, after = tensors(path), tensors(out)

    assert "3 layers rescaled" in told
    assert "drawn" not in told
    for k in range(3):
        held, step = (a[f"fc{k}.bias.q"] * a[f"fc{k}.bias.s"] for a in (before, after)), after[f"fc{k}.bias.s"]
        assert f"the scale fc{k}.weight.s" in told
        assert (abs(np.subtract(*held)) <= 0.51 * step).all()
        assert not np.array_equal(before[f"fc{k}.weight.s"], after[f"fc{k}.weight.s"])


def test_a_kept_bias_whose_steps_nothing_tells_forbids_new_weights(tmp_path: Path) -> None:
    """One scale for all units cannot follow a scale for each."""

    def single(stored: dict[str, np.ndarray]) -> None:
        stored["fc1.bias.s"] = np.float32(0.01)

    proto = quantised(single, biases=True)
    for node in proto.graph.node:
        if node.input[0] == "fc1.bias.q":
            del node.attribute[:]
    path = save(proto, tmp_path / "m.onnx")

    with pytest.raises(FixRefused, match=r"bias fc1\.bias\.q cannot follow"):
        initaudit.fix(
            path, tmp_path / "out.onnx", config=initaudit.Config(probe="none"), layers="/fc1/Gemm", bias="keep"
        )


def test_a_kept_bias_whose_scale_another_bias_shares_forbids_new_weights(tmp_path: Path) -> None:
    """The other one would change with it."""
    proto = quantised(biases=True)
    next(node for node in proto.graph.node if node.input[0] == "fc1.bias.q").input[1] = "fc0.bias.s"
    path = save(proto, tmp_path / "m.onnx")

    with pytest.raises(FixRefused, match=r"scale of the bias fc0\.bias\.s is read in 2 places"):
        initaudit.fix(
            path, tmp_path / "out.onnx", config=initaudit.Config(probe="none"), layers="/fc1/Gemm", bias="keep"
        )


def test_a_network_of_integers_is_redrawn_as_a_whole(tmp_path: Path) -> None:
    """Scales a hundred times too small: every layer gets its target, within what 127 steps can tell."""

    def tiny(stored: dict[str, np.ndarray]) -> None:
        stored.update({name: a / 100 for name, a in stored.items() if name.endswith("weight.s")})

    path, out = save(quantised(tiny), tmp_path / "m.onnx"), tmp_path / "out.onnx"

    result = initaudit.fix(path, out, config=FRESH)

    assert result.after is not None
    assert result.before.verdict.status != "pass"
    assert result.after.verdict.status == "pass"
    assert result.after.audit is not None
    assert [a.ratio for a in result.after.audit.layers] == pytest.approx([1.0] * 3, abs=0.05)


def test_a_unit_whose_scale_is_no_number_is_mended_alone(tmp_path: Path) -> None:
    """The codes and scales of the others keep their bits."""

    def spoil(stored: dict[str, np.ndarray]) -> None:
        stored["fc1.weight.s"][5] = np.nan

    path, out = save(quantised(spoil), tmp_path / "m.onnx"), tmp_path / "out.onnx"

    result = initaudit.fix(path, out, config=FRESH)
    before, after = tensors(path), tensors(out)

    assert ["unit 5" in c.repaired for c in result.changes] == [True]
    assert changed(path, out) == {"fc1.weight.q", "fc1.weight.s"}
    assert np.flatnonzero((before["fc1.weight.q"] != after["fc1.weight.q"]).any(axis=1)).tolist() == [5]
    assert np.flatnonzero(before["fc1.weight.s"] != after["fc1.weight.s"]).tolist() == [5]
