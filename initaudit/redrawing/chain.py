"""The chain as a whole: what each layer of a network is to hold so that signal and differences between inputs pass all of them.

Layer by layer in topological order, with the mean m and the variance v of what the layer reads, a and b of its own activation (`shaping`), and Q
orthogonal with rows of mean square 1:

    W = a Q / sqrt(v)        bias = b - m sum_j W_ij

so that each unit's pre-activation is N(b, a^2), whatever the mean in front of it. The end of a residual branch is divided by the root of the number of
branches. A norm in front of the activation has scale a and shift b instead. A layer without a bias has weights that sum to zero. A gate, whose
activation another layer's output is multiplied with, starts nearly constant, so that the other passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.initialisation.layer_gain import activation_of
from initaudit.initialisation.schemes import SCHEMES
from initaudit.initialisation.targets import factor_before_activation
from initaudit.kind import Kind
from initaudit.redrawing.arriving import Arrivals, Arriving
from initaudit.redrawing.biases import writable_bias
from initaudit.redrawing.shaping import STRAIGHT, Shape, gate_shape, shape_at, shape_for

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.measuring.layer_audit import LayerAudit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Link:
    """One layer of the chain."""

    audit: LayerAudit
    shape: Shape
    arriving: Arriving
    share: float = 1.0
    """What the weights are multiplied by beside: 1 / sqrt(branches) at the end of a branch."""
    factor: float = 1.0
    """What the output is multiplied by in front of the activation, as in sin(30 (W x + b))."""
    norm: LayerAudit | None = None
    """The norm in front of the activation, which holds a and b instead of the layer."""
    has_bias: bool = True

    @property
    def spread(self) -> float:
        """Standard deviation that the layer's own output is to have."""
        return self.share * (1.0 if self.norm is not None else self.shape.spread / self.factor)

    @property
    def shift(self) -> float:
        """Mean that the layer's own output is to have."""
        return 0.0 if self.norm is not None else self.shape.shift / self.factor

    @property
    def std(self) -> float:
        """Of the weights."""
        return self.spread / math.sqrt(self.arriving.variance * _inputs(self.audit.layer))

    def weights(self, layer: Layer, rng: np.random.Generator) -> np.ndarray:
        """New weights in the shape of the operand, float64."""
        view = layer.weight
        drawn = _orthogonal(layer, rng)
        if not self.has_bias and self.arriving.mean != 0.0:
            drawn = drawn - drawn.mean(axis=_summed(layer), keepdims=True)
        size = math.sqrt(float(np.mean(drawn**2)))
        assert drawn.shape == view.shape
        return np.asarray(drawn * (self.std / size if size else 0.0))

    def bias(self, layer: Layer, weights: np.ndarray) -> np.ndarray:
        """New biases of the units for these weights, flat."""
        strides = math.prod(layer.node.attr("strides") or [1]) if layer.kind is Kind.CONV_TRANSPOSE else 1
        sums = weights.sum(axis=_summed(layer)).reshape(-1) / strides
        return np.asarray(self.shift - self.arriving.mean * sums)


def links(layers: Sequence[LayerAudit]) -> list[Link]:
    """The layers whose place in the chain is known, in topological order; the others stay as they are."""
    arrivals = Arrivals(layers)
    chosen = [a for a in layers if _can_be_shaped(a)]
    branches = sum(a.layer.ends_residual_branch for a in chosen)
    gated = _gated(chosen)
    bent = [a for a in chosen if a.layer.activation is not None and not _is_gate(a.layer, gated)]
    last = bent[-1] if bent else None
    length = sum(1.0 / branches if a.layer.in_residual_branch and branches else 1.0 for a in bent)
    norms = {id(a.layer.input): a for a in layers if a.layer.kind is Kind.NORM and a.layer.untrainable is None}
    known: dict[Hashable, Shape] = {}
    found: list[Link] = []
    for audit in chosen:
        facts = audit.layer
        arriving = arrivals.at(facts.input)
        if arriving is None or not 0 < arriving.variance < math.inf or facts.output is None:
            continue
        norm = norms.get(id(facts.output)) if facts.normalized_by is not None else None
        has_bias = writable_bias((norm or audit).layer) is not None
        fixed = _behind_fixed_norm(facts, norm)
        gate = _is_gate(facts, gated)
        straight = fixed or audit is last or (gate and not has_bias)
        shape = _shape_of(facts, known, length, shifted=has_bias, straight=straight, gate=gate)
        ends = facts.ends_residual_branch and not facts.normalized_before_use and branches
        link = Link(
            audit=audit,
            shape=shape,
            arriving=arriving,
            share=1.0 / math.sqrt(branches) if ends else 1.0,
            factor=factor_before_activation(facts) or 1.0,
            norm=norm if facts.activation is not None else None,
            has_bias=writable_bias(facts) is not None,
        )
        found.append(link)
        arrivals.give(facts.output, link.shift, link.spread**2)
        if facts.postactivation is not None and math.isfinite(shape.mean + shape.variance):
            arrivals.give(facts.postactivation, shape.mean, shape.variance)
    return found


