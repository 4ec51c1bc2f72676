"""Plain chains of dense layers: where the scale of the weights multiplies through depth and nothing hides it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.making.activation import read_activation
from initaudit.making.mlp import mlp
from initaudit.making.net import Net
from initaudit.making.style import LAYER, NONE, Style
from initaudit.making.values import Values, zero_bias

from . import draws

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnx import ModelProto

    from initaudit.making.net import Array

    Draw = Callable[[draws.Rng, tuple[int, ...]], Array]


def chain(
    name: str,
    widths: Sequence[int],
    activation: str,
    draw: Draw,
    *,
    draw_bias: Draw | None = None,
    draw_head: Draw = draws.xavier_normal,
    norm: bool = False,
) -> ModelProto:
    """A classifier: widths[0] inputs, one hidden layer per further width, all but the last followed by `activation`."""
    rng = draws.rng_for(name)
    head = f"layers.{len(widths) - 2}"
    values = Values(
        weight=lambda key, shape: (draw_head if key == head else draw)(rng, shape),
        bias=zero_bias if draw_bias is None else lambda _, shape: draw_bias(rng, shape),
    )
    style = Style(activate=read_activation(activation), norm=LAYER if norm else NONE)
    return mlp(Net(name), widths, style, values)


def tanh_tutorial(name: str, draw: Draw) -> ModelProto:
    """The experiment of the tutorials: 100 inputs, five tanh layers of 50 units, no biases, no head."""
    rng = draws.rng_for(name)
    net = Net(name)
    x = net.input("input", ["batch", 100])
    for i, fan_in in enumerate([100, 50, 50, 50, 50]):
        x = net.op("MatMul", x, net.weight(f"W{i + 1}", draw(rng, (50, fan_in)).T), scope=f"/layer{i + 1}")
        x = net.op("Tanh", x, scope=f"/layer{i + 1}")
    return net.model(x, ["batch", 50])


def of_std(std: float) -> Draw:
    """N(0, std^2), whatever the fans: what schemes replaced."""
    return lambda rng, shape: draws.normal(rng, shape, std)


def filled(value: Callable[[tuple[int, ...]], float]) -> Draw:
    """One value everywhere."""
    return lambda _, shape: np.full(shape, value(shape))


def samples() -> dict[str, ModelProto]:
    """File name without suffix -> model."""
    models = {
        "tanh5_normal_0.01": tanh_tutorial("tanh5_normal_0.01", of_std(0.01)),
        "tanh5_normal_1": tanh_tutorial("tanh5_normal_1", of_std(1.0)),
        "tanh5_xavier": tanh_tutorial("tanh5_xavier", draws.xavier_normal),
    }

    def add(name: str, widths: Sequence[int], activation: str, draw: Draw, **options: Draw | bool) -> None:
        models[name] = chain(name, widths, activation, draw, **options)  # type: ignore[arg-type]

    add("sigmoid784_normal_1", [784, 30, 10], "sigmoid", of_std(1.0), draw_head=of_std(1.0))
    add("sigmoid784_xavier", [784, 30, 10], "sigmoid", draws.xavier_normal)
    add("sigmoid10_xavier", [64, *[50] * 10, 10], "sigmoid", draws.xavier_normal)
    add("relu10_normal_1", [64, *[50] * 10, 10], "relu", of_std(1.0), draw_head=of_std(1.0))
    add("relu15_normal_0.1", [64, *[40] * 15, 10], "relu", of_std(0.1), draw_head=of_std(0.1))
    naive_uniform: Draw = lambda rng, shape: draws.uniform(rng, shape, 0.1)  # noqa: E731  (a draw like the others)
    add("tanh15_uniform_0.1", [64, *[40] * 15, 10], "tanh", naive_uniform, draw_head=naive_uniform)
    add(
        "relu32_torch_default",
        [64, *[40] * 32, 10],
        "relu",
        draws.torch_default,
        draw_bias=draws.torch_default_bias,
        draw_head=draws.torch_default,
    )
    add("relu4_zero", [64, 64, 64, 64, 10], "relu", filled(lambda _: 0.0), draw_head=filled(lambda _: 0.0))
    mean: Draw = filled(lambda shape: 1 / shape[1])
    add("relu4_constant", [64, 64, 64, 64, 10], "relu", mean, draw_head=mean)
    add("selu12_lecun", [64, *[48] * 12, 10], "selu", draws.lecun_normal, draw_head=draws.lecun_normal)
    add(
        "tanh20_orthogonal",
        [64, *[40] * 20, 10],
        "tanh",
        lambda rng, shape: draws.orthogonal(rng, (shape[0], shape[1])),
    )
    add("relu6_layernorm_normal_1", [64, *[48] * 6, 10], "relu", of_std(1.0), norm=True)
    return models
