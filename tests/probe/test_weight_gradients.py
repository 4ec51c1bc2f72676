"""Weight gradients of recurrent, packed, looked-up and fused weights and of factors, against closed forms and plain twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.networks import model
from tests.probe.probing import Probed, probed

HIDDEN, INPUTS, STEPS, ANSWERS = 12, 6, 10, 40


def by_name(result: Probed) -> dict[str, float]:
    """|dL/dW|_F by layer."""
    return {layer.name: signal.weight_gradient for layer, signal in zip(result.layers, result.signals, strict=True)}


def rms(ratios: list[float]) -> float:
    return math.sqrt(np.mean((np.array(ratios) - 1) ** 2))


def rnn(scale: float, steps: int = STEPS, *, direction: str = "forward", activation: str = "Tanh") -> ModelProto:
    """An RNN whose last state a linear layer reads; `scale` is the spectral radius of R. x is [steps, N, inputs]."""
    rng = np.random.default_rng(5)
    count = 2 if direction == "bidirectional" else 1
    more = {"activation_alpha": [1.0], "activation_beta": [0.0]} if activation == "Affine" else {}
    recurrent = np.stack([np.linalg.qr(rng.standard_normal((HIDDEN, HIDDEN)))[0] * scale for _ in range(count)])
    tensors = {
        "W": rng.standard_normal((count, HIDDEN, INPUTS)).astype(np.float32) * np.float32(0.4),
        "R": recurrent.astype(np.float32),
        "head": rng.standard_normal((count * HIDDEN, ANSWERS)).astype(np.float32),
        "shape": np.array([-1, count * HIDDEN]),
    }
    nodes = [
        helper.make_node("RNN", ["x", "W", "R"], ["", "last"], "rnn", hidden_size=HIDDEN, direction=direction, activations=[activation] * count, **more),
        helper.make_node("Transpose", ["last"], ["moved"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["moved", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["y"], "head"),
    ]  # fmt: skip
    return model(nodes, {"x": [steps, "N", INPUTS]}, ["y"], tensors)


def through_time(proto: ModelProto, feeds: list[np.ndarray], direction: int = 0) -> tuple[float, float]:
    """|dL/dW| and |dL/dR| by backpropagation through time, in float64, root mean square over the inputs."""
    tensors = {t.name: np.frombuffer(t.raw_data, np.float32).reshape(t.dims).astype(np.float64) for t in proto.graph.initializer if t.name != "shape"}  # fmt: skip
    w, r = tensors["W"][direction], tensors["R"][direction]
    head = tensors["head"][direction * HIDDEN : (direction + 1) * HIDDEN]
    squares = []
    for x in feeds:
        sequence = x[:, 0].astype(np.float64)[:: -1 if direction else 1]
        states = [np.zeros(HIDDEN)]
        for entering in sequence:
            states.append(np.tanh(w @ entering + r @ states[-1]))
        by_w, by_r = np.zeros((ANSWERS, *w.shape)), np.zeros((ANSWERS, *r.shape))
        back = head.T.copy()
        for t in range(len(sequence), 0, -1):
            back = back * (1 - states[t] ** 2)
            by_w += np.einsum("oh,i->ohi", back, sequence[t - 1])
            by_r += np.einsum("oh,i->ohi", back, states[t - 1])
            back = back @ r
        squares.append((np.sum(by_w**2), np.sum(by_r**2)))
    return tuple(np.sqrt(np.mean(squares, axis=0)))


@pytest.mark.parametrize("scale", [0.2, 1.0, 1.6])
def test_recurrent_weights_learn_through_time(scale: float):
    """The gradients of W and R are those of backpropagation through time, where it vanishes and where it does not."""
    proto = rnn(scale, 24)

    result = probed(proto)

    exact = through_time(proto, [feed["x"] for feed in result.feeds])
    found = by_name(result)
    assert rms([found["W[W]"] / exact[0], found["R[R]"] / exact[1]]) < 0.2


def test_a_long_sequence_is_followed_for_few_changes_alone():
    """Of a thousand steps two changes of each weight are followed; that no more are drawn says nothing of the gradient."""
    proto = rnn(0.9, 1024)

    result = probed(proto)

    exact = through_time(proto, [feed["x"] for feed in result.feeds])
    found = by_name(result)
    assert abs(math.log10(found["W[W]"] / exact[0])) < 0.3
    assert abs(math.log10(found["R[R]"] / exact[1])) < 0.3


def test_a_decoder_that_reads_a_constant_sequence_learns_from_its_first_state():
    """x enters as the state before the first step, through A: with x = 0 the states follow from the constant sequence alone, and so does |dL/dW|."""
    rng = np.random.default_rng(3)
    fed = rng.standard_normal((STEPS, 1, INPUTS)).astype(np.float32)
    decoder = rnn(0.5)
    decoder.graph.initializer.extend(
        [
            numpy_helper.from_array(fed, "fed"),
            numpy_helper.from_array(np.zeros((INPUTS, HIDDEN), np.float32), "A"),
            numpy_helper.from_array(np.array([0]), "axis"),
        ]
    )
    decoder.graph.node[0].input[:] = ["same", "W", "R", "", "", "before"]
    enter = [
        helper.make_node("Identity", ["fed"], ["same"]),
        helper.make_node("MatMul", ["x", "A"], ["flat_state"], "enter"),
        helper.make_node("Unsqueeze", ["flat_state", "axis"], ["before"]),
    ]
    nodes = [*enter, *decoder.graph.node]
    del decoder.graph.node[:], decoder.graph.input[:]
    decoder.graph.node.extend(nodes)
    decoder.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, INPUTS]))

    measured = by_name(probed(decoder))

    exact, _ = through_time(rnn(0.5), [fed])
    assert measured["W[W]"] == pytest.approx(exact, rel=0.3)


def test_each_direction_has_its_own_gradient():
    """Of a bidirectional cell the second half of the weights reads the sequence from its end."""
    proto = rnn(0.9, direction="bidirectional")

    result = probed(proto)

    feeds = [feed["x"] for feed in result.feeds]
    found = by_name(result)
    ratios = [
        found[f"{weight}[{weight} {name}]"] / exact
        for direction, name in enumerate(("forward", "reverse"))
        for weight, exact in zip("WR", through_time(proto, feeds, direction), strict=True)
    ]
    assert rms(ratios) < 0.2


@pytest.mark.parametrize("radius", [0.3, 1.0, 3.0])
def test_memory_of_a_linear_recurrence(radius: float):
    """h' = W x + R h with R a rotation times rho: rho is left of a change in each step, over dozens of decades in all."""
    result = probed(rnn(radius, 64, activation="Affine"))

    memories = [signal.memory for signal in result.signals if signal.memory is not None]
    assert len(memories) == 1
    assert memories[0] == pytest.approx(radius, rel=0.01)


