"""The first rung: what is wrong by itself, whatever stands before and behind it, and nothing else.

A single fault makes every layer behind it look wrong. So only what the values themselves show is mended first: values that are no numbers, constant
or equal units, a bias that decides alone, the scale of a norm, a std that stands far apart from those of the other layers. Sound parts of the layer stay.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.fixing.choose import BIAS_OFF, OF_SCALE, asking, is_asked_for, network_faults
from initaudit.fixing.rungs.stray import with_strays
from initaudit.judgement.drowned import size_beside
from initaudit.judgement.reach import DECISIVE, FAR_BEYOND, reach_of
from initaudit.judgement.scale import GROSS
from initaudit.kind import Kind
from initaudit.redrawing.choice import Choice
from initaudit.redrawing.repair import is_repairable
from initaudit.rules.ini301_bias_off import MANY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.findings import Finding
    from initaudit.fixing.options import FixOptions
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.report.report import Report

OF_VALUES = frozenset({"INI001", "INI002", "INI003", "INI004", "INI104", "INI105", "INI106", "INI201"})
"""Rules about the values of one weight."""
OF_NORM = "INI106"
"""That about the scale of a norm."""


def causes(report: Report, options: FixOptions) -> list[Choice]:
    """The layers that are wrong by themselves, each with the part of it that is; none where that is most of the network."""
    assert report.audit is not None
    named, strays = asking(report, options), with_strays(report, options)
    layers = [audit for audit in report.audit.layers if is_asked_for(audit, options)]
    found = [
        choice
        for audit in layers
        if (choice := strays.get(audit.layer.name) or _cause(audit, named.get(audit.layer.name, ()))) is not None
    ]
    found = [replace(choice, beside=size_beside(choice.audit, report.audit)) for choice in found]
    ails = report.verdict.status == "fail" or network_faults(report.active)
    if not found and not options.select and ails and not report.audit.context.has_training:
        found = [choice for audit in layers if (choice := _suspected(audit, report))]
    mixing = sum(audit.layer.kind.is_mixing for audit in report.audit.layers)
    drawn = sum(not (c.bias_alone or c.repair) and c.audit.layer.kind.is_mixing for c in found)
    return found if 2 * drawn <= mixing or mixing <= 2 else []


def _cause(audit: LayerAudit, findings: Sequence[Finding]) -> Choice | None:
    values = [f for f in findings if f.code in OF_VALUES or (f.code in OF_SCALE and _stands_apart(audit))]
    biased = [f for f in findings if f.code == BIAS_OFF]
    broken = [f for f in values if f.code == "INI001"]
    if broken and len(values) == len(broken) and is_repairable(audit.layer.weight):
        return _choice(audit, values, repair=True)
    if values:
        return _choice(audit, values + biased, keeps_bias=not biased and not _is_broken(audit))
    return _choice(audit, biased, bias_alone=True) if biased else None


def _suspected(audit: LayerAudit, report: Report) -> Choice | None:
    """What is held against no layer as long as the network learns: a norm of another scale, a bias that drowns the input."""
    scales = [f for f in report.active if f.layer == audit.layer.name and f.code == OF_NORM]
    if scales:
        return _choice(audit, scales, keeps_bias=True)
    units = _drowned(audit)
    return _shifted(audit, units) if units else None


def _drowned(audit: LayerAudit) -> int:
    """How many units have a bias beyond what it is added to reaches, on whichever side: before a ReLU it passes, and the input is lost in it.

    None unless they are most of the layer, or single ones by far; nor where the chain was shaped as a whole, and the bias is a part of that.
    """
    bias, facts = audit.bias, audit.layer
    shaped = audit.target is not None and audit.target.of_chain
    if bias is None or not bias.count or facts.is_forget_gate or facts.normalized_by is not None or shaped:
        return 0
    reach = _reach(audit)
    beyond = int((abs(bias.sample) > reach).sum())
    many = beyond > MANY * bias.sample.size or bool((abs(bias.sample) > FAR_BEYOND * reach).any())
    return beyond if reach > 0 and many else 0


def _reach(audit: LayerAudit) -> float:
    """What is added to the bias of a layer, or to the shift of a norm, hardly ever exceeds it; 0 where that is not known."""
    if audit.layer.kind is Kind.NORM:
        return DECISIVE * audit.stats.root_mean_square
    return reach_of(audit) if audit.layer.kind.is_drawn else 0.0


def _shifted(audit: LayerAudit, units: int) -> Choice:
    assert audit.bias is not None
    text = (
        f"The bias of {units} of {audit.bias.sample.size} units is beyond {_reach(audit):.3g}, more than what it is added to reaches: what follows "
        "hardly depends on the input."
    )
    return Choice(audit=audit, reason=BIAS_OFF, wrong=text, bias_alone=True)


def _choice(
    audit: LayerAudit,
    findings: Sequence[Finding],
    *,
    bias_alone: bool = False,
    keeps_bias: bool = False,
    repair: bool = False,
) -> Choice:
    return Choice(
        audit=audit,
        reason=", ".join(sorted({f.code for f in findings})),
        wrong=findings[0].message,
        bias_alone=bias_alone,
        keeps_bias=keeps_bias,
        repair=repair,
    )


def _stands_apart(audit: LayerAudit) -> bool:
    """Whether the std is so far off that it is a mistake and no scheme; that of a table is blamed for nothing less."""
    return audit.layer.kind is Kind.EMBEDDING or (
        bool(audit.ratio) and abs(math.log(audit.ratio or 1.0)) > math.log(GROSS)
    )


def _is_broken(audit: LayerAudit) -> bool:
    return audit.bias is not None and bool(audit.bias.nonfinite)
