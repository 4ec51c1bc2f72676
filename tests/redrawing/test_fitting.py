"""lsuv and pca give layers unit signals over the inputs that are given, whatever these are."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import initaudit
from initaudit.extraction.extract import extract_layers
from initaudit.measuring.measure import measure
from initaudit.model.load import load_model, private_copy
from initaudit.probe.plan import ProbeOptions
from initaudit.redrawing.choice import Choice, Recipe
from initaudit.redrawing.positions import set_values
from initaudit.redrawing.redraw import redraw
from tests.networks import mlp, model, normal, save

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(5)
SKEWED = (RNG.standard_normal((512, 16)) * np.geomspace(50, 1, 16) @ RNG.standard_normal((16, 16)) + 30).astype(np.float32)  # fmt: skip
"""Inputs far from the standard normal ones that would be made: correlated, large and off zero."""
PICTURES = (RNG.standard_normal((16, 4, 10, 10)).cumsum(axis=3) * 7 + 3).astype(np.float32)


def fitted(
    proto: onnx.ModelProto,
    method: str,
    data: np.ndarray | None = None,
    *,
    seed: int = 0,
    only: str = "",
    **recipe: object,
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The model with its layers (those whose name begins with `only`) fitted, and why some were refused."""
    copy = private_copy(load_model(proto))
    audits, _ = measure(extract_layers(copy).layers, seed=0)
    chosen = [Choice(audit=a, reason="asked for") for a in audits if a.target and a.layer.name.startswith(only)]
    given = None
    if data is not None:
        file = io.BytesIO()
        np.save(file, data)
        given = file.getvalue()
    options = ProbeOptions(mode="forward", input_data=given, seed=seed)
    _, refusals, contents = redraw(copy, chosen, seed, Recipe(scheme=(method,), **recipe), inputs=options)
    for key, values in contents.values.items():
        set_values(contents.tensors[key], values)
    return copy.proto, {refusal.layer: refusal.reason for refusal in refusals}


def value(proto: onnx.ModelProto, name: str, **feed: np.ndarray) -> np.ndarray:
    """A value of the network for these inputs, float64."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    copy.graph.output.append(onnx.ValueInfoProto(name=name))
    session = onnxruntime.InferenceSession(copy.SerializeToString())
    return session.run([name], feed)[0].astype(np.float64)


def stored(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}


def convolutions() -> onnx.ModelProto:
    """A plain, a strided, a grouped and a depthwise convolution; only the first has a bias."""
    rng = np.random.default_rng(0)
    tensors = {
        "a": rng.normal(0, 0.01, (8, 4, 3, 3)), "bias": rng.normal(0, 1, 8), "b": rng.normal(0, 9, (8, 8, 3, 3)),
        "c": rng.normal(0, 0.01, (6, 4, 1, 1)), "d": rng.normal(0, 0.01, (6, 1, 2, 2)),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "a", "bias"], ["za"], "a", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["za"], ["ra"]),
        helper.make_node("Conv", ["ra", "b"], ["zb"], "b", strides=[2, 2]),
        helper.make_node("Tanh", ["zb"], ["rb"]),
        helper.make_node("Conv", ["rb", "c"], ["zc"], "c", group=2),
        helper.make_node("Relu", ["zc"], ["rc"]),
        helper.make_node("Conv", ["rc", "d"], ["zd"], "d", group=6),
    ]
    return model(nodes, {"x": ["N", 4, 10, 10]}, ["zd"], {n: a.astype(np.float32) for n, a in tensors.items()})


@pytest.mark.parametrize("activation", ["Relu", "Tanh", "Sigmoid"])
def test_lsuv_gives_each_layer_unit_variance_over_the_given_inputs(activation: str):
    """Within 10 %, of the variance over inputs as a mean over units; from orthogonal draws, with biases of zero."""
    proto, refused = fitted(mlp([16, 32, 24, 24, 8], activation, draw=normal(30), bias=3.0), "lsuv", SKEWED)

    assert not refused
    for name in ("z0", "z1", "z2", "y"):
        assert value(proto, name, x=SKEWED).var(axis=0).mean() == pytest.approx(1, rel=0.1)
    weight = stored(proto)["fc1.weight"].astype(np.float64)
    gram = weight @ weight.T
    assert gram == pytest.approx(gram[0, 0] * np.eye(24), abs=1e-5 * gram[0, 0])
    assert not stored(proto)["fc1.bias"].any()


def test_lsuv_of_convolutions():
    """At each position over the inputs, as the probe measures it."""
    proto, refused = fitted(convolutions(), "lsuv", PICTURES)

    assert not refused
    for name in ("za", "zb", "zc", "zd"):
        assert value(proto, name, x=PICTURES).var(axis=0).mean() == pytest.approx(1, rel=0.1)


def test_lsuv_that_rescales_keeps_the_directions_of_the_weights():
    """With --mode rescale the draws are the network's own, and so are the biases."""
    before = mlp([16, 32, 8], draw=normal(30), bias=3.0)

    proto, _ = fitted(before, "lsuv", SKEWED, mode="rescale")
    ratio = stored(proto)["fc1.weight"] / stored(before)["fc1.weight"]

    assert ratio == pytest.approx(ratio[0, 0])
    assert (stored(proto)["fc1.bias"] == 3).all()
    assert value(proto, "y", x=SKEWED).var(axis=0).mean() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_the_gain_is_the_std_that_leaves_each_layer(gain: float):
    """Of lsuv and of pca."""
    for method in ("lsuv", "pca"):
        proto, _ = fitted(mlp([16, 24, 8], draw=normal(30)), method, SKEWED, gain=gain)

        assert value(proto, "z0", x=SKEWED).var(axis=0).mean() == pytest.approx(gain**2, rel=0.1)
        assert value(proto, "y", x=SKEWED).var(axis=0).mean() == pytest.approx(gain**2, rel=0.1)


