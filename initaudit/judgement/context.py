"""Context: is the network fresh, trained, or a mixture? Each is judged by its own standard (init-scale rules bite on fresh ones)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initaudit.judgement.freshness import survey
from initaudit.judgement.groups import vote_of
from initaudit.judgement.running_statistics import never_trained
from initaudit.judgement.untrained import weigh_evidence, with_evidence
from initaudit.kind import Kind
from initaudit.stats.strays import is_constant

if TYPE_CHECKING:
    from initaudit.judgement.groups import Group
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.stats.provenance import Provenance

TRAINED_SHARE = 0.1
"""Below this share of untrained layers a network is called trained; at or above it, mixed. Only the word differs: INI601 names the layers in both."""
MANY_WEIGHTS = 8
"""Weights too small to decide alone that all fit a law, from which they are decided together. A judgement: of 132 weights of 22 trained
networks 32 fit one without deciding, a quarter; were they independent, eight would once in 65,000 networks."""
MANY_VALUES = 1000
"""Values that they must hold together: what one weight needs to be taken for a draw (`stats.provenance.BELL_LAW`)."""

KNOWN_SCALE = 192
"""Values from which a law is named with some confidence in a fresh network: their scale is known to 5 % then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """fresh | trained | mixed | unknown, with the evidence in words."""

    name: str
    evidence: tuple[str, ...] = ()
    hardly_moved: int = 0
    """Layers large enough to tell that were trained and whose weights still fit their law, where these are most of such ones; else 0."""

    @property
    def has_training(self) -> bool:
        """Whether some part of the network was trained."""
        return self.name in ("trained", "mixed")


def infer_context(layers: Sequence[LayerAudit], override: str = "auto") -> Context:
    """Judge by the provenance of the weights that are large enough to decide, by the biases and by the norm parameters."""
    network = survey(layers)
    groups, moved = network.groups, network.moved
    hardly = [group for group in moved if not group.rejected]
    telling = [group for group in moved if group.count >= MANY_VALUES]
    still_fit = sum(not group.rejected for group in telling)
    hardly_moved = still_fit if 2 * still_fit > len(telling) else 0
    if override != "auto":
        return Context(name=override, evidence=(f"given as {override}",), hardly_moved=hardly_moved)
    weighed = weigh_evidence(network)
    votes = [vote_of([weighed.get(id(a), a.provenance) for a in group.parts if a.provenance]) for group in groups]
    untrained = sum(vote.untrained is True for vote in votes)
    trained = sum(vote.untrained is False for vote in votes)
    decided = untrained + trained
    evidence = []
    if decided:
        evidence.append(f"{untrained} of {decided} decidable weights follow an initialisation scheme")
    marks = _training_marks(layers, hardly)
    evidence += marks.evidence
    fresh = network.freshness > 0 and not marks.trained
    name = _named(untrained, trained + len(hardly), fresh=fresh)
    if name is None:
        name, why = _of_small_ones(groups, marks)
        evidence += why
    return Context(
        name=name, evidence=tuple(evidence), hardly_moved=hardly_moved if name in ("trained", "mixed") else 0
    )


def _named(untrained: int, trained: int, *, fresh: bool) -> str | None:
    """By the weights that decide, and by what all say together; None where there is no such weight."""
    if not untrained + trained:
        return None
    if untrained and (fresh or not trained):
        return "fresh"
    return "trained" if untrained < TRAINED_SHARE * (untrained + trained) else "mixed"


def _of_small_ones(groups: Sequence[Group], marks: _Marks) -> tuple[str, list[str]]:
    """Where no weight decides alone: by all of them together."""
    stored = [part for group in groups for part in group.parts[:1]]
    if stored and all(a.stats.std == 0 for a in stored):  # no training leaves every weight of a layer equal
        return "fresh", ["all weights are constant"]
    if marks.trained:
        return "trained", []
    if _fit_together(stored):
        return "fresh", [f"none of {len(stored)} small weights departs from a law"]
    return "fresh" if marks.still else "unknown", []


def with_training(layers: Sequence[LayerAudit], context: Context) -> tuple[LayerAudit, ...]:
    """The layers, with what the context and all evidence together say of whether they were trained."""
    if context.name == "fresh":
        return tuple(replace(a, provenance=_in_fresh_network(a)) for a in layers)
    if not context.has_training:
        return tuple(layers)
    return tuple(
        replace(a, trained=a.provenance is None or a.provenance.untrained is not True) for a in with_evidence(layers)
    )


def _in_fresh_network(audit: LayerAudit) -> Provenance | None:
    """Where all is drawn, a law that fits values enough to know their scale is the law."""
    origin = audit.provenance
    if origin is None or origin.law is None or origin.confidence != "low" or audit.stats.count < KNOWN_SCALE:
        return origin
    return replace(origin, confidence="medium")


def _fit_together(stored: Sequence[LayerAudit]) -> bool:
    """Whether weights of which none decides alone are so many that their all fitting a law is no accident."""
    varied = [a for a in stored if a.stats.std > 0]
    fitting = [a for a in varied if a.provenance and a.provenance.distribution is not None]
    values = sum(a.stats.count for a in fitting)
    return len(fitting) == len(varied) >= MANY_WEIGHTS and values >= MANY_VALUES


@dataclass(frozen=True, slots=True)
class _Marks:
    trained: bool
    """Most norm scales, or the biases of some layers that fit their law, have moved."""
    still: bool
    """Many biases, and all of them, are constant."""
    evidence: list[str]


def _training_marks(layers: Sequence[LayerAudit], hardly: Sequence[Group]) -> _Marks:
    """Norm parameters and biases that left the constants, or the laws, at which frameworks start them."""
    norms = [
        a for a in layers if a.layer.kind is Kind.NORM and not (a.stats.std > 0 and never_trained(a.layer))
    ]  # scales of a norm that never saw data were drawn: RepVGG starts them at N(0.1, 0.1) (timm)
    moved = [a for a in norms if not is_constant(a.stats)]
    biases = [a for a in layers if a.bias is not None and a.bias.count > 1]
    constant = [
        a
        for a in biases
        if (a.bias is not None and a.bias.sample.size > 0 and is_constant(a.bias)) or a.input_mean is not None
    ]
    evidence = []
    if norms:
        evidence.append(f"{len(moved)} of {len(norms)} normalisation vectors have left their constant start")
    if biases:
        evidence.append(f"{len(constant)} of {len(biases)} biases are constant, as at initialisation")
    if hardly:
        evidence.append(f"{len(hardly)} layers whose weights fit a law have biases, or bounds, that training moved")
    return _Marks(
        trained=len(moved) > len(norms) / 2 or bool(hardly),
        still=len(constant) == len(biases) >= MANY_WEIGHTS,
        evidence=evidence,
    )
