"""Every activation is recognised in whatever way an exporter writes it, with its parameters."""

from __future__ import annotations

import numpy as np
import pytest

from initaudit.activations import follow
from tests.activations.behind import behind, graph_of, number

HALF, ONE, TWO, THREE, SIX, ZERO = (number(n, v) for n, v in zip("abcdez", (0.5, 1, 2, 3, 6, 0), strict=True))
ROOT, INVERSE = number("r", 2**0.5), number("r", 2**-0.5)
CUBIC, SCALE = number("k", 0.044715), number("s", 0.7978845608)

OPERATORS = [
    ("Relu(h)", "relu", {}),
    ("LeakyRelu <alpha = 0.2> (h)", "leaky_relu", {"negative_slope": 0.2}),
    ("LeakyRelu(h)", "leaky_relu", {}),
    ("Elu(h)", "elu", {}),
    ("Elu <alpha = 0.5> (h)", "elu", {"alpha": 0.5}),
    ("Celu(h)", "celu", {}),
    ("Celu <alpha = 1.3> (h)", "celu", {"alpha": 1.3}),
    ("Selu(h)", "selu", {}),
    ("Gelu(h)", "gelu", {}),
    ('Gelu <approximate = "tanh"> (h)', "gelu_tanh", {}),
    ("Mish(h)", "mish", {}),
    ("HardSwish(h)", "hardswish", {}),
    ("HardSigmoid <alpha = 0.16666667> (h)", "hardsigmoid", {}),
    ("HardSigmoid(h)", "hardsigmoid", {"alpha": 0.2}),
    ("Sigmoid(h)", "sigmoid", {}),
    ("Tanh(h)", "tanh", {}),
    ("Softplus(h)", "softplus", {}),
    ("Softsign(h)", "softsign", {}),
    ("Sin(h)", "sin", {}),
    ("Cos(h)", "cos", {}),
    ("Abs(h)", "abs", {}),
    ("ThresholdedRelu <alpha = 0.7> (h)", "threshold", {"threshold": 0.7, "value": 0.0}),
    ("Shrink <lambd = 0.3, bias = 0.3> (h)", "softshrink", {"lambd": 0.3}),
    ("Shrink <lambd = 0.3> (h)", "hardshrink", {"lambd": 0.3}),
    ("com.microsoft.Gelu(h)", "gelu", {}),
    ("com.microsoft.QuickGelu(h)", "quick_gelu", {}),
    ("com.microsoft.FastGelu(h)", "gelu_tanh", {}),
]

