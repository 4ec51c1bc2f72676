"""INI602 untouched-layer: a layer is bit for bit equal to the one in the model given by `--against`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit


class UntouchedLayer(Rule):
    """A layer is bit for bit equal to the one in the model given by `--against`.

    Why: training, or loading, did not touch it: frozen, cut off from the loss, or missing from the optimiser.
    Harmless when: the layer was frozen on purpose.
    Fix: check requires_grad, the optimiser's parameter groups and the path to the loss; see `initaudit diff BEFORE AFTER`.
    References: none needed: equality is exact.
    """

    code = "INI602"
    name = "untouched-layer"
    severity = Severity.WARNING
    remedy = Remedy.TRAIN_LAYER

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Norm scales and single values may stay put by chance and are left out."""
        before = audit.untouched.get(layer.layer.name)
        if before is None or not layer.layer.kind.is_drawn or layer.stats.count < 2:
            return
        yield self.finding(
            layer,
            f"All {layer.stats.count} weights equal those of {before} in the earlier model: training did not touch the layer.",
            measured=0.0,
            expected=None,
            suggestion="Check that the layer receives a gradient and is in the optimiser.",
        )
