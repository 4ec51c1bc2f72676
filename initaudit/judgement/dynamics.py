"""Dynamics: how a network would start to learn, summed up from what the probe measured at its layers.

Near its start a network learns as its tangent kernel says (Jacot et al. 2018): the answer to an input x moves, per unit
of learning rate, by the sum over weights of the products of their gradients at x and at the inputs of the batch. The
diagonal of that kernel is the squared gradient of an output, which the backward probe measures layer by layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.probe.signal import Moments, Signal

LARGEST_LOG = 300.0
"""Decimal logarithm at which numbers are cut off, short of float64's overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLayer:
    """One layer whose weight gradient was measured."""

    name: str
    kernel: float
    """Squared Frobenius norm of the gradient of one output with respect to the layer's weight, for one input."""
    weight_square: float
    """Squared Frobenius norm of the weight."""
    count: int
    """Elements of the weight."""
    contrast: float
    """Share of the mean square of the layer's input that varies over inputs, in [0, 1]."""
    input_variance: float | None
    """What it is a share of, before dividing."""
    gradient: float
    """Root mean square of the gradient at the layer's output."""
    reach: float
    """Mean square change of one output when the layer's output moves by its own spread over inputs, to first order."""
    elements: int
    """Elements of the layer's output for one input."""
    is_head: bool
    """Whether its output is an output of the network."""
    ends_shortcut: bool
    """Whether a shortcut that bypasses the layer meets its output."""
    scale_free: bool = False
    """Whether a BatchNorm takes the scale of its weights out of the answers."""
    is_factor: bool = False
    """Whether it is the scale of a norm or a learned gain, and no layer of the way."""
    kernel_contrast: float | None = None
    """Share of `kernel` that acts on the differences between inputs, where it was measured rather than taken to be `contrast`."""

    @property
    def apart(self) -> float:
        """The part of `kernel` that acts on the differences between inputs."""
        return self.kernel * (self.contrast if self.kernel_contrast is None else self.kernel_contrast)

    @property
    def log_relative_gradient(self) -> float:
        """Decimal logarithm of |dL/dW| / |W|."""
        return 0.5 * (log10(self.kernel) - log10(self.weight_square))

    @property
    def log_size(self) -> float:
        """Decimal logarithm of the weight's root mean square."""
        return 0.5 * (log10(self.weight_square) - log10(self.count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """The quantities that decide, per output and for a learning rate of 1."""

    layers: tuple[MeasuredLayer, ...]
    """In topological order; the last one stands for the outputs."""
    answer_scale: float
    """Root mean square of the outputs, at least 1: where they are large, they must move by as much."""
    dimension: float | None
    """In how many directions the inputs of the last layer differ; None where they do not."""
    answer_variance: float
    """Variance of the outputs over inputs."""
    tied: float
    """Share of the hidden units that compute the same as another one and always will."""
    finite: bool
    """Whether all that was measured is a finite number."""
    by_batch: bool = False
    """Whether a BatchNorm stands behind most of the layers."""
    bypassed: bool = False
    """Whether most of the layers lie in residual branches."""

    @property
    def drawn(self) -> tuple[MeasuredLayer, ...]:
        """Those on the signal's way, without factors."""
        return tuple(layer for layer in self.layers if not layer.is_factor)

    @property
    def kernel(self) -> float:
        """Tangent kernel of an input with itself."""
        return math.fsum(layer.kernel for layer in self.layers)

    @property
    def contrast_kernel(self) -> float:
        """The part of the kernel that acts on the differences between inputs rather than on what they share."""
        return math.fsum(layer.apart for layer in self.layers)

    @property
    def relative_step(self) -> float:
        """Number of layers times the geometric mean of |dL/dW| / |W|.

        To first order the relative change of the network in one step (deep relative trust, Bernstein et al. 2020). The
        geometric mean, because a single tiny weight grows in the first steps and harms nobody.
        """
        return float(10.0 ** min(LARGEST_LOG, self.together(lambda layer: layer.log_relative_gradient)))

    def together(self, log_change: Callable[[MeasuredLayer], float]) -> float:
        """Decimal logarithm of the number of layers times the geometric mean of a change, given as its logarithm.

        Over the layers on the signal's way that have a gradient, and a weight that it can be compared with.
        """
        logs = [log_change(layer) for layer in self.drawn if layer.kernel > 0 and layer.weight_square > 0]
        return math.log10(len(logs)) + math.fsum(logs) / len(logs) if logs else -LARGEST_LOG

    @property
    def roughness(self) -> float:
        """How much faster the answers change with the input, at close range, than they differ between inputs.

        At least 1 for N(0, 1) inputs and what depends on them smoothly (the Gaussian Poincare inequality, Var f <=
        E|grad f|^2), 1 for a linear network; in the chaotic phase (Poole et al. 2016) it grows exponentially with depth.
        The largest over the layers; 1 where the answers do not vary.
        """
        if not self.answer_variance > 0:
            return 1.0
        return max(1.0, *(layer.reach / self.answer_variance for layer in self.drawn))

    @property
    def stretches(self) -> tuple[tuple[MeasuredLayer, ...], ...]:
        """The layers between one shortcut's end and the next."""
        parts: list[list[MeasuredLayer]] = [[]]
        last = self.drawn[-1]
        for layer in self.drawn:
            if layer.is_head and layer is not last:
                continue  # an output beside others lies on no way to them
            parts[-1].append(layer)
            if layer.ends_shortcut:
                parts.append([])
        return tuple(tuple(part) for part in parts if part)

    @property
    def stretch(self) -> int:
        """Number of layers in the longest stretch that no shortcut bypasses: what must learn in concert."""
        return max(len(part) for part in self.stretches)

    @property
    def narrowness(self) -> float:
        """Sum of 1 / width over the hidden layers of a stretch, the largest: how much chance adds up on the way.

        From about 1 on, the sizes of signals and gradients in a random network scatter by more than their means (Hanin &
        Rolnick 2018, theorems 5 and 6).
        """
        head = self.drawn[-1]
        return max(math.fsum(1 / layer.elements for layer in part if layer is not head) for part in self.stretches)


def dynamics_of(layers: Sequence[LayerAudit]) -> Dynamics | None:
    """Sum up layers in topological order; None where no weight gradient was measured."""
    measured = [
        (audit, signal)
        for audit in layers
        if (signal := audit.probed) is not None and signal.weight_gradient is not None and not audit.layer.untrainable
    ]
    drawn = [(audit, signal) for audit, signal in measured if audit.layer.kind.is_drawn]
    if not drawn:
        return None
    head = drawn[-1][1]
    outputs = head.elements or 1
    probed = _gates_together(measured, [_probed(audit, signal, outputs) for audit, signal in measured])
    finite = math.isfinite(head.mean_square) and all(math.isfinite(layer.kernel) for layer in probed)
    audits = [audit for audit, _ in drawn]
    return Dynamics(
        layers=probed,
        answer_scale=max(1.0, math.sqrt(head.mean_square)) if finite else math.inf,
        dimension=None if head.input is None else head.input.dimension,
        answer_variance=head.variance,
        tied=_tied_share(audits),
        finite=finite and not any(signal.nonfinite for _, signal in drawn),
        by_batch=_most(layers, is_scale_free),
        bypassed=_most(layers, lambda layer: layer.in_residual_branch),
    )


def _most(layers: Sequence[LayerAudit], holds: Callable[[Layer], bool]) -> bool:
    """Whether it holds of most layers, measured or not: of a large network gradients are measured at a few."""
    trained = [a.layer for a in layers if a.layer.kind.is_drawn and not a.layer.untrainable]
    return 2 * sum(map(holds, trained)) > len(trained)


def _gates_together(
    measured: Sequence[tuple[LayerAudit, Signal]], probed: Sequence[MeasuredLayer]
) -> tuple[MeasuredLayer, ...]:
    """The gates of a recurrent weight as the one layer that they are on the signal's way."""
    joined: dict[object, MeasuredLayer] = {}
    for (audit, _), layer in zip(measured, probed, strict=True):
        recurrent = audit.layer.kind.is_recurrent
        key: object = (id(audit.layer.node), audit.layer.role) if recurrent else id(audit)
        known = joined.get(key)
        joined[key] = layer if known is None else _joined(known, layer)
    return tuple(joined.values())


def _joined(one: MeasuredLayer, other: MeasuredLayer) -> MeasuredLayer:
    return replace(
        one,
        kernel=one.kernel + other.kernel,
        weight_square=one.weight_square + other.weight_square,
        count=one.count + other.count,
    )


def _probed(audit: LayerAudit, signal: Signal, outputs: int) -> MeasuredLayer:
    stats = audit.stats
    silent = signal.mean_square == 0.0 and signal.dead == 1.0
    # At exactly 0 a ReLU passes no gradient, but a perturbation of either sign finds its slope on one side.
    gradient = 0.0 if silent else signal.weight_gradient or 0.0
    return MeasuredLayer(
        name=audit.layer.name,
        kernel=gradient * gradient / outputs,
        count=stats.count,
        weight_square=(stats.std**2 + stats.mean**2) * stats.count,
        contrast=_contrast(signal.input),
        input_variance=None if signal.input is None else signal.input.variance,
        gradient=signal.gradient_rms or 0.0,
        reach=_reach(signal, outputs),
        elements=max(1, signal.elements or 1),
        is_head=audit.layer.is_head,
        ends_shortcut=audit.layer.ends_residual_branch,
        scale_free=is_scale_free(audit.layer),
        is_factor=not audit.layer.kind.is_drawn,
        kernel_contrast=signal.weight_contrast,
    )


def is_scale_free(layer: Layer) -> bool:
    """Whether a BatchNorm, folded or not, takes the scale of the layer's weights out of its output."""
    return layer.folded_norm or layer.normalized_by == "batch_norm"


def _reach(signal: Signal, outputs: int) -> float:
    spread = signal.own.variance if signal.own is not None else signal.variance
    try:
        return (signal.gradient_rms or 0.0) ** 2 * (signal.elements or 1) * spread / outputs
    except OverflowError:
        return math.inf


def _contrast(entering: Moments | None) -> float:
    if entering is None:
        return 1.0
    return min(1.0, entering.variance / entering.mean_square) if entering.mean_square > 0 else 0.0


def _tied_share(audits: Sequence[LayerAudit]) -> float:
    """Units stay equal when the weights that enter them are equal and those that leave them are, too."""
    tied = total = 0
    for audit, following in pairwise(audits):
        units = max(1, audit.stats.count // max(1, audit.layer.fan_in))
        total += units
        same_bias = audit.bias is None or audit.bias.min == audit.bias.max
        if (
            same_bias
            and audit.stats.min == audit.stats.max
            and following.stats.min == following.stats.max
            and units > 1
        ):
            tied += units
    return tied / total if total else 0.0


def log10(value: float) -> float:
    """Decimal logarithm, cut off at +-LARGEST_LOG."""
    return max(-LARGEST_LOG, min(LARGEST_LOG, math.log10(value))) if value > 0 else -LARGEST_LOG


def sum_of_logs(logs: Sequence[float]) -> float:
    """Decimal logarithm of the sum of numbers given by their logarithms."""
    largest = max(logs, default=-LARGEST_LOG)
    return largest + math.log10(math.fsum(10.0 ** (log - largest) for log in logs)) if logs else largest


def logistic(x: float) -> float:
    """1 / (1 + exp(-x)), at any x."""
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, x))))
