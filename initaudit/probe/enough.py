"""As many inputs as weights are to be fitted to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.probe.arriving import rows_in
from initaudit.probe.cost import PRODUCTS_PER_SECOND, guessed_elements, most_elements, run_cost
from initaudit.probe.inputs import make_feeds
from initaudit.probe.shapes import known_shapes

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

    from initaudit.probe.fit import Fitted
    from initaudit.probe.inputs import Feeds, InputOptions
    from initaudit.probe.shapes import Shape

MOST_INPUTS = 4096
"""Inputs at most. A judgement: the variance of one unit is then known within 2 %."""
MEMORY_SHARE = 8
"""The values of all inputs that are alive at once may take one part in this many of the memory limit. A judgement: twice as much for the arena of
the trial run, and as much for what is carried from layer to layer."""
TIME_SHARE = 8
"""Both runs of all inputs may take one part in this many of the time limit, on idle cores. A judgement."""


def enough(
    model: ModelProto,
    folder: Path | None,
    layers: Sequence[Fitted],
    feeds: Feeds,
    given: InputOptions,
    seconds: float,
) -> Feeds:
    """All inputs that the user gave, or as many synthetic ones as layers that are fitted to what arrives ask for, within memory and time.

    Args:
        model: as onnxruntime runs it.
        folder: where its external data lies.
        layers: those to fit.
        feeds: as the probe takes them.
        given: what the user says of inputs; a number of them is obeyed.
        seconds: limit of time.
    """
    if given.batch is not None or (given.data is None and not feeds.batch_is_free):
        return feeds
    fed = {name: array.shape for name, array in feeds.arrays.items()}
    shapes = known_shapes(model, fed) or fed
    wanted = MOST_INPUTS if given.data is not None else max(_needs(layers, shapes, feeds.batch), default=0)
    held = 4 * most_elements(model.graph.node, guessed_elements(model.graph.node, shapes)) / feeds.batch
    cost = 2 * run_cost(model, fed, known=shapes) / feeds.batch
    most = min(given.max_memory / MEMORY_SHARE / held, seconds * PRODUCTS_PER_SECOND / TIME_SHARE / cost)
    wanted = int(min(wanted, MOST_INPUTS, most))
    return make_feeds(model, folder, replace(given, batch=wanted)) if wanted > feeds.batch else feeds


def _needs(layers: Sequence[Fitted], shapes: Mapping[str, Shape], batch: int) -> list[int]:
    """Inputs that each layer asks for which is fitted to what arrives."""
    arriving = [(layer, shapes.get(layer.plan.input or "")) for layer in layers if layer.method == "pca"]
    return [
        math.ceil(layer.rows * batch / max(1, rows_in(shape, layer.kernel)))
        for layer, shape in arriving
        if shape is not None
    ]
