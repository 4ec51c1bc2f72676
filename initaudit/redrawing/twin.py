"""The twin: the same network with its weights drawn as recommended, measured as the network itself is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.errors import ProbeError
from initaudit.extraction.extract import extract_layers
from initaudit.measuring.measure import measure
from initaudit.measuring.theory import with_theory
from initaudit.model.load import private_copy
from initaudit.probe.probe import probe
from initaudit.probe.process import Aborted
from initaudit.redrawing.centring import readers
from initaudit.redrawing.chain import links
from initaudit.redrawing.choice import Choice, Recipe
from initaudit.redrawing.misfit import is_misfit
from initaudit.redrawing.positions import set_values
from initaudit.redrawing.redraw import redraw
from initaudit.redrawing.shaped import shape_chain
from initaudit.redrawing.split import split_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.load import Model
    from initaudit.probe.plan import ProbeOptions
    from initaudit.redrawing.choice import Change, Refusal
    from initaudit.redrawing.contents import Contents

MOST_PARAMETERS = 1 << 24
"""Weights up to which a twin is made. A judgement: ResNet-18 has 12 million; from ResNet-50 on a second probe takes longer than most who ask would wait."""


def to_redraw(layers: Sequence[LayerAudit], *, centre: bool) -> list[Choice]:
    """The layers that do not start as recommended; with `centre` those behind an activation that is mostly mean, too."""
    gains = readers([audit.layer for audit in layers]) if centre else {}
    return [
        Choice(audit=audit, reason="twin", centred_gain=gains.get(audit.layer.name))
        for audit in layers
        if is_misfit(audit) or (audit.layer.name in gains and audit.ratio)
    ]


def twin_of(
    model: Model, chosen: Sequence[Choice], options: ProbeOptions, *, deadline: float | None = None
) -> tuple[LayerAudit, ...]:
    """The layers of the network with new weights for the chosen ones, probed with the same inputs; the model stays as it is.

    Raises ProbeError with the reason where there is no twin; Aborted where it was not done by `deadline` (see `probe`).
    """
    return _twin(model, chosen, lambda copy: redraw(copy, chosen, options.seed, Recipe()), options, deadline)


def shaped_twin(
    model: Model, layers: Sequence[LayerAudit], options: ProbeOptions, *, deadline: float | None = None
) -> tuple[LayerAudit, ...]:
    """The same of the network whose chain is shaped as a whole."""
    found = links(layers)
    chosen = [Choice(audit=a, reason="twin") for link in found for a in (link.audit, link.norm) if a is not None]
    return _twin(model, chosen, lambda copy: shape_chain(copy, found, options.seed), options, deadline)


def _twin(
    model: Model,
    chosen: Sequence[Choice],
    draw: Callable[[Model], tuple[Sequence[Change], Sequence[Refusal], Contents]],
    options: ProbeOptions,
    deadline: float | None,
) -> tuple[LayerAudit, ...]:
    if sum(tensor.size for _, tensor in model.graph.tensors()) > MOST_PARAMETERS:
        raise ProbeError(f"the network has more than {MOST_PARAMETERS:,} weights")
    copy = split_copies(private_copy(model), chosen)
    changes, refusals, contents = draw(copy)
    if not changes:
        raise ProbeError(refusals[0].reason if refusals else "no layer can be drawn anew")
    for key in tuple(contents.values):
        set_values(contents.tensors[key], contents.values.pop(key))
    extraction = extract_layers(copy)
    probed = probe(copy, extraction.layers, options, deadline=deadline)
    if probed.interrupted:
        raise Aborted(probed.reason or "the probe was interrupted")
    if probed.status == "failed":
        raise ProbeError(probed.reason or "the probe failed")
    layers, _ = measure(extraction.layers, seed=options.seed)
    return with_theory(copy.graph, layers, probed.signals)
