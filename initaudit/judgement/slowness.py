"""Slowness: how many times as many training steps the network needs as it would with its recommended initialisation.

The network as it is and its twin, in which every drawn layer starts at its target, are measured in the same way; what differs between
the two is the initialisation alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.errors import InitauditError
from initaudit.judgement.dynamics import dynamics_of
from initaudit.judgement.pace import factor_between
from initaudit.judgement.recommended import keep, known, measured, way_of
from initaudit.judgement.score import SUFFICES, TRAINABLE, score_of
from initaudit.probe.process import Aborted
from initaudit.redrawing.twin import to_redraw, twin_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.judgement.context import Context
    from initaudit.judgement.dynamics import Dynamics
    from initaudit.judgement.trainability import Trainability
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.load import Model
    from initaudit.probe.plan import ProbeOptions
    from initaudit.redrawing.choice import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowness:
    """The factor, or why there is none."""

    factor: float | None
    """Steps to a given accuracy over those of the recommended start, None where not known."""
    why: str
    """What it is compared with, or why it is not known, in words."""
    scheme: str | None = None
    """What most of the layers of the recommended start are drawn from; None where they are not drawn anew."""
    compared: tuple[Dynamics, Dynamics] | None = None
    """The network and its recommended start."""
    interrupted: str | None = None
    """Why the measurement of the recommended start was ended, where it was."""


def slowness(
    model: Model,
    layers: Sequence[LayerAudit],
    context: Context,
    learning: Trainability | None,
    options: ProbeOptions,
    *,
    deadline: float,
) -> Slowness:
    """Compare the network with its twin.

    Args:
        model: the network.
        layers: probed, in topological order.
        context: only a fresh network is one draw of many; what was trained is more than its scale.
        learning: its trainability.
        options: of its own probe.
        deadline: on `time.monotonic`'s clock, when the measurement of the twin is given up.
    """
    if context.name != "fresh":
        return Slowness(factor=None, why=f"the network is {context.name}, not known to be fresh")
    if learning is None:
        return Slowness(factor=None, why="trainability was not measured")
    if learning.score < TRAINABLE:
        return Slowness(factor=None, why="the network is not expected to learn at all")
    chosen = to_redraw(layers, centre=learning.score < SUFFICES)
    if not chosen:
        keep("drawn", layers)
        return Slowness(factor=1.0, why="every drawn layer starts as recommended")
    there = known(way_of(chosen), layers)
    if there is not None:
        own, recommended = dynamics_of(layers), there.dynamics
    else:
        try:
            twin = twin_of(model, chosen, options, deadline=deadline)
        except (InitauditError, MemoryError) as error:
            interrupted = str(error) if isinstance(error, Aborted) else None
            why = f"the recommended start could not be measured: {error or 'out of memory'}"
            return Slowness(factor=None, why=why, interrupted=interrupted)
        keep(way_of(chosen), twin)
        both = measured(layers) & measured(twin)
        own, recommended = (dynamics_of([a for a in some if a.layer.name in both]) for some in (layers, twin))
    if own is None or recommended is None or not recommended.finite:
        return Slowness(factor=None, why="the recommended start leaves the finite numbers")
    if score_of(recommended) < TRAINABLE:
        why = "drawn layer by layer as recommended, the network is not expected to learn"
        return Slowness(factor=None, why=why, compared=(own, recommended))
    schemes = Counter(choice.audit.target.scheme for choice in chosen if choice.audit.target is not None)
    scheme = schemes.most_common(1)[0][0]
    return Slowness(
        factor=factor_between(own, recommended),
        scheme=scheme,
        why=f"steps over those of the same network with {_counted(chosen)} by {scheme}",
        compared=(own, recommended),
    )


def _counted(chosen: Sequence[Choice]) -> str:
    """How many are drawn; a weight with several uses is one, as in what `fix` changes."""
    weights = [choice.audit.layer.weight for choice in chosen]
    count = len({(id(w.tensors[0]) if w.tensors else id(w), w.part) for w in weights})
    return "one layer drawn anew," if count == 1 else f"{count} layers drawn anew, most"
