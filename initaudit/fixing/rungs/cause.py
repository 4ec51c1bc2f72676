"""The first rung: what is wrong by itself, whatever stands before and behind it, and nothing else.

A single fault makes every layer behind it look wrong. So only what the values themselves show is mended first: values that are no numbers, constant
or equal units, a bias that decides alone, the scale of a norm, a std that stands far apart from those of the other layers. Sound parts of the layer stay.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.fixing.choose import OF_SCALE, asking, is_asked_for, network_faults
from initaudit.fixing.rungs.stray import OF_BIAS, with_strays
from initaudit.judgement.scale import GROSS
from initaudit.kind import Kind
from initaudit.redrawing.choice import Choice
from initaudit.redrawing.repair import is_repairable
from initaudit.rules.ini301_bias_off import DECISIVE, FAR_BEYOND, MANY, reach_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.findings import Finding
    from initaudit.fixing.options import FixOptions
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.report.report import Report

OF_VALUES = frozenset({"INI001", "INI002", "INI003", "INI004", "INI104", "INI105", "INI106", "INI201"})
"""Rules about the values of one weight."""
OF_SIGNAL = frozenset({"INI403", "INI404"})
"""Rules about what comes out of the activation, which a norm in front of it may be to blame for."""


def causes(report: Report, options: FixOptions) -> list[Choice]:
    """The layers that are wrong by themselves, each with the part of it that is; none where that is most of the network."""
    assert report.audit is not None
    named, strays = asking(report, options), with_strays(report, options)
    layers = [audit for audit in report.audit.layers if is_asked_for(audit, options)]
    found = [
        choice
        for audit in layers
        if (choice := strays.get(audit.layer.name) or _cause(audit, named, report.audit.layers)) is not None
    ]
    ails = report.verdict.status == "fail" or network_faults(report.active)
    if not found and not options.select and ails and not report.audit.context.has_training:
        found = [_shifted(audit, share) for audit in layers if (share := _drowned(audit))]
    mixing = sum(audit.layer.kind.is_mixing for audit in report.audit.layers)
    drawn = sum(not (c.bias_alone or c.repair) and c.audit.layer.kind.is_mixing for c in found)
    return found if 2 * drawn <= mixing or mixing <= 2 else []


def _cause(audit: LayerAudit, named: Mapping[str, Sequence[Finding]], layers: Sequence[LayerAudit]) -> Choice | None:
    facts = audit.layer
    findings = named.get(facts.name, ())
    values = [f for f in findings if f.code in OF_VALUES or (f.code in OF_SCALE and _stands_apart(audit))]
    biased = [f for f in findings if f.code == OF_BIAS]
    if facts.kind is Kind.NORM:
        stuck = [
            f
            for other in layers
            if _is_in_front(other, audit)
            for f in named.get(other.layer.name, ())
            if f.code in OF_SIGNAL
        ]
        values += stuck if _decides_alone(audit) else []
        return _choice(audit, values) if values else None
    broken = [f for f in values if f.code == "INI001"]
    if broken and len(values) == len(broken) and is_repairable(facts.weight):
        return _choice(audit, values, repair=True)
    if values:
        return _choice(audit, values + biased, keeps_bias=not biased and not _is_broken(audit))
    return _choice(audit, biased, bias_alone=True) if biased else None


def _drowned(audit: LayerAudit) -> int:
    """How many units have a bias beyond what their weighted inputs reach, on whichever side: before a ReLU it passes, and the input is lost in it.

    None unless they are most of the layer, or single ones by far.
    """
    bias, facts = audit.bias, audit.layer
    if (
        bias is None
        or not bias.count
        or not facts.kind.is_drawn
        or facts.is_forget_gate
        or facts.normalized_by is not None
    ):
        return 0
    reach = reach_of(audit)
    beyond = int((abs(bias.sample) > reach).sum())
    many = beyond > MANY * bias.sample.size or bool((abs(bias.sample) > FAR_BEYOND * reach).any())
    return beyond if reach > 0 and many else 0


def _shifted(audit: LayerAudit, units: int) -> Choice:
    assert audit.bias is not None
    text = (
        f"The bias of {units} of {audit.bias.sample.size} units is beyond {reach_of(audit):.3g}, more than their weighted inputs reach: what follows "
        "hardly depends on the input."
    )
    return Choice(audit=audit, reason=OF_BIAS, wrong=text, bias_alone=True)


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
    """Whether the std is so far off that it is a mistake and no scheme."""
    return bool(audit.ratio) and abs(math.log(audit.ratio or 1.0)) > math.log(GROSS)


def _is_broken(audit: LayerAudit) -> bool:
    return audit.bias is not None and bool(audit.bias.nonfinite)


def _is_in_front(audit: LayerAudit, norm: LayerAudit) -> bool:
    return audit.layer.normalized_by is not None and audit.layer.output is norm.layer.input


def _decides_alone(norm: LayerAudit) -> bool:
    """Whether the shift of a norm is out of the reach of what it normalises: whatever it is, where the scale is zero."""
    bias, scale = norm.bias, norm.stats
    return bias is not None and abs(bias.mean) >= DECISIVE * math.hypot(scale.mean, scale.std)
