"""Rung after rung: the cause alone, then the layers, then the chain; nothing more than helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import initaudit
from initaudit.cli import run
from initaudit.errors import FixRefused
from initaudit.fixing import candidate, fixer, ladder
from initaudit.fixing.options import FixOptions
from initaudit.fixing.rungs import chain
from initaudit.redrawing import redraw
from initaudit.redrawing.choice import Choice, Refusal
from initaudit.redrawing.shaping import LARGEST_SHIFT
from tests.networks import gated, he, mlp, model, normal, save, trained_like, xavier

if TYPE_CHECKING:
    from collections.abc import Callable

    from initaudit.fixing.fixer import FixResult

FRESH = initaudit.Config(context="fresh")
DEEP = [24, *[32] * 4, 10]


def tensors(source: Path | str | onnx.ModelProto) -> dict[str, np.ndarray]:
    """Stored tensors by name."""
    proto = source if isinstance(source, onnx.ModelProto) else onnx.load(source)
    return {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}


def mended(proto: onnx.ModelProto, folder: Path, **options) -> tuple[FixResult, set[str]]:
    """The result of a fix, and the names of the tensors that differ."""
    result = initaudit.fix(proto, folder / "out.onnx", config=FRESH, **options)
    before, after = tensors(proto), tensors(folder / "out.onnx")
    return result, {name for name in before if not np.array_equal(before[name], after[name])}


FAULTS = {
    "zero": ("fc3.weight", np.zeros_like),
    "constant": ("fc3.weight", lambda w: np.full_like(w, 0.01)),
    "tiny": ("fc3.weight", lambda w: w * 1e-4),
    "huge": ("fc3.weight", lambda w: w * 1e3),
    "equal units": ("fc3.weight", lambda w: np.repeat(w[:1], len(w), axis=0)),
    "dead bias": ("fc3.bias", lambda b: b - 50.0),
    "drowning bias": ("fc3.bias", lambda b: b + 500.0),
    "wild bias": ("fc3.bias", lambda b: np.where(np.arange(b.size) == 3, 1e4, b)),
    "NaN bias": ("fc3.bias", lambda b: np.where(np.arange(b.size) == 3, np.nan, b)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_of_a_single_fault_only_the_tensor_that_has_it_changes(fault: str, tmp_path: Path) -> None:
    """Everything behind it looks wrong, too, and is sound."""
    name, edit = FAULTS[fault]

    result, changed = mended(mlp(DEEP, change={name: edit}), tmp_path)

    assert changed == {name}
    assert [(c.rung, c.title) for c in result.changes] == [("cause", "fc3")]
    assert result.changes[0].wrong
    assert result.after is not None
    assert result.after.verdict.status == "pass"
    assert [step.rung for step in result.steps] == ["cause"]


def merged(proto: onnx.ModelProto) -> onnx.ModelProto:
    """As torch's older exporter writes it: biases that are equal are stored once, and the others are copies by Identity."""
    first, *others = [t for t in proto.graph.initializer if t.name.endswith("bias")]
    for tensor in list(others):
        proto.graph.initializer.remove(tensor)
        proto.graph.node.insert(0, helper.make_node("Identity", [first.name], [tensor.name]))
    return proto


def test_copies_stay_stored_once_where_none_of_them_changes(tmp_path: Path) -> None:
    """What is drawn is the weight of one layer; biases that stay zero stay where they are."""
    proto = merged(mlp(DEEP, change={"fc3.weight": np.zeros_like}))

    initaudit.fix(proto, tmp_path / "out.onnx", config=initaudit.Config(context="fresh", probe="none"))
    written = onnx.load(tmp_path / "out.onnx")

    assert [n.op_type for n in written.graph.node] == [n.op_type for n in proto.graph.node]
    assert tensors(written)["fc3.weight"].any()


def test_a_copy_gets_a_tensor_of_its_own_under_its_own_name(tmp_path: Path) -> None:
    """Asked for by name, with the bias to be another: the biases of the other layers keep their one tensor."""
    proto = merged(mlp(DEEP, bias=0.25))

    initaudit.fix(
        proto, tmp_path / "out.onnx", config=initaudit.Config(context="fresh", probe="none"), layers="/fc3/Gemm"
    )
    written = tensors(tmp_path / "out.onnx")

    assert (written["fc3.bias"] == 0).all()
    assert (written["fc0.bias"] == 0.25).all()


