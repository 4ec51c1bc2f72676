"""How bad a defect of one layer is for the network as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.findings import Severity
from initaudit.judgement.score import TRAINABLE

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit


def fatal_to_learning(audit: ModelAudit) -> Severity:
    """Severity of a defect of one layer's weights: ERROR, or WARNING where the network was probed and learns all the same.

    A zero or constant layer between random ones still receives a gradient, and its units part in the first steps.
    """
    learning = audit.trainability
    learns = learning is not None and learning.score >= TRAINABLE and not audit.context.has_training
    return Severity.WARNING if learns else Severity.ERROR
