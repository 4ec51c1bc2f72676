"""INI302 norm-never-trained: in a trained network, a BatchNormalization still has running mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Finding, Remedy, Severity
from initaudit.judgement.running_statistics import never_updated
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit


class NormNeverTrained(Rule):
    """In a trained network, a BatchNormalization still has running mean 0 and variance 1.

    Why: its statistics were never updated, so at inference the layer does not normalise: the network was trained with other activations than it now sees.
    Harmless when: the layer was frozen or its momentum set to zero on purpose.
    Fix: recalibrate the running statistics on data, or load the missing buffers.
    References: Ioffe & Szegedy 2015, algorithm 2.
    """

    code = "INI302"
    name = "norm-never-trained"
    severity = Severity.WARNING
    remedy = Remedy.CHECK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """Only where other parts of the network were trained."""
        if not audit.context.has_training:
            return
        for layer in audit.layers:
            mean = layer.layer.node.input(3)
            if mean is None or mean.tensor is None or not never_updated(layer.layer):
                continue
            yield self.finding(
                layer,
                f"The running statistics of all {mean.tensor.size} channels are still mean 0 and variance 1 in a trained network: it does not normalise.",
                measured=1.0,
                expected=None,
                initializer=mean.tensor.name,
                suggestion="Recalibrate the running statistics, or load the missing buffers.",
            )