def test_a_single_nan_in_a_trained_layer_is_replaced_and_all_else_stays(tmp_path: Path) -> None:
    """By zero, which takes nothing that was learned; no force is needed."""

    def broken(w: np.ndarray) -> np.ndarray:
        w[2, 5] = np.nan
        return w

    proto = mlp([64, 64, 64, 8], draw=trained_like, change={"fc1.weight": broken})

    result = initaudit.fix(proto, tmp_path / "out.onnx", config=initaudit.Config(context="trained"))
    before, after = tensors(proto)["fc1.weight"], tensors(tmp_path / "out.onnx")["fc1.weight"]

    assert after[2, 5] == 0.0
    assert np.flatnonzero(before != after).tolist() == [2 * 64 + 5]
    assert [c.scheme for c in result.changes] == ["repaired"]


def normed(scale: float, *, depth: int = 5) -> onnx.ModelProto:
    """Layers of 48 units with LayerNorm and ReLU, all norms with this scale."""
    rng = np.random.default_rng(0)
    nodes, stored, value = [], {}, "x"
    for i in range(depth):
        stored |= {f"fc{i}.weight": he((48, 48), rng), f"fc{i}.bias": np.zeros(48)}
        stored |= {f"norm{i}.weight": np.full(48, scale), f"norm{i}.bias": np.zeros(48)}
        nodes += [
            helper.make_node("Gemm", [value, f"fc{i}.weight", f"fc{i}.bias"], [f"z{i}"], f"/fc{i}/Gemm", transB=1),
            helper.make_node("LayerNormalization", [f"z{i}", f"norm{i}.weight", f"norm{i}.bias"], [f"n{i}"], f"/n{i}"),
            helper.make_node("Relu", [f"n{i}"], [f"a{i}"], f"/act{i}"),
        ]
        value = f"a{i}"
    stored |= {"head.weight": normal(48**-0.5)((10, 48), rng), "head.bias": np.zeros(10)}
    nodes.append(helper.make_node("Gemm", [value, "head.weight", "head.bias"], ["y"], "/head/Gemm", transB=1))
    return model(nodes, {"x": ["N", 48]}, ["y"], {n: np.asarray(a, np.float32) for n, a in stored.items()})


NORM_FAULTS = {
    "scale zero": ("norm2.weight", np.zeros_like, 1.0),
    "dead shift": ("norm2.bias", lambda b: b - 50.0, 0.0),
    "NaN shift": ("norm2.bias", lambda b: np.where(np.arange(b.size) == 3, np.nan, b), 0.0),
    "NaN scale": ("norm2.weight", lambda w: np.where(np.arange(w.size) == 3, np.nan, w), 1.0),
}


@pytest.mark.parametrize("fault", NORM_FAULTS)
def test_of_a_norm_only_the_part_that_is_wrong_changes(fault: str, tmp_path: Path) -> None:
    """Weights in front of it are sound and stay: the norm starts at scale 1 and shift 0 again."""
    name, edit, start = NORM_FAULTS[fault]
    proto = normed(1.0)
    for tensor in proto.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(edit(numpy_helper.to_array(tensor)), name))

    _, changed = mended(proto, tmp_path)

    assert changed == {name}
    assert (tensors(tmp_path / "out.onnx")[name] == start).all()


@pytest.mark.parametrize(("widths", "units"), [([32, 48, 48, 10], 48), ([32, *[40] * 12, 10], 1)])
def test_a_bias_that_drowns_the_input_changes_alone(widths: list[int], units: int, tmp_path: Path) -> None:
    """Also where no rule names the layer, but only how large the answers are."""
    name = f"fc{len(widths) // 2 - 1}.bias"

    result, changed = mended(mlp(widths, change={name: lambda b: b + 50.0 * (np.arange(b.size) < units)}), tmp_path)

    assert {f.code for f in result.before.active} == {"INI402"}
    assert changed == {name}
    assert result.now.verdict.status == "pass"