def lstm(taken_apart: bool) -> ModelProto:
    """An LSTM over given lengths, which runs in one go, or over whole sequences, which runs step by step; both are the same."""
    rng = np.random.default_rng(9)
    tensors = {
        "W": rng.normal(0, 0.5, (1, 4 * HIDDEN, INPUTS)).astype(np.float32),
        "R": rng.normal(0, 0.3, (1, 4 * HIDDEN, HIDDEN)).astype(np.float32),
        "head": rng.standard_normal((HIDDEN, ANSWERS)).astype(np.float32),
        "lengths": np.full(1, STEPS, np.int32),
        "axis": np.array([0]),
    }
    given = ["x", "W", "R", "", "" if taken_apart else "lengths"]
    nodes = [
        helper.make_node("LSTM", given, ["", "last"], "lstm", hidden_size=HIDDEN),
        helper.make_node("Squeeze", ["last", "axis"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["y"], "head"),
    ]
    return model(nodes, {"x": [STEPS, 1, INPUTS]}, ["y"], tensors)


def test_a_cell_that_cannot_be_taken_apart_runs_in_one_go():
    """Sequences with lengths of their own: the whole operator answers to the step, gate by gate as where it is run step by step."""
    whole, stepwise = by_name(probed(lstm(taken_apart=False))), by_name(probed(lstm(taken_apart=True)))

    assert len(whole) == 9
    assert rms([whole[name] / stepwise[name] for name in whole]) < 0.25


def attention(form: str) -> ModelProto:
    """Self-attention with separate weights for q, k and v, or one for all three that a Split or the fused operator takes apart."""
    rng = np.random.default_rng(2)
    width, tokens = 8, 16
    parts = {n: rng.normal(0, 0.5, (width, width)).astype(np.float32) for n in "qkv"}
    packed = np.concatenate(list(parts.values()), axis=1)
    tensors = {"head": rng.standard_normal((width, 5)).astype(np.float32), "last": np.array([0, 2, 1])}
    score = [
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["qk"]),
        helper.make_node("Mul", ["qk", "scale"], ["scaled"]),
        helper.make_node("Softmax", ["scaled"], ["weights"]),
        helper.make_node("MatMul", ["weights", "v"], ["mixed"]),
    ]
    tensors["scale"] = np.array(1 / math.sqrt(width), np.float32)
    if form == "separate":
        tensors |= parts
        nodes = [helper.make_node("MatMul", ["x", f"{n}"], [f"{n}_out"], f"{n}") for n in "qkv"]
        for node in nodes:
            node.input[1] = f"w_{node.input[1]}"
            node.output[0] = node.name
        tensors = {(f"w_{n}" if n in parts else n): a for n, a in tensors.items()}
        nodes += score
    elif form == "split":
        tensors |= {"packed": packed, "bias": np.zeros(3 * width, np.float32)}
        nodes = [
            helper.make_node("MatMul", ["x", "packed"], ["product"], "qkv"),
            helper.make_node("Add", ["product", "bias"], ["qkv_out"]),
            helper.make_node("Split", ["qkv_out"], ["q", "k", "v"], axis=-1),
            *score,
        ]
    else:
        tensors |= {"packed": packed, "bias": np.zeros(3 * width, np.float32)}
        nodes = [
            helper.make_node(
                "Attention", ["x", "packed", "bias"], ["mixed"], "qkv", domain="com.microsoft", num_heads=1
            )
        ]
    nodes.append(helper.make_node("MatMul", ["mixed", "head"], ["y"], "head"))
    used = {name for node in nodes for name in node.input}
    kept = {name: array for name, array in tensors.items() if name in used}
    return model(nodes, {"x": [1, tokens, width]}, ["y"], kept, domains=["com.microsoft"])