def test_pca_whitens_what_each_layer_gives():
    """Mean 0 and covariance 1 over the given inputs, layer by layer, behind a nonlinearity too."""
    proto, refused = fitted(mlp([16, 12, 12, 8], "Tanh", draw=normal(30), bias=3.0), "pca", SKEWED)

    assert not refused
    for name in ("z0", "z1", "y"):
        given = value(proto, name, x=SKEWED)
        assert given.mean(axis=0) == pytest.approx(0, abs=1e-3)
        assert given.T @ given / len(given) == pytest.approx(np.eye(given.shape[1]), abs=1e-3)


def test_pca_of_convolutions_whitens_over_positions():
    """Each group of units by the channels that it sees; where there is no bias, the mean is 0 all the same."""
    proto, refused = fitted(convolutions(), "pca", PICTURES)

    assert not refused
    for name, groups in (("za", 1), ("zb", 1), ("zc", 2)):
        given = value(proto, name, x=PICTURES)
        units = np.moveaxis(given, 1, -1).reshape(-1, groups, given.shape[1] // groups)
        for group in range(groups):
            covariance = np.cov(units[:, group].T)
            assert units[:, group].mean(axis=0) == pytest.approx(0, abs=0.15)
            assert covariance == pytest.approx(np.eye(len(covariance)), abs=0.3)


def test_synthetic_inputs_serve_where_none_are_given_and_are_as_many_as_needed():
    """16 inputs would span 16 of 48 dimensions."""
    proto, _ = fitted(mlp([48, 48, 8], draw=normal(0.01)), "pca")

    assert np.linalg.matrix_rank(stored(proto)["fc0.weight"]) == 48


def test_the_same_seed_gives_the_same_weights():
    """And another seed others."""
    one, again, other = (fitted(mlp([16, 24, 8]), "pca", SKEWED, seed=seed)[0] for seed in (0, 0, 1))

    assert one == again
    assert one != other


def test_a_part_of_a_packed_weight_is_fitted_alone():
    """The query part gets unit variance, the others keep every bit."""
    rng = np.random.default_rng(0)
    packed = rng.normal(0, 9, (16, 48)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "qkv"], ["h"], "qkv"),
        helper.make_node("Split", ["h"], ["q", "k", "v"], "split", axis=-1),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "v"], ["y"]),
    ]
    before = model(nodes, {"x": ["N", 3, 16]}, ["y"], {"qkv": packed})
    tokens = SKEWED[:60].reshape(20, 3, 16)

    for method in ("lsuv", "pca"):
        proto, refused = fitted(before, method, tokens, only="qkv[q]")
        assert not refused
        assert np.array_equal(stored(proto)["qkv"][:, 16:], packed[:, 16:])
        query = value(proto, "q", x=tokens)
        assert (query.reshape(-1, 16).var(axis=0) if method == "pca" else query.var(axis=0)).mean() == pytest.approx(1, rel=0.1)  # fmt: skip


