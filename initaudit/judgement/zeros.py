"""What a layer of zeros does to its network: whether a gradient ever moves it, and whether signal and gradient have a way past it.

A zero is left in the first step where its input is not zero and a gradient arrives. It never is where what follows is flat at zero (a
ReLU passes no gradient there), or where two zeros wait for each other (both factors of a low-rank adapter).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.initialisation.gains import FLAT_SLOPE
from initaudit.initialisation.layer_gain import activation_of
from initaudit.judgement.model_audit import once_per_audit
from initaudit.model.walks import nodes_ahead, nodes_behind

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Node

STEP: Final = 1e-3
"""Width of the difference quotient on the left of the point where an activation rests; frameworks take that side's slope at a kink
(torch and TensorFlow both give ReLU the slope 0 at 0)."""


def is_zero(layer: LayerAudit) -> bool:
    """Whether every weight is zero."""
    return layer.stats.min == 0 == layer.stats.max and not layer.stats.nonfinite


def why_never_learned(layer: LayerAudit, audit: ModelAudit) -> str | None:
    """Why no gradient ever moves a layer of zeros; None where one does, or may."""
    if _rests_where_flat(layer):
        return f"{layer.layer.activation} passes no gradient where it rests"
    measured = layer.probed
    if measured is None or measured.weight_gradient != 0:
        return None
    relatives = _related(layer, audit)
    if any(a.probed is not None and a.probed.weight_gradient for a in relatives):
        return None  # they are left first, and what holds this one ends
    if relatives:
        return f"it and {relatives[0].layer.name}, which is zero too, wait for each other"
    return "no gradient reaches it"


def is_passed_by(layer: LayerAudit, audit: ModelAudit) -> bool:
    """Whether, as measured, each layer in front of it gets a gradient all the same, and each one behind it an input that tells inputs apart."""
    fronts, readers = _feeders(layer, audit), _readers(layer, audit)
    return bool(readers) and all(_has_gradient(a) for a in fronts) and all(_gets_signal(a) for a in readers)


def silences(layer: LayerAudit, audit: ModelAudit) -> bool:
    """Whether, as measured, no layer behind it tells inputs apart: nothing else feeds the path."""
    readers = [a for a in _readers(layer, audit) if a.signal is not None and a.signal.input is not None]
    return bool(readers) and not any(_gets_signal(a) for a in readers)


def _rests_where_flat(layer: LayerAudit) -> bool:
    """Whether nothing but an activation follows, and that is flat on the left of what the layer's bias alone gives."""
    facts, signal = layer.layer, layer.signal
    if facts.activation is None or facts.feeds not in ((facts.activation,), (f"norm:{facts.normalized_by}",)):
        return False
    if signal is not None and signal.mean_square > 0:
        return signal.dead == 1.0
    if signal is None and (facts.normalized_by is not None or not _adds_nothing(layer)):
        return False
    phi = activation_of(facts)
    if phi is None:
        return False
    low, rest = phi(np.array([-STEP, 0.0]))
    return bool(abs(rest - low) < FLAT_SLOPE * STEP)


def _adds_nothing(layer: LayerAudit) -> bool:
    """Whether the layer adds nothing of its own."""
    return layer.bias is None or (layer.bias.min == 0 == layer.bias.max)


def _has_gradient(layer: LayerAudit) -> bool:
    return layer.signal is not None and bool(layer.signal.gradient_rms)


def _gets_signal(layer: LayerAudit) -> bool:
    signal = layer.signal
    return signal is not None and signal.input is not None and signal.input.variance > 0


def _related(layer: LayerAudit, audit: ModelAudit) -> list[LayerAudit]:
    """Other layers and gains of zeros on a way with this one, through any others, the nearest first."""
    distance: dict[Node, int] = {}
    for nodes in (nodes_ahead(layer.layer.output), nodes_behind(layer.layer.input)):
        distance |= {node: steps for steps, node in enumerate(nodes)}
    zeros = [a for a in _zeros(audit) if a is not layer and a.layer.node in distance]
    return sorted(zeros, key=lambda a: distance[a.layer.node])


@once_per_audit
def _zeros(audit: ModelAudit) -> list[LayerAudit]:
    return [a for a in audit.layers if is_zero(a)]


def _feeders(layer: LayerAudit, audit: ModelAudit) -> list[LayerAudit]:
    """The next layers on the way back to the inputs."""
    ends = _mixing(audit)
    return [a for node in nodes_behind(layer.layer.input, ends) for a in ends.get(node, ())]


def _readers(layer: LayerAudit, audit: ModelAudit) -> list[LayerAudit]:
    """The next layers on the way to the outputs."""
    ends = _mixing(audit)
    return [a for node in nodes_ahead(layer.layer.output, ends) for a in ends.get(node, ()) if a is not layer]


@once_per_audit
def _mixing(audit: ModelAudit) -> dict[Node, list[LayerAudit]]:
    """Layers that are more than a factor or a table, by node."""
    found: dict[Node, list[LayerAudit]] = {}
    for audited in audit.layers:
        if audited.layer.kind.is_mixing:
            found.setdefault(audited.layer.node, []).append(audited)
    return found
