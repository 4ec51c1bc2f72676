"""Whether a learned factor, the scale of a norm or a gain, still is what it starts at: no step of training leaves all of it there."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from initaudit.kind import Kind
from initaudit.model.parameter_names import module_of, names_a_gain
from initaudit.model.walks import nodes_behind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Node

ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""How far from 1 a scale may be that is stored as 1, in types of few digits (half the distance to the next number); a bias close to 0
stays what it is."""
FAR_BEYOND = 10.0
"""Multiple of that by which all others must have moved for one to count as unmoved all the same. A judgement."""
NEGLIGIBLE = 1e-5
"""Root mean square of a factor below which nothing passes it: a branch so scaled changes its sum by less than float16 resolves at 1 %. A
judgement; the smallest that LayerScale starts at is 1e-6 (Touvron et al. 2021), which training leaves by orders of magnitude."""
FOLDED = "onnx::"
"""Beginning of the names that torch's older exporter gives to parameters that it reshaped; its constants have a node's name."""
SCALAR_STARTS = frozenset({0.0, 1e-6, 1e-5, 1e-4, 1.0})
"""What a single gain starts at, as stored: ReZero (Bachlechner et al. 2021), LayerScale (Touvron et al. 2021, table 9), SkipInit. Any other
value may be one that training left, or a constant of the architecture."""
SAME = 1e-3
"""Relative difference within which a stored gain is one of SCALAR_STARTS; bfloat16 rounds by 4e-3 at most, float16 by 5e-4. A judgement."""


def learned_factors(audit: ModelAudit) -> tuple[LayerAudit, ...]:
    """Norms and gains that training reaches: parameters by their names, or beside unnamed ones of the same operator that moved.

    Ones that an exporter puts in where a norm has no parameters are constants, or have a name that counts. What gets no gradient,
    because no output depends on it or a dead layer follows, cannot move.
    """
    live = {node for output in audit.model.graph.outputs for node in nodes_behind(output)}
    factors = [a for a in audit.layers if _is_factor(a) and not _is_cut_off(a, live)]
    moving = Counter(a.layer.op_type for a in factors if not _is_named(a) and not at_start(a))
    return tuple(a for a in factors if _is_named(a) or moving[a.layer.op_type])


def at_start(audit: LayerAudit) -> bool:
    """Norms: scale 1 and bias 0, everywhere. Gains: one value in all channels; a single one that gains start at."""
    stats, facts = audit.stats, audit.layer
    if stats.nonfinite or stats.min != stats.max:
        return False
    if facts.kind is Kind.NORM:
        if "bias" in facts.auxiliary and (audit.bias is None or audit.bias.min != 0 or audit.bias.max != 0):
            return False
        return stats.min == 1
    return stats.count > 1 or any(abs(stats.min - start) <= SAME * start for start in SCALAR_STARTS)


def is_shut(audit: LayerAudit) -> bool:
    """Whether next to nothing passes the factor, and no start of a gain has made it so small."""
    stats = audit.stats
    small = not stats.nonfinite and stats.root_mean_square < NEGLIGIBLE
    return small and (not at_start(audit) or stats.min == 0)


def may_be_rounded(audit: LayerAudit, others: Sequence[LayerAudit]) -> bool:
    """Whether a scale that moved a little would be stored as 1 all the same, seeing how far `others` moved."""
    rounding = ROUNDING.get(audit.layer.weight.dtype)
    if rounding is None or audit.bias is not None:
        return False
    moves = [math.hypot(a.stats.mean - 1.0, a.stats.std) for a in others]
    return not moves or min(moves) < FAR_BEYOND * rounding


def _is_factor(audit: LayerAudit) -> bool:
    facts = audit.layer
    learned = facts.kind is Kind.NORM or (facts.kind is Kind.SCALE and facts.role is None)
    return learned and facts.untrainable is None and bool(facts.weight.tensors)


def _is_named(audit: LayerAudit) -> bool:
    tensor = audit.layer.weight.tensors[0]
    if tensor.origin != "initializer":
        return False
    if audit.layer.kind is Kind.SCALE:
        return names_a_gain(tensor.name)
    return tensor.name.startswith(FOLDED) or module_of(tensor.name) is not None


def _is_cut_off(audit: LayerAudit, live: set[Node]) -> bool:
    node, measured = audit.layer.node, audit.probed
    dead = node.graph.owner is None and node not in live
    return dead or (measured is not None and measured.weight_gradient == 0)