WRITTEN_OUT = {
    "gelu, torch": (f"{ROOT} {ONE} {HALF} p = Div(h, r) q = Erf(p) t = Add(q, b) u = Mul(h, t) y = Mul(u, a)", "gelu", {}),
    "gelu, constants first": (f"{INVERSE} {ONE} {HALF} p = Mul(r, h) q = Erf(p) t = Add(b, q) u = Mul(a, h) y = Mul(u, t)", "gelu", {}),
    "gelu tanh, Pow": (
        (f"{THREE} {CUBIC} {SCALE} {ONE} {HALF} p = Pow(h, d) q = Mul(p, k) t = Add(h, q) u = Mul(t, s) "
        "i = Tanh(u) j = Add(i, b) l = Mul(h, j) y = Mul(l, a)"), "gelu_tanh", {},
    ),
    "gelu tanh, Mul Mul": (
        (f"{CUBIC} {SCALE} {ONE} {HALF} o = Mul(h, h) p = Mul(o, h) q = Mul(k, p) t = Add(q, h) u = Mul(s, t) "
        "i = Tanh(u) j = Add(b, i) l = Mul(a, h) y = Mul(l, j)"), "gelu_tanh", {},
    ),
    "silu": ("p = Sigmoid(h) y = Mul(h, p)", "silu", {}),
    "silu, swapped": ("p = Sigmoid(h) y = Mul(p, h)", "silu", {}),
    "swish with a slope": (f"{TWO} q = Mul(h, c) p = Sigmoid(q) y = Mul(h, p)", "silu", {"beta": 2.0}),
    "quick gelu": (f"{number('q', 1.702)} p = Mul(h, q) t = Sigmoid(p) y = Mul(h, t)", "quick_gelu", {}),
    "mish": ("p = Softplus(h) q = Tanh(p) y = Mul(h, q)", "mish", {}),
    "mish, logarithm": (f"{ONE} o = Exp(h) p = Add(o, b) q = Log(p) t = Tanh(q) y = Mul(h, t)", "mish", {}),
    "softplus": (f"{ONE} o = Exp(h) p = Add(o, b) y = Log(p)", "softplus", {}),
    "softplus, beta": (f"{TWO} o = Mul(h, c) p = Softplus(o) y = Div(p, c)", "softplus", {"beta": 2.0}),
    "logsigmoid": ("p = Sigmoid(h) y = Log(p)", "logsigmoid", {}),
    "logsigmoid, softplus": ("o = Neg(h) p = Softplus(o) y = Neg(p)", "logsigmoid", {}),
    "relu, Max": (f"{ZERO} y = Max(h, z)", "relu", {}),
    "relu, Where": (f"{ZERO} p = Greater(h, z) y = Where(p, h, z)", "relu", {}),
    "relu, mask": (f"{ZERO} p = Greater(h, z) q = Cast <to = 1> (p) y = Mul(h, q)", "relu", {}),
    "relu, Clip": (f"{ZERO} y = Clip(h, z)", "relu", {}),
    "relu6": (f"{ZERO} {SIX} y = Clip(h, z, e)", "relu6", {}),
    "relu6, Min": (f"{SIX} p = Relu(h) y = Min(p, e)", "relu6", {}),
    "hardtanh": (f"{number('n', -1)} {ONE} y = Clip(h, n, b)", "hardtanh", {}),
    "hardtanh, bounds": (f"{number('n', -0.4)} {TWO} y = Clip(h, n, c)", "hardtanh", {"min_val": -0.4, "max_val": 2.0}),
    "hardswish": (f"{ZERO} {THREE} {SIX} p = Add(h, d) q = Clip(p, z, e) t = Mul(h, q) y = Div(t, e)", "hardswish", {}),
    "hardswish, HardSigmoid": ("p = HardSigmoid <alpha = 0.16666667> (h) y = Mul(h, p)", "hardswish", {}),
    "hardsigmoid": (f"{ZERO} {THREE} {SIX} p = Add(h, d) q = Clip(p, z, e) y = Div(q, e)", "hardsigmoid", {}),
    "leaky relu, Max": (f"{number('q', 0.1)} p = Mul(h, q) y = Max(h, p)", "leaky_relu", {"negative_slope": 0.1}),
    "leaky relu, sum": (
        f"{number('p', 0.6)} {number('q', 0.4)} o = Mul(h, p) t = Abs(h) u = Mul(t, q) y = Add(o, u)",
        "leaky_relu", {"negative_slope": 0.2},
    ),
    "elu": (f"{ZERO} {ONE} p = Greater(h, z) q = Exp(h) t = Sub(q, b) y = Where(p, h, t)", "elu", {}),
    "softsign": (f"{ONE} p = Abs(h) q = Add(p, b) y = Div(h, q)", "softsign", {}),
    "tanhshrink": ("p = Tanh(h) y = Sub(h, p)", "tanhshrink", {}),
    "tanh, sigmoid": (f"{TWO} {ONE} p = Mul(h, c) q = Sigmoid(p) t = Mul(q, c) y = Sub(t, b)", "tanh", {}),
    "square": ("y = Mul(h, h)", "square", {}),
    "square, Pow": (f"{TWO} y = Pow(h, c)", "square", {}),
    "squared relu": (f"{TWO} p = Relu(h) y = Pow(p, c)", "relu_squared", {}),
    "absolute value": (f"{TWO} p = Pow(h, c) y = Sqrt(p)", "abs", {}),
    "half precision inside": ("p = Cast <to = 10> (h) q = Sigmoid(p) t = Mul(p, q) y = Cast <to = 1> (t)", "silu", {}),
}  # fmt: skip


@pytest.mark.parametrize(("call", "name", "parameters"), OPERATORS, ids=[o[0] for o in OPERATORS])
def test_an_operator_is_its_activation(call: str, name: str, parameters: dict[str, float]) -> None:
    """An operator that is an activation gives its name, and the parameters that are off torch's defaults."""
    following = behind(f"y = {call}", opset=22)

    assert following.activation == name
    assert following.activation_params == pytest.approx(parameters, rel=1e-5)
    assert following.feeds == (name,)


@pytest.mark.parametrize("case", WRITTEN_OUT)
def test_a_written_out_activation_is_recognised(case: str) -> None:
    """The values decide, not the order of nodes and operands; what leaves the activation is its last node's output."""
    body, name, parameters = WRITTEN_OUT[case]

    following = behind(body)

    assert following.activation == name
    assert following.activation_params == pytest.approx(parameters, rel=1e-5)
    assert following.preactivation.name == "h"
    assert following.postactivation is not None
    assert following.postactivation.name == "y"


