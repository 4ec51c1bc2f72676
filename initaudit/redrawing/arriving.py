"""Arriving: mean and variance of what reaches a layer, where every layer before it starts as it was meant to.

By what each operator does to values that are independent of each other: moves keep mean and variance, sums add them up, norms give (0, 1), functions of
one number by quadrature. Two signals are multiplied where layers gave both; what else multiplies two leaves them unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from initaudit.activations.elementwise import operator_of, scalar
from initaudit.activations.region import function_between
from initaudit.initialisation.gains import moments
from initaudit.kind import Kind
from initaudit.model.operators import Use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.graph import Node, Value


class Arriving(NamedTuple):
    """Of the elements of a value, over inputs and units."""

    mean: float
    variance: float


INPUT = Arriving(0.0, 1.0)
"""Of a graph input of real numbers: standardised, as the probe's is."""


class Arrivals:
    """What arrives at each value; the layers say what they give as they are gone through, in topological order."""

    def __init__(self, layers: Sequence[LayerAudit]) -> None:
        self._known: dict[int, Arriving | None] = {}
        self._given: set[int] = set()
        self._norms = {id(a.layer.node): a for a in layers if a.layer.kind is Kind.NORM}
        for audit in layers:
            output = audit.layer.output
            if output is not None and audit.layer.kind is Kind.EMBEDDING:
                self.give(output, audit.stats.mean, audit.stats.std**2)
            elif output is not None and audit.layer.kind.is_drawn:
                self._known[id(output)] = None

    def give(self, value: Value, mean: float, variance: float) -> None:
        """Say what stands at `value`."""
        self._known[id(value)] = Arriving(mean, variance)
        self._given.add(id(value))

    def at(self, value: Value | None) -> Arriving | None:
        """Mean and variance of a value; None where they are not known."""
        if value is None or value.is_static:
            return None
        way: list[Value] = [value]
        while way:  # without recursion: networks are deep
            here = way[-1]
            if id(here) in self._known:
                way.pop()
                continue
            waiting = [v for v in _data(here) if id(v) not in self._known]
            if waiting and len(way) <= _MOST:
                way += waiting
                continue
            self._known[id(here)] = self._behind(here)
            way.pop()
        return self._known[id(value)]

    def _behind(self, value: Value) -> Arriving | None:
        """Of a value whose operands are known."""
        node = value.producer
        if node is None:
            is_real = value.dtype is None or value.dtype.startswith(("float", "double", "bfloat"))
            return INPUT if value.is_input and is_real and value.graph.owner is None else None
        sources = [self._known.get(id(v)) for v in _data(value)]
        found = [s for s in sources if s is not None]
        if node.spec.norm is not None:
            return self._normalised(node)
        if not found or len(found) < len(sources):
            return None
        if node.spec.use is Use.SUM and node.op_type in ("Add", "Sum"):
            return Arriving(sum(s.mean for s in found), sum(s.variance for s in found))
        if len(found) == 1:
            return _through(node, value, found[0])
        if node.op_type == "Mul" and len(found) == 2 and all(id(v) in self._given for v in _data(value)):
            return _product(*found)
        return _mixed(found) if node.spec.use is Use.PASS else None

    def _normalised(self, node: Node) -> Arriving:
        audit = self._norms.get(id(node))
        if audit is None or audit.stats.nonfinite:
            return INPUT
        bias = audit.bias
        spread = audit.stats.std**2 + audit.stats.mean**2
        return Arriving(0.0 if bias is None else bias.mean, spread + (0.0 if bias is None else bias.std**2))


_MOST = 100_000
"""Values on the way back from one; a guard against graphs that are no graphs."""


def _data(value: Value) -> list[Value]:
    """What carries the signal into the operator that made a value."""
    return [] if value.producer is None else value.producer.signals()


def _mixed(parts: Sequence[Arriving]) -> Arriving:
    """Of values side by side."""
    means = [part.mean for part in parts]
    return Arriving(float(np.mean(means)), float(np.mean([part.variance for part in parts]) + np.var(means)))


def _product(one: Arriving, other: Arriving) -> Arriving:
    """Of two values that are independent of each other: what two layers give, whose weights are drawn apart."""
    second = (one.variance + one.mean**2) * (other.variance + other.mean**2)
    mean = one.mean * other.mean
    return Arriving(mean, second - mean**2)


def _through(node: Node, value: Value, arriving: Arriving) -> Arriving | None:
    """Behind an operator with one signal: moved, scaled by a number, or an elementwise function of it."""
    if node.spec.use is Use.PASS and node.op_type != "Clip":
        return arriving
    if node.spec.use is Use.SUM:
        return arriving  # a constant is added: the bias of a layer, or positions
    factor = next((scalar(v) for v in node.inputs if v is not None and v.is_static), None)
    if node.spec.use is Use.SCALE and node.op_type in ("Mul", "Div") and factor:
        factor = factor if node.op_type == "Mul" else 1.0 / factor
        return Arriving(arriving.mean * factor, arriving.variance * factor**2)
    (start,) = _data(value)
    phi = function_between(start, value) if operator_of(node) is not None else None
    if phi is None:
        return None
    of = moments(phi, arriving.mean, arriving.variance)
    return Arriving(of.mean, of.variance) if np.isfinite(of.variance) else None
