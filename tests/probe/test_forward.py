"""The forward probe against numpy: what it says of a value is what the value is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import helper

from tests.networks import mlp, model, normal
from tests.probe.probing import probed


def preactivations(proto, feeds) -> list[np.ndarray]:
    """[inputs, units] of every layer of an MLP with ReLU, float64."""
    tensors = {t.name: np.frombuffer(t.raw_data, np.float32).reshape(t.dims) for t in proto.graph.initializer}
    h = np.concatenate([feed["x"] for feed in feeds]).astype(np.float64)
    found = []
    for i in range(len(tensors) // 2):
        z = h @ tensors[f"fc{i}.weight"].T.astype(np.float64) + tensors[f"fc{i}.bias"]
        found.append(z)
        h = np.maximum(z, 0)
    return found


def test_moments_of_an_mlp():
    """Mean square, variance over inputs, similarity, dead and saturated shares are those of the values themselves."""
    proto = mlp((20, 30, 30, 5), bias=0.3)

    result = probed(proto, mode="forward")

    for z, signal in zip(preactivations(proto, result.feeds), result.signals, strict=True):
        q, s = np.mean(z**2), np.mean(np.var(z, axis=0, ddof=1))
        assert signal.mean_square == pytest.approx(q, rel=1e-4)
        assert signal.variance == pytest.approx(s, rel=1e-4)
        assert signal.similarity == pytest.approx(max(0.0, 1 - s / q), abs=1e-4)
        if signal.saturated is not None:
            assert signal.saturated == pytest.approx(np.mean(z <= 0), abs=1e-3)
            assert signal.dead == pytest.approx(np.mean((z <= 0).all(axis=0)), abs=1e-6)
            after = np.maximum(z, 0)
            assert signal.after.variance == pytest.approx(np.mean(np.var(after, axis=0, ddof=1)), rel=1e-4)


def test_tiny_variance_beside_a_large_mean():
    """A variance of 1e-10 of the mean square is measured, not lost in the subtraction of two large numbers."""
    w = np.random.default_rng(0).standard_normal((16, 16)) / 4 * 1e-5
    proto = mlp((16, 16, 4), change={"fc0.weight": lambda _: w, "fc0.bias": lambda b: b + 1.0})

    result = probed(proto, mode="forward")

    expected = float(np.mean(np.var(preactivations(proto, result.feeds)[0], axis=0, ddof=1)))
    assert result.signals[0].mean_square == pytest.approx(1.0, rel=1e-3)
    assert result.signals[0].variance == pytest.approx(expected, rel=0.02)
    assert result.signals[0].variance_resolved


def test_variance_below_float_resolution_is_called_so():
    """Where all inputs give the same float32 values, the variance is not resolved."""
    proto = mlp((16, 16, 4), draw=normal(1e-12), bias=1.0)

    signal = probed(proto, mode="forward").signals[0]

    assert not signal.variance_resolved
    assert signal.similarity == 1.0


@pytest.mark.parametrize("opset", [9, 10, 11, 17])
def test_dead_bias_kills_every_unit(opset: int):
    """A bias of -50 in front of ReLU leaves no unit active for any input, whatever the opset can express."""
    proto = mlp((16, 16, 4), change={"fc0.bias": lambda b: b - 50.0})
    proto.opset_import[0].version = opset

    signal = probed(proto, mode="forward").signals[0]

    assert signal.dead == 1.0
    assert signal.after.mean_square == 0.0


def test_saturated_share_of_tanh():
    """The share of z ~ N(0, sigma^2) with |z| > 2.99, where tanh has lost 99 % of its slope."""
    proto = mlp((400, 400, 4), "Tanh", normal(3 / 20))

    signal = probed(proto, mode="forward").signals[0]

    assert signal.saturated == pytest.approx(math.erfc(2.99 / 3 / math.sqrt(2)), abs=0.02)


def test_large_activations_are_sampled_without_bias():
    """Of an activation far larger than the sample, mean square is exact and variance within a few percent."""
    rng = np.random.default_rng(1)
    scale = rng.lognormal(size=(32, 1, 1, 1))
    w = (rng.standard_normal((32, 3, 3, 3)) * scale).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], "/conv", pads=[1, 1, 1, 1])
    proto = model([node], {"x": ["N", 3, 64, 64]}, ["y"], {"w": w})

    signal = probed(proto, mode="forward", spectrum="white").signals[0]  # a kernel's energy is that of white noise

    interior = float(np.mean(np.sum(w.astype(np.float64) ** 2, axis=(1, 2, 3))))
    border = 1 - 4 / 64 / 3  # share of the kernel that lies inside the image, to first order
    assert signal.mean_square == pytest.approx(interior * border, rel=0.03)
    assert signal.variance == pytest.approx(signal.mean_square, rel=0.05)


def test_batch_norm_at_its_defaults_uses_the_batch():
    """With running statistics (0, 1) the probe normalises by the batch, as training will; with others it does not."""

    def network(mean: float) -> object:
        tensors = {
            "w": (np.random.default_rng(2).standard_normal((8, 3, 3, 3)) * 7).astype(np.float32),
            "one": np.ones(8, np.float32), "zero": np.zeros(8, np.float32), "mean": np.full(8, mean, np.float32),
        }  # fmt: skip
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["c"], "/conv"),
            helper.make_node("BatchNormalization", ["c", "one", "zero", "mean", "one"], ["n"], "/bn"),
            helper.make_node("Relu", ["n"], ["y"], "/relu"),
        ]
        return model(nodes, {"x": ["N", 3, 16, 16]}, ["y"], tensors)

    fresh, trained = probed(network(0.0), mode="forward"), probed(network(0.1), mode="forward")

    assert fresh.answer["batch_norm"] == "batch"
    assert fresh.signals[0].mean_square == pytest.approx(1.0, rel=1e-3)
    assert fresh.signals[0].own.mean_square > 1000
    assert trained.answer["batch_norm"] == "running"
    assert trained.signals[0].mean_square > 1000


def test_overflow_names_the_node_that_makes_it():
    """Two layers of weights 1e25 overflow float32 in the second; the layers behind only pass it on."""
    proto = mlp((8, 8, 8, 8, 8), change={f"fc{i}.weight": lambda w: w * 1e25 for i in (1, 2)})

    result = probed(proto, mode="forward")

    assert [signal.nonfinite > 0 for signal in result.signals] == [False, False, True, True]
    assert result.answer["nonfinite_node"] == "/fc2/Gemm"


def test_same_seed_same_answer():
    """Two probes with the same seed agree to the last digit; another seed does not."""
    proto = mlp((12, 20, 4))

    first, second, other = (probed(proto, seed=seed).answer["signals"] for seed in (0, 0, 1))

    assert first == second
    assert first != other
