"""The backward probe against exact backpropagation in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import ModelProto, helper

from tests.networks import he, mlp, model, normal, xavier
from tests.probe.probing import Probed, probed

SLOPES = {
    "Relu": lambda z: (z > 0).astype(float),
    "Tanh": lambda z: 1 - np.tanh(z) ** 2,
    "Sigmoid": lambda z: 0.25 / np.cosh(z / 2) ** 2,
}
FUNCTIONS = {"Relu": lambda z: np.maximum(z, 0), "Tanh": np.tanh, "Sigmoid": lambda z: 1 / (1 + np.exp(-z))}


def stored(proto: ModelProto) -> dict[str, np.ndarray]:
    """Float64 weights by name."""
    return {
        t.name: np.frombuffer(t.raw_data, np.float32).reshape(t.dims).astype(np.float64)
        for t in proto.graph.initializer
    }


def exact(
    matrices: list[np.ndarray], biases: list[np.ndarray], activation: str, feeds: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square gradient at each z, and |dL/dW|_F, for a cotangent N(0, I), over the inputs.

    |J|_F^2 / n with J = dy/dz by the chain rule; |dL/dW|^2 is |gradient|^2 |x|^2.
    """
    gradients, weights = [], []
    for x in feeds:
        h, inputs, slopes = x, [], []
        for w, b in zip(matrices, biases, strict=True):
            inputs.append(h)
            z = w @ h + b
            slopes.append(SLOPES[activation](z))
            h = FUNCTIONS[activation](z)
        jacobian = np.eye(len(matrices[-1]))
        squares = []
        for w, slope in zip(matrices[::-1], [*slopes[-2::-1], None], strict=True):
            squares.append(np.sum(jacobian**2))
            if slope is not None:
                jacobian = jacobian @ w * slope
        squares.reverse()
        gradients.append([s / len(w) for s, w in zip(squares, matrices, strict=True)])
        weights.append([s * np.sum(i**2) for s, i in zip(squares, inputs, strict=True)])
    return np.sqrt(np.mean(gradients, axis=0)), np.sqrt(np.mean(weights, axis=0))


