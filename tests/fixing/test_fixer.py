"""fix: new weights where they were asked for, every other byte as it was, and proof."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import initaudit
from initaudit.cli import run
from initaudit.errors import FixRefused
from initaudit.model.record import KEY
from tests.networks import he, mlp, model, normal, save, trained_like, xavier

STATIC = initaudit.Config(probe="none", context="fresh")


def tensors(path: Path | str) -> dict[str, np.ndarray]:
    """Stored tensors by name, external data included."""
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def test_only_the_flagged_layer_changes_and_gets_its_target(tmp_path: Path):
    """The std of the new weights is He's, within the sampling error; the others keep every bit."""
    path = save(mlp([64, 128, 128, 10], change={"fc1.weight": lambda w: w * 0.001}), tmp_path / "m.onnx")

    result = initaudit.fix(path, tmp_path / "out.onnx", config=STATIC)
    before, after = tensors(path), tensors(tmp_path / "out.onnx")

    assert [c.initializer for c in result.changes] == ["fc1.weight"]
    assert after["fc1.weight"].std() == pytest.approx(np.sqrt(2 / 128), rel=0.03)
    assert all(np.array_equal(before[n], after[n]) for n in before if not n.startswith("fc1."))
    assert result.after is not None
    assert not result.after.active


def test_an_untrainable_network_becomes_trainable(tmp_path: Path):
    """Twelve ReLU layers at N(0, 0.01) carry no signal; after the fix they do."""
    path = save(mlp([32, *[48] * 12, 10], draw=normal(0.01)), tmp_path / "m.onnx")

    result = initaudit.fix(path, tmp_path / "out.onnx")

    assert result.before.verdict.status == "fail"
    assert result.after is not None
    assert result.after.verdict.status in ("pass", "warn")
    assert result.after.verdict.trainability > 0.5 > result.before.verdict.trainability


def test_what_the_patch_does_not_name_survives_to_the_byte(tmp_path: Path):
    """Training info, metadata, sparse initializers and doc strings are not the fixer's business; one entry of the metadata is."""
    proto = mlp([64, 64, 8], change={"fc0.weight": np.zeros_like})
    proto.doc_string = "kept"
    proto.metadata_props.add(key="k", value="v")
    proto.training_info.add().algorithm.name = "step"
    sparse = proto.graph.sparse_initializer.add()
    sparse.dims.extend([4])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "s"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64), "s_index"))
    path = save(proto, tmp_path / "m.onnx")

    initaudit.fix(path, tmp_path / "out.onnx", config=STATIC)
    expected = onnx.load(path)
    written = onnx.load(tmp_path / "out.onnx")
    assert written.metadata_props.pop().key == KEY
    for name in ("fc0.weight", "fc0.bias"):
        for proto_ in (expected, written):
            tensor = next(t for t in proto_.graph.initializer if t.name == name)
            tensor.Clear()

    assert written == expected


@pytest.mark.parametrize("stored", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE])
def test_the_stored_type_is_kept_also_behind_a_cast(stored: int, tmp_path: Path):
    """Values are drawn in float64 and rounded once."""
    zeros = numpy_helper.to_array(helper.make_tensor("w", TensorProto.FLOAT, [300, 64], np.zeros(300 * 64)))
    nodes = [
        helper.make_node("Cast", ["w"], ["wf"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["wf"], ["wt"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "wt"], ["z"], "fc"),
        helper.make_node("Relu", ["z"], ["y"]),
    ]
    proto = model(nodes, {"x": ["N", 64]}, ["y"], {"w": zeros})
    dtype = helper.tensor_dtype_to_np_dtype(stored)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(zeros.astype(dtype), "w"))
    path = save(proto, tmp_path / "m.onnx")

    initaudit.fix(path, tmp_path / "out.onnx", config=STATIC)
    written = onnx.load(tmp_path / "out.onnx").graph.initializer[0]

    assert written.data_type == stored
    assert numpy_helper.to_array(written).astype(np.float64).std() == pytest.approx(np.sqrt(2 / 64), rel=0.03)


