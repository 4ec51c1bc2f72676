"""INI603 copied-layer: two weights that should differ hold the same values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from initaudit.extraction.copies import exclude_each_other, stored_once
from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

MIN_DISTINCT = 8
"""Different absolute values from which equal tensors are no accident; a selector or a fixed filter has fewer, and may well be used twice."""


class CopiedLayer(Rule):
    """Two weights that should differ hold the same values.

    Why: a loading or merging step wrote one layer's weights into another, or a module was copied and not trained since.
    Harmless when: the weights are tied and the exporter wrote them twice, or fresh layers were cloned (torch.nn.TransformerEncoder does).
    A weight that is stored once is taken for tied, unless torch's older exporter says that it was two (`b.weight = Identity(a.weight)`); its
    newer one stores equal weights once and does not say so. A table and a head, and the branches of an If, may share.
    Fix: load each layer from its own entry; initialise each clone by itself.
    References: PyTorch documentation of torch.nn.TransformerEncoder (its layers are clones of one).
    """

    code = "INI603"
    name = "copied-layer"
    severity = Severity.WARNING
    by_consequence = (Severity.INFO,)
    remedy = Remedy.CHECK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """Groups weights by their statistics, then compares their values."""
        groups: dict[tuple[object, ...], list[LayerAudit]] = {}
        for layer in audit.layers:
            stats, facts = layer.stats, layer.layer
            if not facts.kind.is_drawn or facts.untrainable or not facts.weight.tensors or not stats.std > 0:
                continue
            key = (facts.kind, facts.weight.shape, facts.weight.part, stats.mean, stats.std, stats.min, stats.max)
            groups.setdefault(key, []).append(layer)
        for group in groups.values():
            if len(group) < 2 or np.unique(np.abs(group[0].stats.sample)).size < MIN_DISTINCT:
                continue
            for other in group[1:]:
                if _is_copy(other, group[0]):
                    yield self._finding(other, group[0], trained=audit.context.has_training)

    def _finding(self, other: LayerAudit, first: LayerAudit, *, trained: bool) -> Finding:
        advice = "Check the loading step" if trained else "Initialise each of the copies by itself"
        return self.finding(
            other,
            f"Its weights equal those of {first.layer.name}, which are a parameter of their own.",
            measured=0.0,
            expected=None,
            severity=Severity.WARNING if trained else Severity.INFO,
            confidence=Confidence.MEDIUM,
            remedy=Remedy.LOAD_VALUES if trained else Remedy.CHECK,
            suggestion=f"{advice}; where the weights are tied on purpose, ignore the layer with that reason.",
        )


def _is_copy(layer: LayerAudit, other: LayerAudit) -> bool:
    """Whether two layers of equal statistics have equal weights without sharing them."""
    mine, its = layer.layer, other.layer
    if exclude_each_other(mine, its):
        return False
    if mine.weight.tensors[0] is its.weight.tensors[0]:
        return stored_once(mine, its)
    return np.array_equal(layer.stats.sample, other.stats.sample)
