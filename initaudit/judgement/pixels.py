"""Whether a trained network expects pixels of 0 to 255: its first layers show it where they do not work on anything smaller.

A kernel that was trained on such pixels is small, and its bias makes up for their mean: under inputs of unit variance the bias
decides alone. A BatchNormalization behind the kernel has seen the variance of what the pixels made of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import InitauditError
from initaudit.judgement.entrance import entrance_layers
from initaudit.measuring.theory import with_theory
from initaudit.probe.inputs.scale import BYTE, PIXEL_SPREAD
from initaudit.probe.inputs.values import WHITE
from initaudit.probe.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from initaudit.judgement.context import Context
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.load import Model
    from initaudit.probe.plan import ProbeOptions
    from initaudit.probe.probe import ProbeResult

COLOURS = (1, 3, 4)
"""Channels of an image: grey, colour, colour with transparency."""
DECIDES = 36.0
"""Square of the constant part of a pre-activation over its variance from which the bias decides alone: six standard deviations, as in INI301."""
DARKEST = 32.0
"""Mean pixel from which the biases make up for one. The mean of photographs lies at 90 to 130, of digits on black at 33."""
SIGNIFICANT = 2.0
"""Standard errors by which biases and kernels must be opposed: by chance it happens once in forty layers."""
FAR = 10.0
"""Factor, either way, between the variance that a BatchNormalization has seen and that which pixels would make. A judgement: images differ in
contrast, and kernels in what they see of it, but the other customary ranges are a factor of 4,000 and more away."""


NOT_FED = "the network expects pixels of 0 to 255, which were not fed"
"""What a result says that had no time for them."""


def with_pixels(
    model: Model,
    layers: tuple[LayerAudit, ...],
    context: Context,
    probed: ProbeResult,
    options: ProbeOptions,
    progress: Callable[[str], None] | None = None,
    *,
    deadline: float | None = None,
) -> ProbeResult:
    """What the probe measured; anew with pixels where the network expects them and works with them. `layers` hold no signals yet.

    What is not done by `deadline` (see `probe`) is given up, and the result says so.
    """
    if not context.has_training or probed.status not in ("complete", "partial"):
        return probed
    wanted = _inputs_of_pixels(with_theory(model.graph, layers, probed.signals), probed)
    if not wanted:
        return probed
    ranges = dict.fromkeys(wanted, (0.0, BYTE))
    with_ranges = replace(options, input_ranges=ranges)
    again = probe(model, [a.layer for a in layers], with_ranges, progress, deadline=deadline)
    if again.interrupted:
        return probed.without(NOT_FED, again.reason or "the probe was interrupted")
    if again.status != probed.status or _dominated(with_theory(model.graph, layers, again.signals)):
        return probed
    return again


def _inputs_of_pixels(layers: Sequence[LayerAudit], probed: ProbeResult) -> list[str]:
    """The inputs of unit variance that first layers want as pixels."""
    white = {i["name"] for i in probed.inputs if i["how"].startswith(WHITE)}
    entrance = {name: value for name, value in entrance_layers(layers).items() if value.name in white}
    found = []
    affine: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for audit in layers:
        entering, output = entrance.get(audit.layer.name), audit.layer.output
        if entering is None or output is None or not _is_of_image(audit, affine):
            continue
        behaviour = _on_constant_image(audit, affine)
        if behaviour is None:
            continue
        affine[id(output)] = behaviour
        if _has_seen_pixels(audit) or (_bias_decides(audit) and _makes_up_for_a_mean(*behaviour)):
            found.append(entering.name)
    return found


def _dominated(layers: Sequence[LayerAudit]) -> bool:
    """Whether the bias decides at some first layer."""
    entrance = entrance_layers(layers)
    return any(_bias_decides(a) for a in layers if a.layer.name in entrance)


def _is_of_image(audit: LayerAudit, affine: dict[int, tuple[np.ndarray, np.ndarray]]) -> bool:
    shape = audit.layer.weight.shape
    if audit.layer.node.op_type != "Conv" or len(shape) != 4:
        return False
    return id(audit.layer.input) in affine or shape[1] * audit.layer.groups in COLOURS


def _on_constant_image(
    audit: LayerAudit, affine: dict[int, tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray] | None:
    """By unit, (r, c): it answers r m + c to an image that is m everywhere."""
    layer = audit.layer
    try:
        kernel = layer.weight.array().astype(np.float64).sum(axis=(2, 3))
        bias = np.zeros(len(kernel)) if layer.bias is None else layer.bias.array().astype(np.float64).reshape(-1)
    except InitauditError:
        return None
    channels = kernel.shape[1] * layer.groups
    entering = affine.get(id(layer.input), (np.ones(channels), np.zeros(channels)))
    if len(bias) != len(kernel) or any(len(part) != channels for part in entering):
        return None
    grouped = kernel.reshape(layer.groups, -1, kernel.shape[1])
    response, constant = (
        np.einsum("goi,gi->go", grouped, part.reshape(layer.groups, -1)).reshape(-1) for part in entering
    )
    return response, constant + bias


def _bias_decides(audit: LayerAudit) -> bool:
    """Whether what does not depend on the input outweighs what does, in front of an activation; one constant was not learned from pixels."""
    signal, bias = audit.signal, audit.bias
    if bias is not None and bias.count > 1 and bias.min == bias.max:
        return False
    if signal is None or audit.layer.activation is None or not signal.variance > 0.0:
        return False
    return signal.mean_square > DECIDES * signal.variance


def _makes_up_for_a_mean(response: np.ndarray, constant: np.ndarray) -> bool:
    """Whether the constants are opposed to the responses to one and the same mean pixel."""
    sizes = np.dot(response, response), np.dot(constant, constant)
    if not all(sizes):
        return False
    opposed = -float(np.dot(response, constant))
    return DARKEST <= opposed / sizes[0] <= BYTE and opposed > SIGNIFICANT * np.sqrt(
        sizes[0] * sizes[1] / len(response)
    )


def _has_seen_pixels(audit: LayerAudit) -> bool:
    """Whether the BatchNormalization behind the layer has seen the variance that pixels make."""
    layer, signal = audit.layer, audit.signal
    consumers = layer.output.consumers if layer.output is not None else []
    norm = next((node for node, position in consumers if node.op_type == "BatchNormalization" and position == 0), None)
    seen = norm.input(4) if norm is not None else None
    if seen is None or seen.tensor is None or signal is None or signal.own is None or not signal.own.variance > 0.0:
        return False
    expected = signal.own.variance * (BYTE * PIXEL_SPREAD) ** 2
    return 1 / FAR <= float(np.mean(seen.tensor.array())) / expected <= FAR