def test_one_part_of_a_packed_weight_can_be_changed_alone(tmp_path: Path):
    """A zero block of columns that the graph slices off is drawn anew; the other block keeps its values."""
    weight = np.random.default_rng(0).normal(0, 0.15, (64, 128)).astype(np.float32)
    weight[:, 64:] = 0
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"], "fused"),
        helper.make_node("Split", ["z"], ["a", "b"], axis=-1, num_outputs=2),
        helper.make_node("Tanh", ["a"], ["ya"]),
        helper.make_node("Add", ["ya", "b"], ["y"]),
    ]
    proto = model(nodes, {"x": ["N", 64]}, ["y"], {"w": weight}, opset=18)

    initaudit.fix(save(proto, tmp_path / "m.onnx"), tmp_path / "out.onnx", config=STATIC, select=("INI003",))
    after = tensors(tmp_path / "out.onnx")["w"]

    assert np.array_equal(after[:, :64], weight[:, :64])
    assert after[:, 64:].std() > 0.05


def test_a_forget_gate_starts_open(tmp_path: Path):
    """A cell that is drawn anew with both of its biases keeps sigmoid(1) of its state (Jozefowicz, Zaremba & Sutskever 2015)."""
    rng = np.random.default_rng(0)
    stored = {
        "w": np.zeros((1, 64, 32), np.float32),
        "r": np.zeros((1, 64, 16), np.float32),
        "b": rng.normal(0, 1, (1, 128)).astype(np.float32),
    }
    lstm = helper.make_node("LSTM", ["x", "w", "r", "b", "", "h", "c"], ["", "", "c1"], "lstm", hidden_size=16)
    states = {"h": [1, "N", 16], "c": [1, "N", 16]}
    path = save(model([lstm], {"x": ["T", "N", 32], **states}, ["c1"], stored), tmp_path / "m.onnx")

    initaudit.fix(path, tmp_path / "out.onnx", config=STATIC, select=("INI003",))
    after = tensors(tmp_path / "out.onnx")
    cell = np.linspace(-1.0, 1.0, 16, dtype=np.float32).reshape(1, 1, 16)
    kept = onnxruntime.InferenceSession(tmp_path / "out.onnx").run(
        None, {"x": np.zeros((1, 1, 32), np.float32), "h": np.zeros((1, 1, 16), np.float32), "c": cell}
    )[0]

    assert after["w"].std() > 0.05
    assert kept == pytest.approx(cell / (1 + np.exp(-1)), abs=1e-6)
    assert [f for f in initaudit.audit(tmp_path / "out.onnx", config=STATIC).findings if f.code == "INI301"] == []


def test_the_written_file_is_judged_by_the_standard_of_the_first_audit(tmp_path: Path):
    """A trained network with one layer drawn anew would pass for a mixed one; what it was is known from before."""
    path = save(mlp([64, 64, 64, 8], draw=trained_like, change={"fc1.weight": np.zeros_like}), tmp_path / "m.onnx")

    result = initaudit.fix(
        path, tmp_path / "out.onnx", config=initaudit.Config(probe="none"), select=("INI003",), force=True
    )

    assert result.before.verdict.context == "trained"
    assert result.after is not None
    assert result.after.verdict.context == "trained"
    assert initaudit.audit(tmp_path / "out.onnx", probe="none").verdict.context == "mixed"


def test_external_data_is_copied_with_the_new_values(tmp_path: Path):
    """The source's data file stays as it was."""
    proto = mlp([64, 64, 8], change={"fc0.weight": np.zeros_like})
    path = tmp_path / "m.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="m.data", size_threshold=0)
    original = (tmp_path / "m.data").read_bytes()

    result = initaudit.fix(path, tmp_path / "out.onnx", config=STATIC)
    after = tensors(tmp_path / "out.onnx")

    assert len(result.written) == 2
    assert after["fc0.weight"].std() > 0.1
    assert np.array_equal(after["fc1.weight"], tensors(path)["fc1.weight"])
    assert (tmp_path / "m.data").read_bytes() == original