@pytest.mark.parametrize("form", ["split", "fused"])
def test_packed_queries_keys_and_values(form: str):
    """The same numbers packed into one weight have the same gradients, part by part."""
    plain = by_name(probed(attention("separate")))

    packed = by_name(probed(attention(form)))

    assert rms([packed[f"qkv[{part}]"] / plain[part] for part in "qkv"]) < 0.3


@pytest.mark.parametrize("integers", [TensorProto.INT64, TensorProto.INT32])
def test_rows_that_are_looked_up(integers: int):
    """y = E[ids] W: each row read gets the cotangent sent back through W, so that |dL/dE|^2 = |W|^2 per position, once per id."""
    rng = np.random.default_rng(4)
    table, head = rng.standard_normal((50, 8)), rng.standard_normal((8, 6))
    tensors = {"E": table.astype(np.float32), "W": head.astype(np.float32), "ids": np.array([[3, 7, 11, 20]])}
    nodes = [
        helper.make_node("Gather", ["E", "tokens"], ["e"], "look"),
        helper.make_node("MatMul", ["e", "W"], ["y"], "head"),
    ]
    proto = model(nodes, {}, ["y"], {name: tensors[name] for name in ("E", "W")})
    proto.graph.input.append(helper.make_tensor_value_info("tokens", integers, [1, 4]))

    result = probed(proto)

    positions = 4  # ids that occur twice would add up; 4 of 50 seldom do
    assert by_name(result)["look"] == pytest.approx(math.sqrt(positions * np.sum(head**2)), rel=0.2)


@pytest.mark.parametrize("gamma", [1.0, 1e-3, 0.0])
def test_the_scale_of_a_norm_is_a_weight(gamma: float):
    """y = (gamma x^) W: |dL/dgamma|^2 is the sum of x^_i^2 |W_i|^2, whatever gamma is; x^ has mean square 1."""
    rng = np.random.default_rng(6)
    head = rng.standard_normal((16, 10)).astype(np.float32)
    tensors = {"g": np.full(16, gamma, np.float32), "b": np.zeros(16, np.float32), "W": head}
    nodes = [
        helper.make_node("LayerNormalization", ["x", "g", "b"], ["n"], "norm"),
        helper.make_node("MatMul", ["n", "W"], ["y"], "head"),
    ]

    result = probed(model(nodes, {"x": ["N", 16]}, ["y"], tensors), factors=True)

    assert by_name(result)["norm"] == pytest.approx(math.sqrt(np.sum(head.astype(np.float64) ** 2)), rel=0.2)