def test_what_cannot_be_looked_at_is_refused_and_the_rest_is_fitted():
    """Gates of a cell are kept inside it; a weight on the left sums over another axis; what nothing reaches does not vary."""
    rng = np.random.default_rng(0)
    tensors = {
        "W": rng.normal(0, 1, (1, 32, 6)), "R": rng.normal(0, 1, (1, 32, 8)), "left": rng.normal(0, 1, (5, 5)),
        "zero": np.zeros((8, 8)), "behind": rng.normal(0, 1, (8, 8)), "head": rng.normal(0, 1, (8, 3)),
    }  # fmt: skip
    nodes = [
        helper.make_node("LSTM", ["x", "W", "R"], ["", "h"], "lstm", hidden_size=8),
        helper.make_node("MatMul", ["h", "head"], ["y"], "head"),
        helper.make_node("Mul", ["h", "nothing"], ["dead"]),
        helper.make_node("MatMul", ["dead", "behind"], ["d"], "behind"),
    ]
    tensors = {n: tensors[n].astype(np.float32) for n in ("W", "R", "head", "behind")} | {
        "nothing": np.zeros((), np.float32)
    }
    before = model(nodes, {"x": [5, "N", 6]}, ["y", "d"], tensors)

    proto, refused = fitted(before, "lsuv")

    assert {reason for name, reason in refused.items() if "gate" in name} == {
        "what its weights give is kept inside a recurrent cell; lsuv cannot look at it"
    }
    assert "does not vary" in refused["behind"]
    assert np.array_equal(stored(proto)["behind"], tensors["behind"])
    assert not np.array_equal(stored(proto)["head"], tensors["head"])


def test_the_audit_accepts_what_was_fitted(tmp_path: Path):
    """A network that could not learn passes, and no rule asks for the scale that inputs of unit variance would; but where the weights changed since."""
    path = save(mlp([16, 24, 24, 24, 8], draw=normal(0.001)), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", 37 * RNG.standard_normal((64, 16)).astype(np.float32))
    config = initaudit.Config(input_data=str(tmp_path / "x.npy"), context="fresh")

    result = initaudit.fix(path, tmp_path / "out.onnx", config=config, scheme="lsuv", every=True)
    changed = onnx.load(tmp_path / "out.onnx")
    first = next(t for t in changed.graph.initializer if t.name == "fc0.weight")
    first.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(first) / 2, first.name))
    later = initaudit.audit(changed, config=config)

    assert (result.before.verdict.status, result.after.verdict.status) == ("fail", "pass")
    assert not result.after.active
    assert "INI101" in {finding.code for finding in later.active if finding.layer == "/fc0/Gemm"}


def test_pca_heals_what_could_not_learn(tmp_path: Path):
    """On synthetic inputs."""
    path = save(mlp([16, 24, 24, 24, 8], draw=normal(0.01)), tmp_path / "m.onnx")

    result = initaudit.fix(
        path, tmp_path / "out.onnx", config=initaudit.Config(context="fresh"), scheme="pca", every=True
    )

    assert (result.before.verdict.status, result.after.verdict.status) == ("fail", "pass")
    assert {change.scheme for change in result.changes} == {"pca"}