def test_gates_start_nearly_constant_where_each_layer_for_itself_is_not_enough(tmp_path: Path) -> None:
    """Eight products of two signals each bend the input to a polynomial of degree 256; gates that hardly vary pass on the other factor."""
    proto = gated(8, "Sigmoid", 32)
    for node in proto.graph.node:
        if node.op_type == "Gemm":
            node.input.append(f"{node.name}.bias")
            units = 10 if node.name == "head" else 32
            proto.graph.initializer.append(numpy_helper.from_array(np.zeros(units, np.float32), node.input[2]))

    result, _ = mended(proto, tmp_path)
    biases = {name: values.mean() for name, values in tensors(tmp_path / "out.onnx").items() if name.endswith(".bias")}
    again = initaudit.fix(tmp_path / "out.onnx", config=FRESH)

    assert result.before.verdict.status == "fail"
    assert not again.changes
    assert result.now.verdict.status == "pass"
    assert all(np.isclose(biases[f"gate{i}.bias"], LARGEST_SHIFT, rtol=0.05) for i in range(8))


def test_the_layers_follow_where_no_layer_stands_out(tmp_path: Path) -> None:
    """Twelve layers at N(0, 0.01) are all wrong alike: all are drawn, by He's scheme, and no chain is shaped where that is enough."""
    result, changed = mended(mlp([32, *[48] * 4, 10], draw=normal(0.01)), tmp_path)

    assert [step.rung for step in result.steps] == ["layers"]
    assert {c.scheme for c in result.changes} == {"he_normal", "xavier_uniform"}
    assert len(changed) == 5


def test_the_chain_is_the_last_rung_and_is_recognised(tmp_path: Path) -> None:
    """Sixteen layers of ReLU forget their input at He's scale; shaped together they do not. What they hold passes for no mistake, and for no training."""
    result, _ = mended(mlp([16, *[16] * 16, 10], draw=xavier), tmp_path)
    again = initaudit.fix(tmp_path / "out.onnx", tmp_path / "again.onnx")

    assert [step.rung for step in result.steps] == ["layers", "chain"]
    assert result.before.verdict.trainability < 0.2
    assert result.after is not None
    assert replace(result.after.verdict, evidence=again.before.verdict.evidence) == again.before.verdict
    assert again.before.verdict.context == "fresh"
    assert again.before.verdict.trainability > 0.7
    assert not [f for f in again.before.active if f.code in ("INI101", "INI102", "INI103", "INI104", "INI301")]
    assert again.changes == ()
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "out.onnx").read_bytes()


def test_a_deep_chain_of_tanh_learns_when_shaped(tmp_path: Path) -> None:
    """From a start far off, down to where tanh is nearly straight."""
    result, _ = mended(mlp([32, *[32] * 25, 10], "Tanh", normal(0.6)), tmp_path)

    assert result.before.verdict.trainability < 0.2
    assert result.after is not None
    assert result.after.verdict.trainability > 0.7
    assert result.steps[-1].rung == "chain"


def test_all_that_may_take_the_time_of_an_audit_is_announced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each audit but the first, and each fit of weights to inputs: whoever watches gives so much more time."""
    told: list[str] = []

    def recorded(name: str, doing: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (told.append(name), doing(*arguments))[1]

    for home, name in ((candidate, "audit"), (fixer, "audit"), (redraw, "fit")):
        monkeypatch.setattr(home, name, recorded(name, getattr(home, name)))

    fixer.fix(
        mlp(DEEP, draw=normal(0.01)),
        tmp_path / "out.onnx",
        FRESH,
        FixOptions(scheme="lsuv"),
        lambda: told.append("begins"),
    )

    assert told == ["audit", "begins", "fit", "begins", "audit", "begins", "audit"]


def test_a_dry_run_predicts_what_is_written(tmp_path: Path) -> None:
    """The same changes, and the same verdict."""
    proto = mlp(DEEP, change={"fc3.weight": np.zeros_like})

    predicted = initaudit.fix(proto, config=FRESH)
    done = initaudit.fix(proto, tmp_path / "out.onnx", config=FRESH)

    assert predicted.changes == done.changes
    assert predicted.after is not None
    assert done.after is not None
    assert predicted.after.verdict == done.after.verdict


def hopeless() -> onnx.ModelProto:
    """A zero layer can be drawn, but the logarithm of a signal around zero is no number whatever the weights are."""
    return mlp([16, 16, 16, 4], "Log", change={"fc1.weight": np.zeros_like})


def test_what_would_still_fail_is_not_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is said, with the verdict, and the exit code is 1; --keep-going writes it."""
    path, out = save(hopeless(), tmp_path / "m.onnx"), tmp_path / "out.onnx"
    command = ["fix", "--isolated", "--context", "fresh", path, "-o", str(out)]

    refused = run(command)
    told = capfd.readouterr().out
    written_without = out.exists()
    kept = run([*command, "--keep-going"])

    assert refused == kept == 1
    assert not written_without
    assert "nothing was written, as the model would still fail" in told
    assert "then:" in told
    assert out.exists()