def gates_without_bias(layers: Sequence[LayerAudit]) -> list[LayerAudit]:
    """The layers whose activation multiplies another layer's output, with no bias to hold them nearly constant and no norm around them."""
    gated = _gated(layers)
    return [a for a in layers if _is_gate(a.layer, gated) and a.layer.bias is None and not _has_norm_around(a.layer)]


def _can_be_shaped(audit: LayerAudit) -> bool:
    """Whether the layer is a product with weights of its own that may be drawn."""
    facts = audit.layer
    return (
        facts.kind.is_product
        and facts.kind is not Kind.ATTENTION
        and facts.untrainable is None
        and audit.target is not None
        and not facts.gives_offsets
        and not facts.shared_with
        and (facts.activation is None or activation_of(facts) is not None)
    )


def _shape_of(
    facts: Layer, known: dict[Hashable, Shape], length: float, *, shifted: bool, straight: bool, gate: bool
) -> Shape:
    """That of the layer's activation; at unit spread where it is `straight`, as the last of the chain is."""
    if facts.activation is None:
        return STRAIGHT
    named = facts.activation != "custom"
    key: Any = (
        facts.activation if named else facts.name,
        tuple(sorted(facts.activation_params.items())),
        shifted,
        straight,
        gate,
    )
    if key not in known:
        phi = activation_of(facts)
        assert phi is not None
        if straight:
            known[key] = shape_at(phi, 1.0, 0.0)
        else:
            known[key] = gate_shape(phi) if gate else shape_for(phi, length, shifted=shifted)
    return known[key]


def _has_norm_around(facts: Layer) -> bool:
    before = None if facts.input is None else facts.input.producer
    return facts.normalized_by is not None or (before is not None and before.spec.norm is not None)


def _gated(layers: Sequence[LayerAudit]) -> set[int]:
    """What layers give that is multiplied with another signal, by id."""
    return {id(a.layer.output) for a in layers if "gate" in a.layer.feeds}


def _is_gate(facts: Layer, gated: Collection[int]) -> bool:
    """Whether the layer's activation is multiplied with one of the values `gated`, by id."""
    value = facts.postactivation
    return value is not None and any(
        node.op_type == "Mul" and any(id(other) in gated for other in node.inputs) for node, _ in value.consumers
    )


def _behind_fixed_norm(facts: Layer, norm: LayerAudit | None) -> bool:
    """Whether a norm stands in front of the activation whose scale is not to be had."""
    return facts.normalized_by is not None and norm is None


def _inputs(facts: Layer) -> float:
    """Products in each output: of a transposed convolution one tap in stride meets a value."""
    stride = math.prod(facts.node.attr("strides") or [1]) if facts.kind is Kind.CONV_TRANSPOSE else 1
    return facts.fan_in / stride


def _summed(layer: Layer) -> tuple[int, ...]:
    """Axes of the operand that one unit sums over."""
    return tuple(axis % len(layer.weight.shape) for axis in layer.weight.input_axes)


def _orthogonal(layer: Layer, rng: np.random.Generator) -> np.ndarray:
    """Of any scale; each group by itself."""
    view = layer.weight
    (first, *rest), groups = view.shape, layer.groups

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        return SCHEMES["orthogonal"].draw(
            shape, rng, fan_in=layer.fan_in, fan_out=layer.fan_out, unit_axes=view.unit_axes, input_axes=view.input_axes
        )

    if groups > 1 and first % groups == 0:
        return np.concatenate([draw((first // groups, *rest)) for _ in range(groups)])
    return draw(view.shape)