def test_a_trained_layer_is_not_drawn_anew_without_force(tmp_path: Path):
    """It would destroy what was learned."""
    path = save(mlp([64, 64, 64, 8], draw=trained_like), tmp_path / "m.onnx")
    config = initaudit.Config(probe="none", context="trained")

    with pytest.raises(FixRefused, match="--force"):
        initaudit.fix(path, tmp_path / "out.onnx", config=config, layers=["/fc1/Gemm"])

    assert not (tmp_path / "out.onnx").exists()


def test_a_trained_layer_is_drawn_anew_by_force(tmp_path: Path):
    """Who says so means to train it again; the other layers keep every bit."""
    path = save(mlp([64, 64, 64, 8], draw=trained_like, change={"fc1.weight": np.zeros_like}), tmp_path / "m.onnx")
    config = initaudit.Config(probe="none", context="trained")

    result = initaudit.fix(path, tmp_path / "out.onnx", config=config, force=True)

    assert [c.initializer for c in result.changes] == ["fc1.weight"]
    assert np.array_equal(tensors(tmp_path / "out.onnx")["fc0.weight"], tensors(path)["fc0.weight"])


def test_of_a_mixed_network_only_what_was_not_trained_is_drawn(tmp_path: Path):
    """A layer at its initialisation whose bias stops every unit gets a new bias; one of equal units, which was trained, is left, with the reason."""
    change = {
        "fc1.weight": lambda w: np.tile(w[:1], (64, 1)),
        "fc2.weight": lambda w: he(w.shape, np.random.default_rng(1)),
        "fc2.bias": lambda b: b - 100,
    }
    path = save(mlp([64, 64, 64, 64, 8], draw=trained_like, change=change), tmp_path / "m.onnx")

    result = initaudit.fix(path, tmp_path / "out.onnx", config=initaudit.Config(probe="none", context="trained"))

    assert [c.initializer for c in result.changes] == ["fc2.bias"]
    assert [(r.layer, "--force" in r.reason) for r in result.refusals] == [("/fc1/Gemm", True)]


def test_a_packed_weight_is_refused_with_the_reason(tmp_path: Path):
    """Several codes share a byte of MatMulNBits."""
    attributes = {"K": 64, "N": 64, "bits": 4, "block_size": 32}
    nodes = [helper.make_node("MatMulNBits", ["x", "q", "s"], ["y"], "fc", domain="com.microsoft", **attributes)]
    stored = {"q": np.zeros((64, 2, 16), np.uint8), "s": np.full(128, 0.1, np.float32)}
    proto = model(nodes, {"x": ["N", 64]}, ["y"], stored, domains=["com.microsoft"])
    path = save(proto, tmp_path / "m.onnx")

    with pytest.raises(FixRefused, match="uint8"):
        initaudit.fix(path, tmp_path / "out.onnx", config=STATIC, layers=("*",))


