"""Single biases that are none of their layer: no input outweighs them, and all others lie far away. No training leaves such, a damaged file does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.fixing.choose import BIAS_OFF
from initaudit.judgement.reach import most_of_inputs
from initaudit.redrawing.choice import Choice
from initaudit.redrawing.repair import stray_biases

if TYPE_CHECKING:
    from initaudit.findings import Finding
    from initaudit.fixing.options import FixOptions
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.report.report import Report


def with_strays(report: Report, options: FixOptions) -> dict[str, Choice]:
    """By name of the layer: those of which nothing but such biases is to be replaced."""
    assert report.audit is not None
    noted: dict[str, Finding] = {}
    for finding in filter(options.follows, report.active):
        if finding.code == BIAS_OFF and finding.layer:  # a note where they are few
            noted.setdefault(finding.layer, finding)
    choices = (_choice(a, noted[a.layer.name]) for a in report.audit.layers if a.layer.name in noted)
    return {choice.audit.layer.name: choice for choice in choices if choice is not None}


def _choice(audit: LayerAudit, finding: Finding) -> Choice | None:
    bias, beyond = audit.bias, most_of_inputs(audit)
    if bias is None or beyond is None or audit.layer.is_forget_gate or audit.stats.nonfinite:
        return None
    if not stray_biases(bias.sample.astype(np.float64), beyond).any():
        return None
    return Choice(audit=audit, reason=BIAS_OFF, wrong=finding.message, bias_alone=True, repair=True, stray_bias=beyond)
