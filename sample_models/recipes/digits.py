"""A task small enough to learn in a second: ten digits drawn in 8 x 8 pixels, shifted, dimmed, with noise.

And the learning itself: a ReLU network, cross entropy, stochastic gradient descent with momentum, by hand in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import draws

if TYPE_CHECKING:
    from initaudit.making.net import Array

GLYPHS = """
.###. ..#.. .###. ####. ...#. ##### .###. ##### .###. .###.
#...# .##.. #...# ....# ..##. #.... #.... ....# #...# #...#
#..## ..#.. ....# ..##. .#.#. ####. ####. ...#. .###. .####
#.#.# ..#.. ..##. ....# ##### ....# #...# ..#.. #...# ....#
##..# ..#.. .#... ....# ...#. ....# #...# .#... #...# ....#
.###. .###. ##### ####. ...#. ####. .###. .#... .###. .###.
"""
SIDE = 8
WIDTHS = (SIDE * SIDE, 48, 32, 10)
NOISE = 0.2
STEPS, BATCH, RATE, MOMENTUM, DECAY = 600, 64, 0.05, 0.9, 3e-3
WEIGHT_GRID, SIGNAL_GRID, ERROR_GRID = 2.0**-20, 2.0**-16, 2.0**-26  # see `train`


def glyphs() -> Array:
    """[10, 6, 5] of 0 and 1."""
    rows = [line.split() for line in GLYPHS.split("\n") if line]
    return np.array([[[pixel == "#" for pixel in row[digit]] for row in rows] for digit in range(10)], float)


def digits(seed: int, count: int) -> tuple[Array, Array]:
    """(images [count, 64] of mean 0 and standard deviation about 1, labels [count])."""
    rng = draws.Rng(seed)
    shapes = glyphs()
    labels = rng.randint(0, 10, count)
    images = np.zeros((count, SIDE, SIDE))
    for image, label in zip(images, labels, strict=True):
        row, column = rng.randint(0, SIDE - 5), rng.randint(0, SIDE - 4)
        image[row : row + 6, column : column + 5] = shapes[label] * rng.uniform(0.7, 1.3)
    images += rng.standard_normal(images.shape) * NOISE
    return (images.reshape(count, -1) - 0.25) / 0.55, labels


def fresh() -> list[tuple[Array, Array]]:
    """(weight [out, in], bias [out]) per layer, as torch draws them by default."""
    rng = draws.rng_for("digits")
    shapes = list(zip(WIDTHS[1:], WIDTHS[:-1], strict=True))
    return [(draws.torch_default(rng, shape), draws.torch_default_bias(rng, shape)) for shape in shapes]


def on_grid(values: Array, step: float) -> Array:
    """`values` rounded to multiples of `step`, a power of two."""
    return np.round(values / step) * step


def forward(layers: list[tuple[Array, Array]], x: Array) -> list[Array]:
    """Inputs of every layer, and the logits at the end."""
    values = [on_grid(x, SIGNAL_GRID)]
    for i, (weight, bias) in enumerate(layers):
        z = on_grid(values[-1] @ weight.T + bias, SIGNAL_GRID)
        values.append(z if i == len(layers) - 1 else np.maximum(z, 0))
    return values


def train(
    layers: list[tuple[Array, Array]], images: Array, labels: Array, frozen: int | None = None
) -> list[tuple[Array, Array]]:
    """The layers after STEPS steps; the one numbered `frozen` stays as it was drawn, up to rounding.

    BLAS libraries add in different orders, and learning multiplies a difference in the last bit until it shows. Here
    all factors lie on grids so coarse that every product and sum is exact in float64 (weights 22 bits, signals 22,
    errors 20, at most 64 terms: 50 of 53 bits), whatever the order: every machine writes the same file.
    """
    rng = draws.rng_for("digits batches")
    parameters = [on_grid(values, WEIGHT_GRID) for layer in layers for values in layer]
    velocity = [np.zeros_like(values) for values in parameters]
    for _ in range(STEPS):
        rows = rng.randint(0, len(images), BATCH)
        pairs = list(zip(parameters[::2], parameters[1::2], strict=True))
        values = forward(pairs, images[rows])
        odds = np.exp(values[-1] - values[-1].max(1, keepdims=True))
        error = odds / odds.sum(1, keepdims=True)
        error[np.arange(BATCH), labels[rows]] -= 1
        gradients: list[Array] = []
        for (weight, _), x in zip(reversed(pairs), reversed(values[:-1]), strict=True):
            error = on_grid(error / BATCH if not gradients else error, ERROR_GRID)
            gradients[:0] = [error.T @ x + DECAY * weight, error.sum(0)]
            error = (error @ weight) * (x > 0)
        for i, gradient in enumerate(gradients):
            if i // 2 == frozen:
                continue
            velocity[i] = MOMENTUM * velocity[i] - RATE * gradient
            parameters[i] = on_grid(parameters[i] + velocity[i], WEIGHT_GRID)
    return list(zip(parameters[::2], parameters[1::2], strict=True))
