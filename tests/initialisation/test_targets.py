"""Targets: which scale a layer's weights should have, and why, from what follows it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from initaudit.extraction.extract import extract_layers
from initaudit.initialisation.schemes import SCHEMES
from initaudit.initialisation.targets import Target, target_for
from initaudit.model.load import load_model

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer

RNG = np.random.default_rng(0)


def layers_of(nodes: str, *, x: str = "N,8", **weights: tuple[int, ...]) -> list[Layer]:
    """Layers of a model with input x, whose other names are weights of the given shapes."""
    text = f'<ir_version: 9, opset_import: ["" : 20]> g (float[{x}] x) => (float[N] y) {{ {nodes} }}'
    model: onnx.ModelProto = parser.parse_model(text)
    for name, shape in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name))
    return list(extract_layers(load_model(model)).layers)


def target(nodes: str, **weights: tuple[int, ...]) -> Target:
    """Target of the first layer, 8 inputs and 32 outputs."""
    found = target_for(layers_of(f"h = MatMul(x, w) {nodes}", w=(8, 32), **weights)[0])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("nodes", "scheme", "std"),
    [
        ("y = Relu(h)", "he_normal", math.sqrt(2 / 8)),
        ("y = LeakyRelu <alpha = 0.2> (h)", "he_normal", math.sqrt(2 / 1.04 / 8)),
        ("y = Gelu(h)", "he_normal", 1.5335 / math.sqrt(8)),
        ("y = Elu(h)", "he_normal", 1.2452 / math.sqrt(8)),
        ("y = Selu(h)", "lecun_normal", math.sqrt(1 / 8)),
        ("y = Tanh(h)", "xavier_uniform", math.sqrt(2 / 40)),
        ("y = Sigmoid(h)", "xavier_uniform", math.sqrt(2 / 40)),
        ("y = Softsign(h)", "xavier_uniform", math.sqrt(2 / 40)),
        ("y = Softmax(h)", "xavier_uniform", math.sqrt(2 / 40)),
        ("y = Identity(h)", "xavier_uniform", math.sqrt(2 / 40)),
        ("p = MatMul(h, v) y = Relu(p)", "xavier_uniform", math.sqrt(2 / 40)),
        ("t = Transpose(h) y = MatMul(h, t)", "xavier_uniform", math.sqrt(2 / 40)),
    ],
)
def test_the_activation_decides(nodes: str, scheme: str, std: float) -> None:
    """He with the gain of the activation, LeCun for SELU, Xavier where the layer is linear or the activation bounded."""
    found = target(nodes, **({"v": (32, 4)} if "v)" in nodes else {}))

    assert found.scheme == scheme
    assert found.std == pytest.approx(std, rel=1e-3)
    assert found.scheme in SCHEMES


def test_the_reason_has_the_numbers() -> None:
    """One sentence: the cause, the formula with this layer's fans, the result, the paper."""
    found = target("y = Relu(h)")

    assert found.why == "relu halves the second moment (He et al. 2015, eq. 10), so std = sqrt(2/8) = 0.5."


def test_a_gated_linear_unit_makes_up_for_its_gate() -> None:
    """E[a^2 sigmoid(b)^2] = 0.2934 for unit a and b; checked by simulation."""
    found = target(
        "n = Constant <value_ints = [16, 16]> () a, b = Split <axis = 1> (h, n) p = Sigmoid(b) y = Mul(a, p)"
    )
    a, b = np.random.default_rng(0).normal(size=(2, 400_000))

    assert np.mean((a / (1 + np.exp(-b))) ** 2) * found.gain**2 == pytest.approx(1, rel=0.01)
    assert found.std == pytest.approx(found.gain / math.sqrt(8))


def test_the_last_layer_of_a_residual_branch_is_smaller() -> None:
    """Each of L branches adds its variance to the stream: std / sqrt(L), as in GPT-2."""
    first, last = layers_of("p = MatMul(x, w) q = Relu(p) h = MatMul(q, v) y = Add(h, x)", w=(8, 32), v=(32, 8))
    alone, many = target_for(last, residual_branches=1), target_for(last, residual_branches=16)
    inner = target_for(first, residual_branches=16)

    assert alone is not None
    assert many is not None
    assert inner is not None
    assert many.std == pytest.approx(alone.std / 4)
    assert inner.std == pytest.approx(math.sqrt(2 / 8))


def test_recurrent_weights_are_orthogonal_and_input_weights_xavier() -> None:
    """Per gate: R is applied at every step, W once."""
    layers = layers_of("o, y = LSTM <hidden_size = 12> (x, w, r)", x="T,N,8", w=(1, 48, 8), r=(1, 48, 12))
    targets = {(layer.role, t.scheme, round(t.std, 6)) for layer in layers if (t := target_for(layer)) is not None}

    assert targets == {("W", "xavier_uniform", round(math.sqrt(2 / 20), 6)), ("R", "orthogonal", round(12**-0.5, 6))}