def compare(proto: ModelProto, result: Probed, activation: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measured over exact, for gradients and weight gradients, and the exact gradients."""
    tensors = stored(proto)
    count = len(tensors) // 2
    gradients, weights = exact(
        [tensors[f"fc{i}.weight"] for i in range(count)], [tensors[f"fc{i}.bias"] for i in range(count)],
        activation, [feed["x"][0].astype(np.float64) for feed in result.feeds],
    )  # fmt: skip
    measured = np.array([signal.gradient_rms for signal in result.signals])
    of_weights = np.array([signal.weight_gradient for signal in result.signals])
    return measured / gradients, of_weights / weights, gradients


def rms(ratio: np.ndarray) -> float:
    return math.sqrt(np.mean((ratio - 1) ** 2))


@pytest.mark.parametrize(
    ("activation", "draw", "depth", "decades"),
    [
        ("Relu", he, 12, 0),
        ("Tanh", xavier, 20, 0),
        ("Tanh", normal(3 / math.sqrt(40)), 12, 0),
        ("Relu", normal(0.3 / math.sqrt(40)), 14, 8),
        ("Sigmoid", xavier, 16, 8),
    ],
    ids=["relu-he", "tanh-xavier", "tanh-chaotic", "relu-small", "sigmoid-xavier"],
)
def test_gradients_of_mlps(activation: str, draw: object, depth: int, decades: float):
    """Within 15 % of backpropagation in the mean over layers, over eight decades and more."""
    proto = mlp((40,) * depth + (10,), activation, draw)

    result = probed(proto)

    gradient, weight, size = compare(proto, result, activation)
    assert math.log10(size.max() / size.min()) >= decades
    assert rms(gradient) < 0.15
    assert rms(weight) < 0.15
    assert all(signal.gradient_resolved for signal in result.signals)


def test_gradient_behind_biases_that_dominate():
    """Biases of 1 keep the values up while the gradient falls by 1e-9: far below what float32 resolves in one run."""
    proto = mlp((32,) * 14 + (8,), "Tanh", normal(0.5 / math.sqrt(32)), bias=1.0)

    result = probed(proto)

    gradient, _, size = compare(proto, result, "Tanh")
    assert size.max() / size.min() > 1e8
    assert rms(gradient) < 0.15


def test_own_error_estimate():
    """The relative standard error covers the true error: their ratio is about 1 in the mean over layers."""
    proto = mlp((32,) * 10 + (1,), "Tanh", xavier)

    result = probed(proto)

    gradient, _, _ = compare(proto, result, "Tanh")
    errors = np.array([signal.gradient_error for signal in result.signals[:-1]])
    assert np.sqrt(np.mean(((gradient[:-1] - 1) / errors) ** 2)) < 2.5


def test_no_gradient_behind_a_dead_layer():
    """A layer whose ReLUs are all off lets nothing back."""
    proto = mlp((16, 16, 16, 4), change={"fc1.bias": lambda b: b - 50.0})

    signals = probed(proto).signals

    assert signals[0].gradient_rms == 0.0
    assert signals[1].gradient_rms == 0.0
    assert not signals[0].gradient_resolved
    assert signals[2].gradient_rms > 0


def toeplitz(w: np.ndarray, length: int) -> np.ndarray:
    """The matrix of a 1-D convolution with padding 1 on channels times positions."""
    out, channels, width = w.shape
    matrix = np.zeros((out, length, channels, length))
    for position in range(length):
        for k in range(width):
            source = position + k - width // 2
            if 0 <= source < length:
                matrix[:, position, :, source] = w[:, :, k]
    return matrix.reshape(out * length, channels * length)


def conv_net(channels: int, length: int, depth: int, batch: int | str, std: float) -> ModelProto:
    """1-D convolutions of width 3 with tanh between them."""
    rng = np.random.default_rng(3)
    nodes, tensors, value = [], {}, "x"
    for i in range(depth):
        tensors[f"fc{i}.weight"] = (rng.standard_normal((channels, channels, 3)) * std).astype(np.float32)
        tensors[f"fc{i}.bias"] = np.zeros(channels, np.float32)
        out = "y" if i == depth - 1 else f"z{i}"
        node = helper.make_node("Conv", [value, f"fc{i}.weight", f"fc{i}.bias"], [out], f"/conv{i}", pads=[1, 1])
        nodes.append(node)
        if i < depth - 1:
            value = f"a{i}"
            nodes.append(helper.make_node("Tanh", [out], [value], f"/tanh{i}"))
    return model(nodes, {"x": [batch, channels, length]}, ["y"], tensors)


@pytest.mark.parametrize("batch", ["N", 1])
def test_gradients_of_convolutions(batch: int | str):
    """Within 15 %, weights shared over positions included, whether the file leaves the batch open or fixes it."""
    channels, length, depth = 6, 12, 8
    proto = conv_net(channels, length, depth, batch, 0.5 / math.sqrt(3 * channels))

    result = probed(proto)

    tensors = stored(proto)
    matrices = [toeplitz(tensors[f"fc{i}.weight"], length) for i in range(depth)]
    feeds = [feed["x"].astype(np.float64).ravel() for feed in result.feeds]
    gradients, _ = exact(matrices, [np.zeros(channels * length)] * depth, "Tanh", feeds)
    measured = np.array([signal.gradient_rms for signal in result.signals])
    assert rms(measured / gradients) < 0.15
    weights = [_conv_weight_gradient(matrices, feeds, i, channels, length) for i in range(depth)]
    assert rms(np.array([signal.weight_gradient for signal in result.signals]) / weights) < 0.15


def _conv_weight_gradient(matrices, feeds, layer, channels, length) -> float:
    """|dL/dW|_F by the chain rule: dL/dW[o, c, k] sums gradient times input over positions."""
    total = []
    for x in feeds:
        h, inputs, slopes = x, [], []
        for w in matrices:
            inputs.append(h)
            slopes.append(SLOPES["Tanh"](w @ h))
            h = np.tanh(w @ h)
        jacobian = np.eye(channels * length)
        for i in range(len(matrices) - 1, layer, -1):
            jacobian = jacobian @ matrices[i] * slopes[i - 1]
        gradient = jacobian.reshape(-1, channels, length)
        source = np.pad(inputs[layer].reshape(channels, length), ((0, 0), (1, 1)))
        windows = np.stack([source[:, k : k + length] for k in range(3)])
        total.append(np.sum(np.einsum("uop,kcp->uock", gradient, windows) ** 2))
    return math.sqrt(np.mean(total))


def test_residual_network_of_parts():
    """A skip connection adds 1 to the Jacobian; the parts of a packed product are perturbed one at a time."""
    rng = np.random.default_rng(4)
    width = 24
    a, b = (rng.standard_normal((width, width)) / math.sqrt(width) for _ in range(2))
    nodes = [
        helper.make_node("Gemm", ["x", "a"], ["h"], "/a", transB=1),
        helper.make_node("Gemm", ["h", "b"], ["r"], "/b", transB=1),
        helper.make_node("Add", ["h", "r"], ["y"], "/add"),
    ]
    proto = model(nodes, {"x": ["N", width]}, ["y"], {"a": a.astype(np.float32), "b": b.astype(np.float32)})

    signals = probed(proto).signals

    assert signals[0].gradient_rms == pytest.approx(np.linalg.norm(np.eye(width) + b) / math.sqrt(width), rel=0.15)
    assert signals[1].gradient_rms == pytest.approx(1.0, rel=1e-3)


def test_inputs_that_are_mixed_are_run_one_at_a_time():
    """y = Q (z + mean of z over the batch), Q orthogonal: for a single input dy/dz is 2 Q, whatever others do to it."""
    rng = np.random.default_rng(5)
    a, q = (np.linalg.qr(rng.standard_normal((24, 24)))[0].astype(np.float32) for _ in range(2))
    nodes = [
        helper.make_node("Gemm", ["x", "a"], ["z"], "/a", transB=1),
        helper.make_node("ReduceMean", ["z"], ["mean"], "/mean", axes=[0]),
        helper.make_node("Add", ["z", "mean"], ["h"], "/add"),
        helper.make_node("Gemm", ["h", "q"], ["y"], "/q", transB=1),
    ]

    signals = probed(model(nodes, {"x": ["N", 24]}, ["y"], {"a": a, "q": q})).signals

    assert signals[0].gradient_rms == pytest.approx(2.0, rel=1e-3)


def test_a_number_without_axes_passes_between_the_pieces():
    """y = (B z) times the mean of z: dy_i/dz_j = m B_ij + (B z)_i / n, with the mean m carried past the layer B."""
    rng = np.random.default_rng(7)
    width = 24
    a, b = (np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32) for _ in range(2))
    nodes = [
        helper.make_node("Gemm", ["x", "a"], ["z"], "/a", transB=1),
        helper.make_node("ReduceMean", ["z"], ["m"], "/mean", keepdims=0),
        helper.make_node("Gemm", ["z", "b"], ["h"], "/b", transB=1),
        helper.make_node("Mul", ["h", "m"], ["y"], "/mul"),
    ]

    result = probed(model(nodes, {"x": [1, width]}, ["y"], {"a": a, "b": b}))

    squares = []
    for feed in result.feeds:
        z = a @ feed["x"][0]
        squares.append(np.sum((z.mean() * b + (b @ z)[:, None] / width) ** 2) / width)
    assert result.signals[0].gradient_rms == pytest.approx(math.sqrt(np.mean(squares)), rel=0.25)


def test_codes_that_stand_for_no_numbers_have_no_gradient():
    """They choose rows of a table: rounding has no derivative, and the probe says so instead of measuring stairs."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "/fc"),
        helper.make_node("QuantizeLinear", ["h", "s", "z"], ["q"]),
        helper.make_node("Cast", ["q"], ["rows"], to=7),
        helper.make_node("Gather", ["table", "rows"], ["y"], "/table"),
    ]
    rng = np.random.default_rng(0)
    tensors = {
        "s": np.float32(0.05), "z": np.uint8(128), "w": he((8, 8), rng).astype(np.float32),
        "table": rng.normal(size=(256, 8)).astype(np.float32),
    }  # fmt: skip

    result = probed(model(nodes, {"x": ["N", 8]}, ["y"], tensors))

    assert all(signal.gradient_rms is None for signal in result.signals)
    assert any("integers" in note for note in result.answer["notes"])


def test_a_single_number_passes_between_the_pieces_of_a_network():
    """A mean over everything, which multiplies the last layer, carries the gradient of the first."""
    rng = np.random.default_rng(0)
    tensors = {f"w{i}": he((16, 16), rng).astype(np.float32) for i in range(3)}
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], "first"),
        helper.make_node("MatMul", ["a", "w1"], ["b"], "second"),
        helper.make_node("ReduceMean", ["a"], ["here"], "here", keepdims=0),
        helper.make_node("ReduceMean", ["b"], ["there"], "there", keepdims=0),
        helper.make_node("Sub", ["here", "there"], ["mean"], "difference"),
        helper.make_node("MatMul", ["x", "w2"], ["c"], "third"),
        helper.make_node("Mul", ["c", "mean"], ["y"], "scaled"),
    ]

    result = probed(model(nodes, {"x": [1, 16]}, ["y"], tensors))

    assert all(signal.gradient_rms for signal in result.signals)
