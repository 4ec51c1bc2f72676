"""Outlook: how the longest stretch of a network would behave with depth if its weights were drawn as recommended, by mean-field theory.

What no initialisation changes: the activation forgets inputs or bends the gradient at any scale that it has, and few units scatter about
the mean field.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.initialisation.layer_gain import activation_of, gain_of
from initaudit.initialisation.mean_field import Signal, passage
from initaudit.measuring.chi import weight_gain
from initaudit.measuring.theory import previous_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from initaudit.extraction.layer import Layer
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Graph, Value

STEEP_SQUARE = 1e4
"""Factor on the squared gradient, or share of what differs between inputs, that a stretch may cost: a hundred in size, as for `factors.STEEP`."""
SCATTERED = 5.0
"""Variance of the logarithm of the squared gradient from which chance decides: one draw differs from the next by e^2.2 or ten. For ReLU it
is a narrowness of 1, at which half of the networks learn (`score.NARROWNESS_STEEPNESS`)."""
KNOWN_WAYS = frozenset({"layer", "output", "residual_add"})
"""What may consume a layer's output beside its activation and norms: elsewhere (gates, attention) the theory of a chain ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Of one stretch."""

    layers: tuple[LayerAudit, ...]
    log_chi: float
    """Natural logarithm of the factor on the squared gradient, from its end to its beginning."""
    contrast: float
    """What is left at its end of the difference between two inputs that have nothing in common."""
    mean_contrast: float
    """The same on average over its layers."""
    scatter: float
    """Variance of the logarithm of the squared gradient over draws."""

    @property
    def is_steep(self) -> bool:
        """Whether the activation loses the input or the gradient exponentially, at a depth scale that is short for the stretch."""
        return abs(self.log_chi) > math.log(STEEP_SQUARE) or self.contrast < 1 / STEEP_SQUARE

    @property
    def is_scattered(self) -> bool:
        """Whether the stretch is too long for its width."""
        return self.scatter > SCATTERED

    @property
    def depth_scale(self) -> float:
        """Layers over which the squared gradient changes by a factor e; infinite at the edge of chaos."""
        return len(self.layers) / abs(self.log_chi) if self.log_chi else math.inf

    @property
    def activation(self) -> str:
        """That of most of its layers."""
        names = Counter(audit.layer.activation for audit in self.layers if audit.layer.activation is not None)
        return names.most_common(1)[0][0] if names else "no activation"

    @property
    def width(self) -> float:
        """Elements of a layer's output, the harmonic mean."""
        return len(self.layers) / math.fsum(1 / _width(audit) for audit in self.layers)


def outlook_of(graph: Graph, layers: Sequence[LayerAudit]) -> Outlook | None:
    """That of the stretch with the worst prospects; None where no layer is known to theory."""
    found = [_follow(stretch) for stretch in _stretches(graph, layers)]
    return max(
        found, key=lambda o: max(o.scatter / SCATTERED, abs(o.log_chi), -math.log(o.contrast or 1e-300)), default=None
    )


def _stretches(graph: Graph, layers: Sequence[LayerAudit]) -> Iterator[tuple[LayerAudit, ...]]:
    """The layers on the longest way to the last one, cut where skip connections return and where theory has nothing to say."""
    by_name = {a.layer.name: a for a in layers if a.layer.kind.is_drawn and not a.layer.untrainable}
    before = previous_layers(graph, [a.layer for a in by_name.values()])
    way: list[LayerAudit] = []
    name = next(reversed(by_name), None)
    while name is not None:
        way.append(by_name[name])
        name = before.get(name)
    part: list[LayerAudit] = []
    for audit in reversed(way):
        known = _is_known(audit.layer)
        if known:
            part.append(audit)
        if part and (audit.layer.ends_residual_branch or not known):
            yield tuple(part)
            part = []
    if part:
        yield tuple(part)


def _is_known(layer: Layer) -> bool:
    """Whether the layer is a plain product whose output goes through norms and an activation that gives numbers, and through nothing else."""
    gain = gain_of(layer)
    if not layer.kind.is_product or gain is None or math.isnan(gain.forward):
        return False
    return all(way in KNOWN_WAYS or way == layer.activation or way.startswith("norm:") for way in layer.feeds)


def _follow(stretch: Sequence[LayerAudit]) -> Outlook:
    signal, log_chi, scatter, contrasts = Signal(), 0.0, 0.0, []
    before: LayerAudit | None = None
    for audit in stretch:
        layer = audit.layer
        norms = {layer.normalized_by, "batch_norm" if layer.folded_norm else None, _norm_between(before, layer)} - {
            None
        }
        if norms:
            signal = Signal(contrast=1.0 if "batch_norm" in norms else signal.contrast)
        std = audit.target.std if audit.target is not None else audit.stats.std
        through = passage(signal, 1.0 if norms else weight_gain(layer, std**2), activation_of(layer))
        log_chi += math.log(max(through.chi, 1e-300))
        scatter += 0.0 if norms or layer.is_head else through.scatter / _width(audit)
        signal, before = through.behind, audit
        contrasts.append(signal.contrast)
    return Outlook(
        layers=tuple(stretch),
        log_chi=log_chi,
        contrast=contrasts[-1],
        mean_contrast=math.fsum(contrasts) / len(contrasts),
        scatter=scatter,
    )


def _width(audit: LayerAudit) -> int:
    """Elements of the layer's output for one input, or its units where that was not measured."""
    elements = audit.signal.elements if audit.signal is not None else None
    return max(1, elements or audit.stats.count // max(1, audit.layer.fan_in))


def _norm_between(before: LayerAudit | None, layer: Layer) -> str | None:
    """Name of a normalisation on the way from one layer to the next, if there is one."""
    source = None if before is None else before.layer.postactivation or before.layer.output
    value: Value | None = layer.input
    while value is not None and value is not source and value.producer is not None:
        node = value.producer
        if node.spec.norm is not None:
            return node.spec.norm
        value = next(iter(node.signals()), None)
    return None
