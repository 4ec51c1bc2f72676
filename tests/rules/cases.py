"""A network for each rule that triggers it, and a sound one, as alike as can be, that does not; the pages about the rules show the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from tests.networks import Draw, gated, he, mlp, model, normal, rows, table, trained_like, xavier

Edit = Callable[[np.ndarray], np.ndarray]
WIDTHS = (64, 96, 96, 10)
SHALLOW = (64, *(128,) * 4, 10)
DEEP = (64, *(64,) * 20, 10)


@dataclass(frozen=True)
class Case:
    """A faulty network, a sound one, and how to look at them."""

    shows: str
    """What the faulty network is, in a sentence."""
    faulty: Callable[[], onnx.ModelProto]
    sound: Callable[[], onnx.ModelProto]
    context: str = "fresh"
    probe: str = "none"
    before: Callable[[], onnx.ModelProto] | None = None
    """The model that it is compared with (`--against`)."""

    @property
    def options(self) -> dict[str, str]:
        """How `initaudit check` is called, by the names of its options."""
        return {"context": self.context, "probe": self.probe}


def edited(edit: Edit, name: str = "fc1.weight", **options: object) -> Callable[[], onnx.ModelProto]:
    """A He-initialised ReLU network with one tensor edited."""
    return lambda: mlp(WIDTHS, change={name: edit}, **options)  # type: ignore[arg-type]


def with_values(index: tuple[int, ...], value: float) -> Edit:
    """One element set."""

    def edit(w: np.ndarray) -> np.ndarray:
        w[index] = value
        return w

    return edit


def repeated(w: np.ndarray) -> np.ndarray:
    """Most rows equal the first."""
    w[: len(w) * 3 // 4] = w[0]
    return w


def half_precision(scale: float) -> Callable[[], onnx.ModelProto]:
    """A layer that computes in float16."""

    def build() -> onnx.ModelProto:
        weight = (np.random.default_rng(0).normal(0, 1, (64, 64)) * scale).astype(np.float16)
        nodes = [
            helper.make_node("Cast", ["x"], ["xh"], to=onnx.TensorProto.FLOAT16),
            helper.make_node("MatMul", ["xh", "w"], ["z"], "fc"),
            helper.make_node("Cast", ["z"], ["y"], to=onnx.TensorProto.FLOAT),
        ]
        return model(nodes, {"x": ["N", 64]}, ["y"], {"w": weight})

    return build


def convolution(running_mean: float, variance: float = 1.0) -> Callable[[], onnx.ModelProto]:
    """Conv and BatchNormalization with these running means and variances."""

    def build() -> onnx.ModelProto:
        rng = np.random.default_rng(0)
        ones, zeros = np.ones(16, np.float32), np.zeros(16, np.float32)
        tensors = {
            "w": trained_like((16, 8, 3, 3), rng).astype(np.float32),
            "gamma": rng.normal(1, 0.2, 16).astype(np.float32),
            "beta": rng.normal(0, 0.2, 16).astype(np.float32),
            "mean": zeros + np.float32(running_mean),
            "var": variance * ones,
        }
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["z"], "conv", kernel_shape=[3, 3]),
            helper.make_node("BatchNormalization", ["z", "gamma", "beta", "mean", "var"], ["y"], "bn"),
        ]
        return model(nodes, {"x": ["N", 8, 8, 8]}, ["y"], tensors)

    return build


def normalised(std: float, scale: float = 1.0) -> Callable[[], onnx.ModelProto]:
    """Eight layers, each followed by LayerNormalization: the scale of the weights does not show in the signal, only in the steps."""

    def build() -> onnx.ModelProto:
        rng = np.random.default_rng(0)
        tensors = {"one": np.full(64, scale, np.float32), "zero": np.zeros(64, np.float32)}
        nodes, value = [], "x"
        for i in range(8):
            tensors[f"w{i}"] = rng.normal(0, std, (64, 64)).astype(np.float32)
            nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [f"z{i}"], f"fc{i}"))
            nodes.append(
                helper.make_node("LayerNormalization", [f"z{i}", "one", "zero"], [f"n{i}"], f"ln{i}", epsilon=1e-30)
            )
            nodes.append(helper.make_node("Relu", [f"n{i}"], [f"a{i}"]))
            value = f"a{i}"
        tensors["head"] = rng.normal(0, 0.125, (64, 10)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", [value, "head"], ["y"], "head"))
        return model(nodes, {"x": ["N", 64]}, ["y"], tensors)

    return build


def unknown_operator(domain: str) -> Callable[[], onnx.ModelProto]:
    """A linear layer and an operator with a weight of its own."""

    def build() -> onnx.ModelProto:
        rng = np.random.default_rng(0)
        tensors = {n: rng.normal(0, 0.18, (64, 64)).astype(np.float32) for n in ("w", "v")}
        op = "Frobnicate" if domain else "MatMul"
        nodes = [helper.make_node("MatMul", ["x", "w"], ["z"], "fc"), helper.make_node("Relu", ["z"], ["r"])]
        nodes.append(helper.make_node(op, ["r", "v"], ["y"], "last", domain=domain))
        return model(nodes, {"x": ["N", 64]}, ["y"], tensors, domains=[domain] if domain else [])

    return build


def torch_default(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """U(+-1/sqrt(fan_in))."""
    bound = np.prod(shape[1:]) ** -0.5
    return rng.uniform(-bound, bound, shape)


def copied(tensors_differ: bool) -> Callable[[], onnx.ModelProto]:
    """Two hidden layers with the same values, or not."""
    values: list[np.ndarray] = []

    def keep(w: np.ndarray) -> np.ndarray:
        values.append(w.copy())
        return w

    return lambda: mlp(
        (64, 64, 64, 10),
        draw=trained_like,
        change={"fc0.weight": keep, "fc1.weight": (lambda w: w) if tensors_differ else (lambda _: values[-1])},
    )


def frozen(moved: tuple[str, ...]) -> Callable[[], onnx.ModelProto]:
    """A network before training, or after a training that moved the weights of these layers alone."""
    return lambda: mlp((64, 64, 10), draw=trained_like, change={name: lambda w: w + 0.01 for name in moved})


def deep(activation: str, draw: Draw) -> Callable[[], onnx.ModelProto]:
    """Twenty layers of one activation."""
    return lambda: mlp(DEEP, activation, draw)


SOUND = edited(lambda w: w)
TANH, SMALL = deep("Tanh", xavier), deep("Tanh", normal(0.01))
NORMALISED = normalised(0.125)
CASES = {
    "INI001": Case("One weight of the second layer is NaN.", edited(with_values((0, 0), np.nan)), SOUND),
    "INI002": Case("All weights of the second layer are 0.1.", edited(lambda w: np.full_like(w, 0.1)), SOUND),
    "INI003": Case("All weights of the second layer are zero.", edited(np.zeros_like), SOUND),
    "INI004": Case(
        "Three quarters of the second layer's units have the weights of its first unit.", edited(repeated), SOUND
    ),
    "INI005": Case(
        "A float16 layer whose weights are 10⁻⁶ · N(0, 1): below the smallest normal number of the type, 6·10⁻⁵.",
        half_precision(1e-6),
        half_precision(0.1),
    ),
    "INI101": Case("The weights of the second layer are a hundredth of He's.", edited(lambda w: w * 0.01), SOUND),
    "INI102": Case("The weights of the second layer are thirty times He's.", edited(lambda w: w * 30), SOUND),
    "INI103": Case(
        "Three ReLU layers drawn by Xavier's scheme, which takes the activation for linear.",
        lambda: mlp((64, 256, 64, 10), draw=xavier),
        lambda: mlp((64, 256, 64, 10), draw=he),
    ),
    "INI104": Case("The absolute values of He's weights: all are positive.", edited(np.abs), SOUND),
    "INI105": Case("One weight of the second layer is 300.", edited(with_values((3, 5), 300.0)), SOUND),
    "INI106": Case(
        "Eight layers, each behind a LayerNormalization whose scale starts at 0.001.",
        normalised(0.125, scale=1e-3),
        NORMALISED,
        probe="full",
    ),
    "INI107": Case(
        "A BatchNormalization whose stored running variance is -0.1.", convolution(0.0, variance=-0.1), convolution(0.0)
    ),
    "INI201": Case(
        "A second layer that maps nearly every input onto one line.",
        edited(lambda w: np.outer(w[:, 0], w[0]) + 1e-4 * w),
        SOUND,
    ),
    "INI301": Case("A ReLU layer whose biases are -100.", edited(lambda b: b - 100, "fc1.bias"), SOUND),
    "INI302": Case(
        "A trained convolution whose BatchNormalization still has a running mean of 0 and variance of 1.",
        convolution(0.0),
        convolution(0.3),
        context="trained",
    ),
    "INI401": Case(
        "Twenty tanh layers whose weights are 0.01 · N(0, 1).",
        SMALL,
        TANH,
        probe="full",
    ),
    "INI402": Case(
        "Twenty ReLU layers whose weights are 1.5 · N(0, 1).",
        deep("Relu", normal(1.5)),
        deep("Relu", he),
        probe="full",
    ),
    "INI403": Case(
        "Three tanh layers whose weights are 5 · N(0, 1).",
        lambda: mlp(WIDTHS, "Tanh", normal(5)),
        lambda: mlp(WIDTHS, "Tanh", xavier),
        probe="forward",
    ),
    "INI404": Case(
        "A ReLU layer whose biases are -100.", edited(lambda b: b - 100, "fc1.bias"), SOUND, probe="forward"
    ),
    "INI405": Case(
        "Thirty sigmoid layers drawn by Xavier's scheme.",
        lambda: mlp((64, *(64,) * 30, 10), "Sigmoid", xavier),
        lambda: mlp(SHALLOW, "Relu", he),
        probe="full",
    ),
    "INI406": Case(
        "Three ReLU layers whose weights are 10²⁰ · N(0, 1).",
        lambda: mlp(WIDTHS, draw=normal(1e20)),
        SOUND,
        probe="forward",
    ),
    "INI408": Case(
        "Three ReLU layers whose weights are 100 · N(0, 1), in float32.",
        lambda: mlp(WIDTHS, draw=normal(100)),
        SOUND,
        probe="forward",
    ),
    "INI409": Case(
        "Four blocks that multiply two products of their input, without a norm.",
        lambda: gated(4),
        lambda: gated(4, norm=True),
        probe="forward",
    ),
    "INI501": Case(
        "Twenty tanh layers whose weights are 0.01 · N(0, 1).",
        SMALL,
        TANH,
        probe="full",
    ),
    "INI502": Case(
        "Twenty tanh layers whose weights are 2 · N(0, 1).",
        deep("Tanh", normal(2.0)),
        TANH,
        probe="full",
    ),
    "INI503": Case(
        "Eight layers of weights 0.002 · N(0, 1), each behind a LayerNormalization, which hides their scale from the signal but not from the steps.",
        normalised(2e-3),
        NORMALISED,
        probe="full",
    ),
    "INI504": Case(
        "Five ReLU layers whose weights are a quarter of He's.",
        lambda: mlp(SHALLOW, draw=lambda shape, rng: 0.25 * he(shape, rng)),
        lambda: mlp(SHALLOW, draw=he),
        probe="full",
    ),
    "INI601": Case(
        "A trained network whose third layer is drawn anew as torch draws it.",
        lambda: mlp(
            (64, 64, 64, 64, 10),
            draw=trained_like,
            bias=normal(0.3),
            change={"fc2.weight": lambda w: torch_default(w.shape, np.random.default_rng(3))},
        ),
        lambda: mlp((64, 64, 64, 64, 10), draw=trained_like, bias=normal(0.3)),
        context="trained",
    ),
    "INI602": Case(
        "A network whose first layer is the same in the file from before training.",
        frozen(("fc1.weight",)),
        frozen(("fc0.weight", "fc1.weight")),
        context="trained",
        before=frozen(()),
    ),
    "INI603": Case(
        "A trained network in which two layers hold the same values.",
        copied(tensors_differ=False),
        copied(tensors_differ=True),
        context="trained",
    ),
    "INI605": Case(
        "A trained table of 200 rows of which 30 are zero.",
        lambda: table(rows(150, 180, 0.0)),
        table,
        context="trained",
    ),
    "INI901": Case(
        "A layer followed by an operator of another domain that owns a weight.",
        unknown_operator("acme"),
        unknown_operator(""),
    ),
    "INI902": Case(
        "A layer followed by an operator that onnxruntime cannot run.",
        unknown_operator("acme"),
        unknown_operator(""),
        probe="forward",
    ),
}