def test_the_stride_of_a_transposed_convolution_thins_its_inputs() -> None:
    """Stride 2 in two axes: a quarter of the 4x4 kernel's taps meet an input at each output."""
    layer = layers_of("h = ConvTranspose <strides = [2, 2]> (x, w) y = Relu(h)", x="N,8,5,5", w=(8, 16, 4, 4))[0]

    found = target_for(layer)

    assert found is not None
    assert layer.fan_in == 8 * 16
    assert found.std == pytest.approx(math.sqrt(2 / (8 * 16 / 4)))
    assert "(128/4)" in found.why


def test_each_input_of_a_patch_embedding_enters_one_patch() -> None:
    """Kernel 4 at stride 4: 12 units read each value, so the balanced std is that of the linear layer 48 -> 12; the fans stay classical."""
    layer = layers_of("h = Conv <strides = [4, 4]> (x, w) y = Tanh(h)", x="N,3,8,8", w=(12, 3, 4, 4))[0]

    found = target_for(layer)

    assert found is not None
    assert (layer.fan_in, layer.fan_out) == (48, 192)
    assert found.std == pytest.approx(math.sqrt(2 / (48 + 12)))
    assert "(192/16)" in found.why


def test_the_effective_fan_keeps_the_signal() -> None:
    """A transposed convolution with the target's std before ReLU gives outputs of variance 2: counted by brute force."""
    layer = layers_of("h = ConvTranspose <strides = [2]> (x, w) y = Relu(h)", x="N,8,64", w=(8, 16, 4))[0]
    found = target_for(layer)
    assert found is not None
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(8, 64)), rng.normal(size=(8, 16, 4)) * found.std
    out = np.zeros((16, 2 * 63 + 4))
    for position in range(64):
        out[:, 2 * position : 2 * position + 4] += np.einsum("c,cmk->mk", x[:, position], weight)

    assert np.mean(out[:, 4:-4] ** 2) == pytest.approx(2, rel=0.2)


def test_a_norm_behind_the_layer_is_mentioned() -> None:
    """The target stands, and the reason says that the forward signal does not depend on it."""
    found = target("p = LayerNormalization(h, g) y = Relu(p)", g=(32,))

    assert found.std == pytest.approx(0.5)
    assert "layer_norm" in found.why


def test_an_embedding_is_judged_by_what_follows() -> None:
    """Rows that enter the network as they are have unit variance; in front of a norm no scale is wrong."""
    plain = layers_of("i = Cast <to = 7> (x) e = Gather(t, i) y = MatMul(e, w)", x="N", t=(50, 8), w=(8, 4))[0]
    normed = layers_of("i = Cast <to = 7> (x) e = Gather(t, i) y = LayerNormalization(e, g)", x="N", t=(50, 8), g=(8,))[
        0
    ]
    found = target_for(plain)

    assert plain.kind == "embedding"
    assert found is not None
    assert found.std == 1.0
    assert target_for(normed) is None


def test_what_has_no_scale_has_no_target() -> None:
    """Scales of norms and slopes of a PReLU start at a constant."""
    layers = layers_of("p = MatMul(x, w) q = LayerNormalization(p, g) y = PRelu(q, s)", w=(8, 32), g=(32,), s=(32,))
    without = {layer.kind for layer in layers if target_for(layer) is None}

    assert without == {"norm", "scale"}


def test_a_function_without_a_gain_is_treated_as_linear() -> None:
    """The logarithm of a normal value is no number; the reason says so."""
    found = target("y = Log(h)")

    assert found.scheme == "xavier_uniform"
    assert "no gain" in found.why


@pytest.mark.parametrize(("nodes", "std"), [("Softplus(s)", 0.36849), ("Tanh(s)", math.sqrt(2 / 40))])
def test_a_factor_before_the_activation_is_taken_off_the_weights(nodes: str, std: float) -> None:
    """What follows sees a unit signal only if W is 30 times smaller."""
    found = target(f"k = Constant <value = float {{30.0}}> () s = Mul(k, h) y = {nodes}")

    assert found.std == pytest.approx(std / 30, rel=1e-3)
    assert "30" in found.why


@pytest.mark.parametrize("nodes", ["k = Constant <value = float {30.0}> () s = Mul(k, h) y = Sin(s)", "y = Sin(h)"])
def test_the_first_of_sines_is_drawn_from_a_law_of_its_own(nodes: str) -> None:
    """U(+-1/n) where the coordinates enter, whatever the factor behind it (Sitzmann et al. 2020, section 3.2)."""
    found = target(nodes)

    assert found.std == pytest.approx(1 / (math.sqrt(3) * 8), rel=1e-6)