def test_where_nothing_is_known_of_training_layers_are_left(tmp_path: Path) -> None:
    """Weights of so few values that they tell nothing may have been trained; whoever knows better says so."""
    proto = mlp([8, 8, 8, 3], change={"fc1.bias": lambda b: b - 100})

    with pytest.raises(FixRefused, match="--context fresh"):
        initaudit.fix(proto, tmp_path / "out.onnx")
    result, changed = mended(proto, tmp_path)

    assert initaudit.audit(proto, probe="none").verdict.context == "unknown"
    assert changed == {"fc1.bias"}
    assert result.refusals == ()


def test_every_layer_says_why_it_was_drawn(tmp_path: Path) -> None:
    """Also those that only the network as a whole asks for: by how much each is off, and what the network suffers from."""
    result, _ = mended(mlp([32, *[40] * 12, 10], draw=normal(0.5)), tmp_path)

    assert result.changes
    assert [c.title for c in result.changes if not c.wrong] == []
    assert any(c.reason.startswith("INI4") and "times the" in c.wrong for c in result.changes)


@pytest.mark.parametrize("select", [(), ("INI003",)])
def test_each_finding_that_stays_is_told_with_the_reason(select: tuple[str, ...], tmp_path: Path) -> None:
    """What needs no action, what is not asked for and what no draw takes away: none is passed over."""
    proto = mlp([64, 64, 64, 8], draw=trained_like)

    result = initaudit.fix(proto, tmp_path / "out.onnx", config=initaudit.Config(context="trained"), select=select)

    assert not result.changes
    assert [(left.code, left.layer) for left in result.left] == [(f.code, f.layer) for f in result.before.active]
    assert {left.reason.partition(";")[0] for left in result.left} == {
        "--select asks for others" if select else "it is worth knowing and needs no action"
    }


def test_of_a_fault_that_stays_no_more_is_said_than_was_tried() -> None:
    """Another scheme may take it away."""
    result = initaudit.fix(mlp([64, 64, 8]), config=FRESH, scheme="normal:0.001", every=True)

    reasons = {left.reason for left in result.left if left.severity.value != "info"}
    assert reasons
    assert all("that was tried" in reason and "initaudit compare" in reason for reason in reasons)


def test_a_chain_is_not_shaped_in_vain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where layers learn well and rare large inputs alone speak for shaping them, they stay as they are if these make another network of it all the same."""
    for module in (ladder, chain):
        monkeypatch.setattr(module, "departs", lambda _: True)

    result, _ = mended(mlp(DEEP, "Tanh", normal(1e-3)), tmp_path)

    assert [step.rung for step in result.steps] == ["layers"]


def test_what_a_later_rung_draws_is_refused_no_more() -> None:
    """A refusal of the rung before was of another change."""
    report = initaudit.audit(mlp(DEEP), config=initaudit.Config(context="fresh", probe="none"))
    assert report.audit is not None
    refusals = tuple(Refusal(layer=f"/fc{k}/Gemm", reason="") for k in (1, 2))
    start = candidate.Candidate(model=report.audit.model, report=report, refusals=refusals)
    chosen = [Choice(audit=report.audit.layers[1], reason="")]

    found = start.changed(
        chosen,
        initaudit.Config(probe="none"),
        lambda model: redraw.redraw(model, chosen, 1, FixOptions()),
        rung="layers",
        recipe=FixOptions(),
    )

    assert found is not None
    assert [refusal.layer for refusal in found.refusals] == ["/fc2/Gemm"]