def test_bfloat16_constants_are_close_enough() -> None:
    """1.702 is stored as 1.703125 in bfloat16, 0.7978846 as 0.796875."""
    quick = behind(f"{number('q', 1.703125)} p = Mul(h, q) t = Sigmoid(p) y = Mul(h, t)")
    tanh = behind(
        f"{number('k', 0.044677734375)} {number('s', 0.796875)} {ONE} {HALF} o = Mul(h, h) p = Mul(o, h) q = Mul(k, p) "
        "t = Add(q, h) u = Mul(s, t) i = Tanh(u) j = Add(b, i) l = Mul(a, h) y = Mul(l, j)"
    )

    assert quick.activation == "quick_gelu"
    assert tanh.activation == "gelu_tanh"


def test_slopes_of_a_prelu_are_averaged() -> None:
    """A slope per channel stands for its mean."""
    slopes = np.linspace(0.1, 0.3, 6).astype(np.float32)

    following = behind("y = PRelu(h, slopes)", slopes=slopes)

    assert following.activation == "prelu"
    assert following.activation_params == pytest.approx({"weight": 0.2})


def test_an_unnamed_function_is_custom() -> None:
    """Snake, x + sin(x)^2, bends the signal and has no name in torch."""
    following = behind(f"{TWO} p = Sin(h) q = Pow(p, c) y = Add(h, q)")

    assert following.activation == "custom"
    assert following.postactivation is not None
    assert following.postactivation.name == "y"


def test_a_guard_against_overflow_is_no_activation() -> None:
    """Half-precision exports clip to +-65504."""
    following = behind(f"{number('n', -65504)} {number('m', 65504)} p = Clip(h, n, m) y = MatMul(p, v)")

    assert following.activation is None
    assert following.feeds == ("layer",)


def test_a_mask_is_no_activation() -> None:
    """Where with a stored mask of several elements treats elements differently: nothing elementwise."""
    mask = np.array([True, False, True, True, False, True])
    following = behind(f"{number('n', -10000)} p = Where(mask, h, n) y = Softmax(p)", mask=mask)

    assert following.activation is None
    assert following.feeds == ("softmax",)


@pytest.mark.parametrize(
    ("dtype", "code", "expected"),
    [(np.uint8, 0, "relu"), (np.int8, -128, "relu"), (np.uint8, 128, None), (np.int8, 0, None)],
)
def test_a_quantiser_that_cuts_off_negative_values_is_a_relu(dtype: type, code: int, expected: str | None) -> None:
    """With the zero point at the smallest code nothing below zero can be stored: quantisers drop the Relu node."""
    following = behind(
        f"{number('s', 0.1)} q = QuantizeLinear(h, s, zero) p = DequantizeLinear(q, s, zero) y = MatMul(p, v)",
        zero=np.array(code, dtype),
    )

    assert following.activation == expected


@pytest.mark.parametrize(
    ("attributes", "name", "parameters"),
    [
        ('activation = "Relu"', "relu", {}),
        ('activation = "LeakyRelu", activation_alpha = 0.2', "leaky_relu", {"negative_slope": 0.2}),
        ('activation = "HardSigmoid", activation_alpha = 0.2, activation_beta = 0.5', "hardsigmoid", {"alpha": 0.2}),
    ],
)
def test_an_activation_fused_into_the_product(attributes: str, name: str, parameters: dict[str, float]) -> None:
    """Onnxruntime's optimiser moves the activation into an attribute."""
    graph = graph_of(f"y = com.microsoft.FusedGemm <{attributes}> (x, w)")
    following = follow(graph.values["y"])

    assert following.activation == name
    assert following.activation_params == pytest.approx(parameters, rel=1e-5)


@pytest.mark.parametrize(
    ("parameters", "name"), [("0.0, 6.0", "relu6"), ("0.0, 3.402823e38", "relu"), ("-1.0, 1.0", "hardtanh")]
)
def test_a_clip_fused_into_a_convolution(parameters: str, name: str) -> None:
    """FusedConv lists the bounds of Clip; the largest float means none."""
    graph = graph_of(
        f'y = com.microsoft.FusedConv <activation = "Clip", activation_params = [{parameters}]> (x, kernel)',
        kernel=np.ones((4, 2, 3), np.float32),
    )

    assert follow(graph.values["y"]).activation == name
