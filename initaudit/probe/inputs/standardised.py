"""The scale that a graph undoes: pixels of 0 to 255 are divided by 255, features standardised by their mean and std."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.model.operators import AxisMap, Values
from initaudit.probe.inputs.evident import INTEGERS
from initaudit.probe.inputs.scale import BYTE, PIXEL_SPREAD, Scale, within
from initaudit.probe.inputs.walk import axes_argument, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.model.graph import Node, Value

DIVIDES = "as the graph divides it"
SUBTRACTS = "as the graph subtracts its mean"
STANDARDISES = "as the graph standardises it"
LARGE = 20.0
"""Divisor, or mean, from which an input is no standardised one. A judgement: between the 1 of a standard deviation and the 58 of a byte's."""
LEAST_FACTOR = 1e-6
"""Smallest factor that is taken for a change of units; what is smaller switches an input off."""
MAX_STEPS = 32
"""Nodes looked at between an input and its first layer. A judgement: a standardisation takes four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Affine:
    """What has become of the input: `factor` times it plus `shift`, each with an axis per axis of the value."""

    factor: np.ndarray
    shift: np.ndarray
    order: tuple[int | None, ...]
    """For each axis the axis of the input that it is."""
    ended: bool = False


def scale_of(value: Value, *, image: bool) -> Scale | None:
    """The scale that the graph undoes on the straight way from `value`; None where it undoes none."""
    rank = len(value.dims or ())
    one = np.ones((1,) * rank)
    way = _Affine(factor=one, shift=one * 0.0, order=tuple(range(rank)))
    for _ in range(MAX_STEPS):
        consumers = [(n, p) for n, p in value.consumers if n.op_type not in ("Shape", "Size")]
        if len(consumers) != 1 or way.ended:
            break
        node, position = consumers[0]
        if node.spec.rounds or _to_integers(node):
            return None  # ids are made of it, and only the table says which
        behind, output = _behind(way, node, position, value), node.outputs[0]
        if behind is None or output is None:
            break
        way, value = behind, output
    back = [way.order.index(axis) if axis in way.order else None for axis in range(rank)]
    if None in back:
        return None
    places = [b for b in back if b is not None]
    extra = tuple(i for i, axis in enumerate(way.order) if axis is None)
    factor, shift = (
        np.squeeze(np.transpose(a, (*places, *extra)), tuple(range(rank, a.ndim))) for a in (way.factor, way.shift)
    )
    return _undone(factor, shift, image=image)


def _to_integers(node: Node) -> bool:
    if node.op_type != "Cast":
        return node.op_type in ("Floor", "Ceil", "Round")
    return node.attr("to") in INTEGERS


def _undone(factor: np.ndarray, shift: np.ndarray, *, image: bool) -> Scale | None:
    if not (np.isfinite(factor).all() and np.isfinite(shift).all()) or (np.abs(factor) < LEAST_FACTOR).any():
        return None
    centre, width = -shift / factor, 1.0 / np.abs(factor)
    middle, typical = float(np.mean(centre)), float(np.mean(width))
    if not shift.any():
        if typical < LARGE:
            return None
        return within(0.0, typical, DIVIDES) if image else Scale(centre=centre, width=width, bounds=None, why=DIVIDES)
    if image and (factor == 1.0).all() and middle >= LARGE:
        return replace(within(0.0, BYTE, SUBTRACTS), centre=centre)
    not_divided = typical < PIXEL_SPREAD / 2 or bool((factor == 1.0).all())
    if image and 0.0 < middle < 1.0 and not_divided:
        return replace(within(0.0, 1.0, SUBTRACTS), centre=centre)
    if (factor == 1.0).all():  # an addend may be anything
        return None
    if image and np.allclose(centre, width):
        return within(0.0, 2.0 * middle, STANDARDISES)
    return Scale(centre=centre, width=width, bounds=None, why=STANDARDISES)


def _behind(way: _Affine, node: Node, position: int, value: Value) -> _Affine | None:
    """The same behind a node; None where it does something else."""
    operator = node.op_type
    if operator == "BatchNormalization" and position == 0 and len(way.order) > 1:
        mean, variance = (_constant(node.input(i)) for i in (3, 4))
        if mean is None or variance is None or mean.ndim != 1:
            return None
        shape = [-1 if axis == 1 else 1 for axis in range(len(way.order))]
        std = np.sqrt(variance + float(node.attr("epsilon", 1e-5))).reshape(shape)
        shifted = replace(way, shift=way.shift - mean.reshape(shape))
        return replace(shifted, factor=shifted.factor / std, shift=shifted.shift / std, ended=True)
    if operator == "Scaler":
        offset, scale = (
            np.array(node.attr(name, default), np.float64) for name, default in (("offset", [0.0]), ("scale", [1.0]))
        )
        return replace(way, factor=way.factor * scale, shift=(way.shift - offset) * scale)
    if operator in ("Add", "Sub", "Mul", "Div"):
        other = _constant(node.input(1 - position))
        return _combined(way, operator, position, other) if other is not None and _fits(other, way, value) else None
    return _moved(way, node) if position == 0 and node.spec.values is Values.KEPT else None


def _combined(way: _Affine, operator: str, position: int, other: np.ndarray) -> _Affine | None:
    """Behind an elementwise operator with the constant `other`; the value is its operand at `position`."""
    if operator in ("Add", "Sub"):
        if operator == "Sub" and position == 1:
            return replace(way, factor=-way.factor, shift=other - way.shift)
        return replace(way, shift=way.shift + (other if operator == "Add" else -other))
    if operator == "Div" and (position == 1 or not other.all()):
        return None
    by = other if operator == "Mul" else 1.0 / other
    return replace(way, factor=way.factor * by, shift=way.shift * by)


def _moved(way: _Affine, node: Node) -> _Affine | None:
    """Behind an operator that keeps the numbers."""
    kind, rank = node.spec.axis_map, len(way.order)
    if kind is AxisMap.SAME:
        return way
    if kind is AxisMap.TRANSPOSE:
        order = node.attr("perm") or list(range(rank))[::-1]
        if len(order) != rank:
            return None
        factor, shift = np.transpose(way.factor, order), np.transpose(way.shift, order)
        return _Affine(factor=factor, shift=shift, order=tuple(way.order[i] for i in order))
    places = axes_argument(node) if kind is AxisMap.UNSQUEEZE else None
    if places is None:
        return None
    new = sorted({p % (rank + len(places)) for p in places})
    if len(new) != len(places):
        return None
    factor, shift = (np.expand_dims(a, tuple(new)) for a in (way.factor, way.shift))
    old = iter(way.order)
    return _Affine(
        factor=factor, shift=shift, order=tuple(None if i in new else next(old) for i in range(rank + len(places)))
    )


def _constant(value: Value | None) -> np.ndarray | None:
    """A small constant of any shape."""
    flat = numbers(value)
    if value is None or value.tensor is None or not flat.size or flat.dtype.kind not in "fiu":
        return None
    return flat.astype(np.float64).reshape(value.tensor.shape)


def _fits(other: np.ndarray, way: _Affine, value: Value) -> bool:
    """Whether a constant is combined with the value without making it larger."""
    if other.ndim > len(way.order):
        return False
    known: Mapping[int, int | str | None] = dict(enumerate(value.dims or ()))
    for axis, size in enumerate(other.shape, len(way.order) - other.ndim):
        if size != 1 and (way.order[axis] is None or known.get(axis, size) == 1):
            return False
    return True
