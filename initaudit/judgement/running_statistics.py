"""Whether a BatchNormalization ever saw data: the running statistics in the file tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.errors import InitauditError

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer


def never_updated(layer: Layer) -> bool:
    """Whether the layer is a BatchNormalization whose running mean is 0 and variance 1 in every channel.

    An exporter that stores equal tensors once hands the same ones out as scale and variance, and as bias and mean.
    """
    mean, variance = layer.auxiliary.get("running_mean"), layer.auxiliary.get("running_var")
    if mean is None or variance is None:
        return False
    try:
        means, variances = mean.array(), variance.array()
    except InitauditError:
        return False
    return bool(means.size) and not means.any() and bool((variances == 1).all())