def test_nothing_to_fix_gives_an_unchanged_copy(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Exit code 0, and it is said."""
    path = save(mlp([64, 64, 8]), tmp_path / "m.onnx")

    code = run(["fix", "--isolated", "--probe", "none", path, "-o", str(tmp_path / "out.onnx")])

    assert code == 0
    assert "nothing to fix" in capfd.readouterr().out
    assert (tmp_path / "out.onnx").read_bytes() == Path(path).read_bytes()


def test_rescaling_keeps_the_direction_of_the_weights(tmp_path: Path):
    """Every weight is multiplied by the same number."""
    path = save(mlp([64, 128, 8], change={"fc0.weight": lambda w: w * 0.01}), tmp_path / "m.onnx")

    initaudit.fix(path, tmp_path / "out.onnx", config=STATIC, mode="rescale")
    factor = tensors(tmp_path / "out.onnx")["fc0.weight"] / tensors(path)["fc0.weight"]

    assert factor == pytest.approx(np.full_like(factor, factor[0, 0]), rel=1e-5)
    assert factor[0, 0] == pytest.approx(100, rel=0.05)


def test_rescaling_leaves_biases_alone(tmp_path: Path):
    """They are not to blame for the scale of the weights; a new draw resets them."""
    change = {"fc0.weight": lambda w: w * 0.01, "fc0.bias": lambda b: b + 0.25}
    path = save(mlp([64, 128, 8], change=change), tmp_path / "m.onnx")

    rescaled = initaudit.fix(path, tmp_path / "rescaled.onnx", config=STATIC, mode="rescale")
    drawn = initaudit.fix(path, tmp_path / "drawn.onnx", config=STATIC, every=True, layers=["/fc0/Gemm"])

    assert [c.bias for c in rescaled.changes] == [None]
    assert np.array_equal(tensors(tmp_path / "rescaled.onnx")["fc0.bias"], tensors(path)["fc0.bias"])
    assert [c.bias for c in drawn.changes] == ["fc0.bias"]
    assert not tensors(tmp_path / "drawn.onnx")["fc0.bias"].any()


def test_the_same_seed_gives_the_same_file(tmp_path: Path):
    """Deterministic to the byte."""
    path = save(mlp([64, 64, 8], change={"fc0.weight": np.zeros_like}), tmp_path / "m.onnx")

    for name in ("a.onnx", "b.onnx"):
        initaudit.fix(path, tmp_path / name, config=STATIC)

    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_dry_run_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """It says what would change."""
    path = save(mlp([64, 64, 8], change={"fc0.weight": np.zeros_like}), tmp_path / "m.onnx")

    code = run(["fix", "--isolated", "--probe", "none", "--context", "fresh", "--dry-run", path])

    assert code == 0
    assert "fc0" in capfd.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_an_existing_file_is_not_overwritten_without_force(tmp_path: Path):
    """Exit code 2, and the file is as it was."""
    path = save(mlp([8, 8]), tmp_path / "m.onnx")
    (tmp_path / "out.onnx").write_bytes(b"precious")

    code = run(["fix", "--isolated", path, "-o", str(tmp_path / "out.onnx")])

    assert code == 2
    assert (tmp_path / "out.onnx").read_bytes() == b"precious"


def test_a_deep_sigmoid_stack_is_healed_by_centred_weights(tmp_path: Path) -> None:
    """Xavier's scale fits every layer, and yet the mean of the sigmoid drowns the input; zero-sum weights take it out."""
    path = save(mlp([48] * 17 + [10], "Sigmoid", xavier), tmp_path / "m.onnx")

    result = initaudit.fix(path, tmp_path / "out.onnx", config=initaudit.Config(context="fresh"))

    assert result.before.verdict.status == "fail"
    assert result.after is not None
    assert result.after.verdict.status != "fail"
    assert (result.after.verdict.trainability or 0) > 0.5
    sums = {
        name: float(np.abs(w.sum(axis=1)).max()) for name, w in tensors(tmp_path / "out.onnx").items() if w.ndim == 2
    }
    assert all(total < 1e-4 for name, total in sums.items() if name != "fc0.weight")
    assert sums["fc0.weight"] > 0.1  # reads the data


def test_weights_behind_relu_are_not_centred(tmp_path: Path) -> None:
    """He's formula makes up for its mean."""
    path = save(mlp([48] * 13 + [10], "Relu", normal(0.01)), tmp_path / "m.onnx")

    result = initaudit.fix(path, None, config=initaudit.Config(context="fresh"))

    assert result.changes
    assert not any("centred" in change.scheme for change in result.changes)


def test_a_second_fix_changes_nothing(tmp_path: Path) -> None:
    """The first mended what there was; the file is copied with its record."""
    path = save(mlp([64, 64, 8], change={"fc0.weight": np.zeros_like}), tmp_path / "m.onnx")
    initaudit.fix(path, tmp_path / "once.onnx", config=STATIC)

    again = initaudit.fix(tmp_path / "once.onnx", tmp_path / "twice.onnx", config=STATIC)

    assert again.changes == ()
    assert (tmp_path / "twice.onnx").read_bytes() == (tmp_path / "once.onnx").read_bytes()


def test_where_nothing_changes_the_report_of_now_is_that_of_before(tmp_path: Path):
    """A sound network has no audit after the fix, and a report all the same."""
    result = initaudit.fix(save(mlp([16, 24, 8]), tmp_path / "m.onnx"), config=initaudit.Config(probe="none"))

    assert result.after is None
    assert result.now is result.before
