"""INI603 copied-layer: two stored weights that should differ hold the same values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

MIN_COUNT = 64
"""Smaller tensors may well be equal by design."""


class CopiedLayer(Rule):
    """Two stored weights that should differ hold the same values.

    Why: a loading or merging step wrote one layer's weights into another, or a module was copied and not trained since.
    Harmless when: the weights are tied and the exporter wrote them twice, or fresh layers were cloned (torch.nn.TransformerEncoder does).
    Fix: load each layer from its own entry; initialise each clone by itself.
    References: PyTorch documentation of torch.nn.TransformerEncoder (its layers are clones of one).
    """

    code = "INI603"
    name = "copied-layer"
    severity = Severity.WARNING
    remedy = Remedy.CHECK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """Groups stored tensors by their statistics, then compares their values."""
        groups: dict[tuple[object, ...], list[LayerAudit]] = {}
        for layer in audit.layers:
            stats = layer.stats
            if not layer.layer.kind.is_drawn or layer.layer.untrainable or stats.count < MIN_COUNT or not stats.std > 0:
                continue
            key = (layer.layer.weight.shape, stats.mean, stats.std, stats.min, stats.max)
            groups.setdefault(key, []).append(layer)
        for group in groups.values():
            first = group[0]
            for other in group[1:]:
                if other.layer.weight.tensors[0] is first.layer.weight.tensors[0]:
                    continue
                if not (other.stats.sample == first.stats.sample).all():
                    continue
                yield self.finding(
                    other,
                    f"Its weights equal those of {first.layer.name}, which is stored apart.",
                    measured=0.0,
                    expected=None,
                    severity=Severity.WARNING if audit.context.has_training else Severity.INFO,
                    confidence=Confidence.MEDIUM,
                    suggestion=(
                        "Check the loading step"
                        if audit.context.has_training
                        else "Initialise each of the copies by itself"
                    )
                    + "; where the weights are tied on purpose, ignore the layer with that reason.",
                )
