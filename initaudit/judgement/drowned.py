"""Tables whose rows drown what they are added to: positions a thousand times as large as the tokens that they belong to."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from initaudit.activations.elementwise import scalar
from initaudit.judgement.model_audit import once_per_audit
from initaudit.judgement.table_rows import rows_are_equal
from initaudit.kind import Kind
from initaudit.model.operators import Use

if TYPE_CHECKING:
    from collections.abc import Hashable

    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Node, Value

DROWNING: Final = 100.0
"""Times the root mean square of the largest other term from which a table drowns it: a norm behind the sum leaves a ten-thousandth of the other's variance.
A judgement: tokens and positions of published networks are within a factor of 20 of each other."""
BEYOND_STARTS: Final = 5.0
"""Root mean square from which a table is larger than any start. A judgement: the largest that frameworks draw is N(0, 1)."""
MAX_STEPS: Final = 16
"""Operators on the way of a table's rows to the sum. A judgement: a cast, a factor, a few reshapes, three tables."""


class Term(NamedTuple):
    """One of those that are added up."""

    layer: LayerAudit
    size: float
    """Root mean square of what it adds."""


def drowns(layer: LayerAudit, audit: ModelAudit) -> Term | None:
    """The largest of the other terms where the layer is a table that drowns them all."""
    terms = _terms(audit).get(layer.layer.name, [])
    own = next((term.size for term in terms if term.layer is layer), 0.0)
    others = [term for term in terms if term.layer is not layer]
    if not _is_table(layer) or not others or own < BEYOND_STARTS:
        return None
    largest = max(others, key=lambda term: term.size)
    return largest if own > DROWNING * largest.size > 0 else None


@once_per_audit
def drowning(audit: ModelAudit) -> frozenset[str]:
    """Names of the tables that drown what they are added to."""
    return frozenset(layer.layer.name for layer in audit.layers if drowns(layer, audit) is not None)


def size_beside(layer: LayerAudit, audit: ModelAudit) -> float | None:
    """Root mean square of the largest sound table that is added to the rows of this one; None where there is none, and of what is no table."""
    if layer.layer.kind is not Kind.EMBEDDING:
        return None
    sizes = [
        term.layer.stats.root_mean_square
        for term in _terms(audit).get(layer.layer.name, [])
        if term.layer is not layer
        and _is_table(term.layer)
        and not rows_are_equal(term.layer)
        and drowns(term.layer, audit) is None
    ]
    return max(sizes, default=0.0) or None


@once_per_audit
def _terms(audit: ModelAudit) -> dict[str, list[Term]]:
    """By name of a layer: all that is added up with it, itself included."""
    sums: dict[Hashable, list[Term]] = defaultdict(list)
    for layer in audit.layers:
        if layer.stats.nonfinite or not (_is_table(layer) or layer.layer.kind.is_product):
            continue
        end, factor = _sum_of(layer)
        size = _size(layer)
        if end is not None and size is not None:
            sums[id(end)].append(Term(layer, factor * size))
    return {term.layer.layer.name: terms for terms in sums.values() if len(terms) > 1 for term in terms}


def _is_table(layer: LayerAudit) -> bool:
    return layer.layer.kind is Kind.EMBEDDING and layer.layer.untrainable is None


def _size(layer: LayerAudit) -> float | None:
    if _is_table(layer):
        return layer.stats.root_mean_square
    return None if layer.signal is None else math.sqrt(layer.signal.mean_square)


def _sum_of(layer: LayerAudit) -> tuple[Value | Node | None, float]:
    """Where what the layer gives ends up when all has been added that is, and what it is multiplied by on the way."""
    value, factor = layer.layer.output, 1.0
    if value is None:
        return layer.layer.node, factor  # an operator that adds its tables up itself
    for _ in range(MAX_STEPS):
        readers = [node for node, _ in value.consumers if node.spec.use is not Use.SHAPE]
        if len(readers) != 1 or not readers[0].outputs or readers[0].outputs[0] is None:
            break
        node = readers[0]
        if node.spec.normalizes_a_sum:
            return node, factor
        if node.spec.use is Use.SCALE and node.op_type in ("Mul", "Div"):
            by = next((found for v in node.inputs if v is not None and v.is_static and (found := scalar(v))), None)
            if by is None:
                break
            factor *= abs(by) if node.op_type == "Mul" else 1 / abs(by)
        elif not (node.spec.use is Use.SUM and node.op_type in ("Add", "Sum")) and not (
            node.spec.use is Use.PASS and node.op_type != "Clip"
        ):
            break
        value = node.outputs[0]
        assert value is not None
    return value, factor
