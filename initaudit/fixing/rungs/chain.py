"""The last rung: the chain as a whole, where layers that each start as recommended do not make a network that learns.

A ladder and no habit: on shallow networks at high learning rates a shaped chain learns less well than one of He's (spiral, four ReLU layers, rate
0.1: accuracy 0.36 instead of 0.80).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.fixing.choose import ENOUGH
from initaudit.judgement.dynamics import dynamics_of
from initaudit.redrawing.chain import links
from initaudit.rules.ini409_heavy_tailed_inputs import DEPARTURE

if TYPE_CHECKING:
    from initaudit.fixing.options import FixOptions
    from initaudit.redrawing.chain import Link
    from initaudit.report.report import Report

MOST = 0.5
"""Share of the layers with a target whose place in the chain must be known."""


def chain(report: Report, options: FixOptions, *, drawn: bool) -> list[Link]:
    """The chain of a fresh network that does not learn well enough; empty where it is not to be shaped.

    Layers that were `drawn` anew are not enough either where rare large inputs make another network of it.
    """
    audit = report.audit
    assert audit is not None
    learning = audit.trainability
    free = options.is_free and not (options.layers or options.exclude or options.select)
    if not free or audit.context.name != "fresh" or learning is None:
        return []
    if learning.score >= ENOUGH and not (drawn and departs(report)):
        return []
    found = links(audit.layers)
    targeted = sum(a.target is not None and a.layer.kind.is_mixing for a in audit.layers)
    return found if len(found) >= MOST * targeted and any(link.shape.chi > 1.0 for link in found) else []


def departs(report: Report) -> bool:
    """Whether values grow out of all proportion where the inputs have heavy tails, as products of signals make them."""
    assert report.audit is not None
    return any(times > DEPARTURE for times in report.audit.probe.tails.values())


def head_factors(report: Report, *, whole: bool = False) -> dict[str, float]:
    """By name of the last layer: what makes its own share of what all answers have in common as large as that of all layers before it.

    min(1, sqrt(K_head / sum of K_l)), K_l the kernel of a layer's weights and bias between two inputs as far as they are alike; with `whole` all of
    it, so that a step moves the layers before the head no faster than the head itself.
    """
    assert report.audit is not None
    dynamics = dynamics_of(report.audit.layers)
    if dynamics is None or not dynamics.finite:
        return {}
    *before, head = dynamics.drawn
    if not head.is_head:
        return {}
    shared = [layer.kernel * (1.0 if whole else 1.0 - layer.contrast) for layer in before]
    own = head.kernel * (1.0 if whole else 1.0 - head.contrast)
    total = math.fsum(shared)
    return {head.name: min(1.0, math.sqrt(own / total))} if own > 0 and total > 0 else {}
