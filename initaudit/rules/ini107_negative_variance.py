"""INI107 negative-variance: a stored running variance is below zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import InitauditError
from initaudit.findings import Finding, Remedy, Severity
from initaudit.rule import Rule

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

EPSILON = 1e-5
"""Default of `epsilon` of BatchNormalization (ONNX)."""


class NegativeVariance(Rule):
    """A stored running variance is below zero.

    Why: no data has a negative variance; the normalisation takes the root of it plus epsilon, which is NaN, and so is all that follows.
    Harmless when: never; above -epsilon the root still exists, but the channel is scaled by a number that no data gave.
    Fix: load the running statistics again (mean and variance may have changed places), or re-estimate them from data.
    References: Ioffe and Szegedy 2015, Batch Normalization, section 3.1.
    """

    code = "INI107"
    name = "negative-variance"
    severity = Severity.ERROR
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.LOAD_VALUES

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """One finding per BatchNormalization."""
        del audit
        node = layer.layer.node
        stored = node.input(4) if node.op_type == "BatchNormalization" else None
        if stored is None or stored.tensor is None:
            return
        try:
            variance = np.asarray(stored.tensor.array(), np.float64)
        except InitauditError:
            return
        negative = variance < 0
        if not negative.any():
            return
        least = float(variance[negative].min())
        is_nan = least + float(node.attr("epsilon", EPSILON)) < 0
        yield self.finding(
            layer,
            f"The running variance is negative in {int(negative.sum())} of {variance.size} channels, down to {least:.3g}:"
            f" {'their normalised values are NaN' if is_nan else 'they are scaled by a number that no data gave'}.",
            measured=least,
            expected=0.0,
            severity=Severity.ERROR if is_nan else Severity.WARNING,
            initializer=stored.tensor.name,
            suggestion="Load the running statistics again, or re-estimate them from data.",
        )
