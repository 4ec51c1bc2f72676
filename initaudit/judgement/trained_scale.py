"""The scale of a trained layer: what is ordinary, and what is a fault of loading or conversion rather than of learning.

No scheme has a say in what a layer learned. A first layer takes the units of the inputs, and between two layers a factor may move
freely, into the biases as well. What learning does not do is to leave the range of all trained layers and at the same time the size of the layer's
own bias: then the answers depend on the bias alone, or not on it at all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.findings import Severity
from initaudit.judgement.gain import signal_gain
from initaudit.judgement.model_audit import once_per_audit
from initaudit.kind import Kind
from initaudit.probe.inputs.values import WHITE

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

ORDINARY = (0.1, 10.0)
"""Ratio to the target's std that trained layers keep within: the 1st percentile of the std's ratio, 0.12, and the 99th of the bulk's, 8.3, of 597
hidden layers of 33 real networks, rounded outwards (`benchmarks/ordinary_scales.py`)."""
BEYOND = 2.0
"""Factor beyond ORDINARY from which a layer is suspicious. A judgement: of those layers three are there, with up to 40: the ends of folded residual
branches of one network, whose signal has the size of their bias."""
PIXELS = 255.0
"""Factor by which the inputs of a network for images may be larger than the probe's: 8-bit pixels that are not normalised."""
SMALL_UNITS = 10.0
"""Factor by which the inputs of a network may be smaller than the probe's, but for images: the first layers of real files that read those, of
whatever range, have up to 2.3 times their target's std (`benchmarks/ordinary_scales.py`). A judgement: audio is that quiet."""
IMAGE_CHANNELS = (1, 3, 4)
"""Channels of an image: grey, colours, colours and transparency."""
IMAGE_WEIGHT_RANK = 4
"""Axes of the weight of a convolution over images: units, channels, height, width."""
TRAINED_GAIN = 8.0
"""Factor between the signal's std that enters and leaves a trained layer, in the same direction, that the probe must confirm:
one trained layer in fifty has more (`benchmarks/thresholds.py trained`)."""
LEAST_GAIN = 2.0
"""The same for a std that is very far off. A judgement: what is four times the variance is not noise."""
FOLDED_GAIN = 50.0
"""The same where a BatchNorm was folded into the layer: what leaves it has the std that the norm learned, and starts at 1 in training. A
judgement: far beyond what norms learn."""
OVER_BIAS = 100.0
"""Multiple of the bias from which what depends on the input leaves the bias without effect. A judgement: a hundredth; of 350 layers of real networks
one in twenty has 37, and those beyond 100 have an ordinary std."""
UNDER_BIAS = 2.0
"""Multiple of the bias below which the bias counts as much as what depends on the input."""


def trained_severity(layer: LayerAudit, audit: ModelAudit, *, smaller: bool) -> Severity | None:
    """None where the scale of a trained layer is ordinary, or off without a consequence; information where the units of the inputs explain it."""
    facts = layer.layer
    ratio = layer.ratio if smaller else bulk_ratio(layer)
    if ratio is None or facts.normalized_before_use:
        return None
    low, high = ORDINARY
    off = low / ratio if smaller else ratio / high
    if off < BEYOND or not _has_consequence(layer, off, smaller=smaller):
        return None
    first = reads_inputs(layer, audit) and not has_real_inputs(audit)
    units = _units_of_inputs(facts, audit, smaller=smaller)
    return Severity.INFO if first and off < BEYOND * units else Severity.WARNING


def bulk_ratio(layer: LayerAudit) -> float | None:
    """Ratio of the weights' std to the target's, or of the std of their bulk where that is smaller: a few large weights are no scale."""
    outliers, target = layer.stats.outliers, layer.target
    if layer.ratio is None or target is None or outliers is None:
        return layer.ratio
    return min(layer.ratio, outliers.scale / target.std)


def reads_inputs(layer: LayerAudit, audit: ModelAudit) -> bool:
    """Whether inputs of the model reach the layer past no other weight layer and no learned normalisation."""
    owners = _owners(audit)
    start = layer.layer.input
    queue, seen = [start] if start is not None else [], set()
    while queue:
        value = queue.pop()
        if value.is_input:
            return True
        node = value.producer
        if id(value) in seen or value.is_static or node is None or id(node) in owners:
            continue
        seen.add(id(value))
        queue += [operand for operand in node.inputs if operand is not None]
    return False


@once_per_audit
def _owners(audit: ModelAudit) -> frozenset[int]:
    """ids of the nodes of weight layers and learned normalisations."""
    return frozenset(id(a.layer.node) for a in audit.layers if a.layer.kind.is_drawn or a.layer.kind is Kind.NORM)


def has_real_inputs(audit: ModelAudit) -> bool:
    """Whether the probe was given data, so that the scale of the inputs is known."""
    return any(str(entry["how"]).startswith("from ") for entry in audit.probe.inputs)


def reads_images(facts: Layer) -> bool:
    """Whether a layer that reads the inputs takes them for images: a convolution over two axes of one, three or four channels."""
    shape = facts.weight.shape
    return len(shape) == IMAGE_WEIGHT_RANK and facts.kind.is_convolution and shape[1] * facts.groups in IMAGE_CHANNELS


def _units_of_inputs(facts: Layer, audit: ModelAudit, *, smaller: bool) -> float:
    """Factor by which the scale of the inputs alone may explain that of the weights; small ones where the first layers show pixels."""
    if reads_images(facts):
        return PIXELS if smaller and _are_scaled(audit) else 1.0
    return 1.0 if smaller or facts.kind.is_recurrent else SMALL_UNITS


def _are_scaled(audit: ModelAudit) -> bool:
    """Whether the probe fed an input on a scale that the network shows."""
    return any(not str(entry["how"]).startswith(WHITE) for entry in audit.probe.inputs)


def _has_consequence(layer: LayerAudit, off: float, *, smaller: bool) -> bool:
    """Whether the probe saw the signal change as the weights say, and leave the size of the bias."""
    if layer.layer.kind.is_recurrent:
        return True  # the gain of the signal says nothing of the weights of a cell
    gain = signal_gain(layer)
    if gain is None:
        return False
    needed = FOLDED_GAIN if layer.layer.folded_norm else max(LEAST_GAIN, TRAINED_GAIN * BEYOND / off)
    if (gain >= 1 / needed) if smaller else (gain <= needed):
        return False
    level = _over_bias(layer)
    return level is None or (level < UNDER_BIAS if smaller else level > OVER_BIAS)


def _over_bias(layer: LayerAudit) -> float | None:
    """Std over inputs of the layer's output, over the root mean square of its bias; None where there is no bias."""
    bias, signal = layer.bias, layer.signal
    if bias is None or signal is None:
        return None
    size = math.hypot(bias.mean, bias.std)
    behind = signal.own if signal.own is not None else signal
    return math.sqrt(behind.variance) / size if size > 0 else None
