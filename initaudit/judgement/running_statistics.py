"""Whether a BatchNormalization ever saw data: the running statistics in the file tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from initaudit.errors import InitauditError

if TYPE_CHECKING:
    import numpy as np

    from initaudit.extraction.layer import Layer

MOMENTUM: Final = 0.9
"""Of BatchNormalization, where the node gives none (ONNX operator specification): what an update leaves of the statistics before it."""
ROUNDING: Final = 1e-5
"""Room for the rounding of float32 in an update. A judgement: some hundred units in the last place."""


def never_updated(layer: Layer) -> bool:
    """Whether the layer is a BatchNormalization whose running mean is 0 and variance 1 in every channel.

    An exporter that stores equal tensors once hands the same ones out as scale and variance, and as bias and mean.
    """
    statistics = _statistics(layer)
    return statistics is not None and _are_initial(*statistics)


def never_trained(layer: Layer) -> bool:
    """Whether the statistics are those of the start, or what the exporter's own run may have made of these.

    An export in training mode runs the network once: from mean 0 and variance 1 it leaves a variance of no less than the momentum in every
    channel. Statistics of a training that happen to be as large everywhere cannot be told from that; they too say nothing then.
    """
    statistics = _statistics(layer)
    if statistics is None:
        return False
    if _are_initial(*statistics):
        return True
    node = layer.node
    runs_on_batches = node.attr("training_mode", 0) == 1 or any(
        v is not None for v in node.outputs[1:]
    )  # the latter before opset 14
    return runs_on_batches and bool((statistics[1] >= float(node.attr("momentum", MOMENTUM)) - ROUNDING).all())


def _statistics(layer: Layer) -> tuple[np.ndarray, np.ndarray] | None:
    """Running mean and variance [C]; None where there are none, or they cannot be read."""
    mean, variance = layer.auxiliary.get("running_mean"), layer.auxiliary.get("running_var")
    if mean is None or variance is None:
        return None
    try:
        means, variances = mean.array(), variance.array()
    except InitauditError:
        return None
    return (means, variances) if means.size else None


def _are_initial(means: np.ndarray, variances: np.ndarray) -> bool:
    return not means.any() and bool((variances == 1).all())
