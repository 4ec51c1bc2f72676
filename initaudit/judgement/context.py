"""Context: is the network fresh, trained, or a mixture? Each is judged by its own standard (init-scale rules bite on fresh ones)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initaudit.judgement.running_statistics import never_updated
from initaudit.kind import Kind

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit

FRESH_SHARE = 0.8
"""Share of decided layers at a known law from which a network without trained layers counts as fresh although a few layers
escape recognition. A judgement: of fresh tensors fewer than 2 % escape (`benchmarks/provenance.py`), but a scheme of the user's
own may start a fifth of the layers."""
TRAINED_SHARE = 0.1
"""Below this share of untrained layers a network is called trained; at or above it, mixed. Only the word differs: INI601 names the layers in both."""
MANY_WEIGHTS = 8
"""Weights too small to decide alone that all fit a law, from which they are decided together. A judgement: of 132 weights of 22 trained
networks 32 fit one without deciding, a quarter; were they independent, eight would once in 65,000 networks."""
MANY_VALUES = 1000
"""Values that they must hold together: what one weight needs to be taken for a draw (`stats.provenance.BELL_LAW`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """fresh | trained | mixed | unknown, with the evidence in words."""

    name: str
    evidence: tuple[str, ...] = ()

    @property
    def has_training(self) -> bool:
        """Whether some part of the network was trained."""
        return self.name in ("trained", "mixed")


def infer_context(layers: Sequence[LayerAudit], override: str = "auto") -> Context:
    """Judge by the provenance of the weights that are large enough to decide, by the biases and by the norm parameters."""
    if override != "auto":
        return Context(name=override, evidence=(f"given as {override}",))
    weights = [
        a for a in layers if a.provenance is not None and a.layer.untrainable is None and a.layer.kind is not Kind.OTHER
    ]  # a vector that is only added may start at any pattern: the decay of a recurrence, the slopes of a position bias
    stored = _by_tensor(weights)  # the gates of a recurrent layer are one witness, not four
    untrained = [a for a in stored if a.provenance and a.provenance.untrained is True]
    trained = [a for a in stored if a.provenance and a.provenance.untrained is False]
    convincing = [a for a in trained if a.provenance and a.provenance.confidence == "high"]
    guessed = [a for a in untrained if a.provenance and a.provenance.confidence == "low"]
    if len(guessed) == len(untrained) < len(convincing):  # a trained layer that is bell-shaped by accident
        untrained = []
    decided = len(untrained) + len(trained)
    evidence = []
    if decided:
        evidence.append(f"{len(untrained)} of {decided} decidable weights follow an initialisation scheme")
    marks = _training_marks(layers)
    evidence += marks.evidence
    if not decided:
        if weights and all(a.stats.std == 0 for a in weights):  # no training leaves every weight of a layer equal
            return Context(name="fresh", evidence=(*evidence, "all weights are constant"))
        if not marks.trained and _fit_together(stored):
            return Context(
                name="fresh", evidence=(*evidence, f"none of {len(stored)} small weights departs from a law")
            )
        return Context(name="trained" if marks.trained else "unknown", evidence=tuple(evidence))
    share = len(untrained) / decided
    if not trained or (share >= FRESH_SHARE and not marks.trained and len(convincing) < len(untrained)):
        name = "fresh"
    elif share < TRAINED_SHARE:
        name = "trained"
    else:
        name = "mixed"
    return Context(name=name, evidence=tuple(evidence))


def with_training(layers: Sequence[LayerAudit], context: Context) -> tuple[LayerAudit, ...]:
    """The layers, with what the context and their provenance together say of whether they were trained."""
    return tuple(
        replace(a, trained=context.has_training and (a.provenance is None or a.provenance.untrained is not True))
        for a in layers
    )


def _fit_together(stored: Sequence[LayerAudit]) -> bool:
    """Whether weights of which none decides alone are so many that their all fitting a law is no accident."""
    varied = [a for a in stored if a.stats.std > 0]
    fitting = [a for a in varied if a.provenance and a.provenance.distribution is not None]
    values = sum(a.stats.count for a in fitting)
    return len(fitting) == len(varied) >= MANY_WEIGHTS and values >= MANY_VALUES


def _by_tensor(weights: Sequence[LayerAudit]) -> list[LayerAudit]:
    """One layer or part for each stored tensor: the one that most of its parts agree with, trained ones first."""
    groups: dict[int, list[LayerAudit]] = {}
    for audit in weights:
        key = id(audit.layer.weight.tensors[0]) if audit.layer.weight.tensors else id(audit)
        groups.setdefault(key, []).append(audit)
    return [_majority(group) for group in groups.values()]


def _majority(group: Sequence[LayerAudit]) -> LayerAudit:
    votes = {
        value: [a for a in group if a.provenance and a.provenance.untrained is value] for value in (False, True, None)
    }
    return max(votes.values(), key=len)[0]


@dataclass(frozen=True, slots=True)
class _Marks:
    trained: bool
    evidence: list[str]


def _training_marks(layers: Sequence[LayerAudit]) -> _Marks:
    """Norm parameters and biases that left the constants at which frameworks start them."""
    norms = [
        a for a in layers if a.layer.kind is Kind.NORM and not (a.stats.std > 0 and never_updated(a.layer))
    ]  # scales of a norm that never saw data were drawn: RepVGG starts them at N(0.1, 0.1) (timm)
    moved = [a for a in norms if a.stats.std > 0]
    biases = [a for a in layers if a.bias is not None and a.bias.count > 1]
    zero = [a for a in biases if a.bias is not None and a.bias.std == 0]
    evidence = []
    if norms:
        evidence.append(f"{len(moved)} of {len(norms)} normalisation vectors have left their constant start")
    if biases:
        evidence.append(f"{len(zero)} of {len(biases)} biases are constant, as at initialisation")
    return _Marks(trained=bool(norms) and len(moved) > len(norms) / 2, evidence=evidence)
