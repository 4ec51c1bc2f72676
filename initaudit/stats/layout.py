"""How a weight lies in memory: which axes count units, which are summed over, which hold independent copies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Role = Literal["copy", "unit", "input"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A view of the weight in the order in which it lies in memory, with the role of each axis."""

    view: np.ndarray
    roles: tuple[Role, ...]
    canonical: np.ndarray
    """The same values with axes ordered (copies..., units..., inputs...)."""
    copies: int
    units: int
    """Units of one copy."""
    inputs: int
    """Inputs of one unit."""
    copy_rank: int
    unit_rank: int
    places: tuple[tuple[int, int], ...]
    """Of each axis of `canonical`: the axis of the view that it is part of, and how far one step along it goes there."""

    def copy(self, index: int) -> Layout:
        """One of the copies that the first axis of the view counts; without the canonical order."""
        return replace(self, view=self.view[index], roles=self.roles[1:], copies=1)

    @property
    def rows(self) -> int:
        """Units of all copies."""
        return self.copies * self.units


def lay_out(array: np.ndarray, unit_axes: Sequence[int], input_axes: Sequence[int] | None, groups: int) -> Layout:
    """Sort the axes of `array` by role and by stride. Axes named but absent are ignored; `input_axes=None` means the rest.

    With `groups` > 1 the first axis, by which Conv and ConvTranspose order their groups, is split into copies.
    """
    array = array.view(np.ndarray)  # slicing a memmap costs ten times as much
    ndim = array.ndim
    units = {axis for axis in unit_axes if axis < ndim}
    inputs = {a for a in range(ndim) if a not in units} if input_axes is None else {a for a in input_axes if a < ndim}
    roles: list[Role] = ["unit" if a in units else "input" if a in inputs else "copy" for a in range(ndim)]
    if groups > 1 and ndim and array.shape[0] % groups == 0:
        array = array.reshape(groups, array.shape[0] // groups, *array.shape[1:])
        roles = ["copy", *roles]
    if array.ndim == 0:
        array, roles = array.reshape(1), ["unit"]
    by_role = [[a for a, r in enumerate(roles) if r == wanted] for wanted in ("copy", "unit", "input")]
    canonical = array.transpose([a for axes in by_role for a in axes])
    order = sorted(range(array.ndim), key=lambda a: -abs(array.strides[a]))
    sizes = [math.prod(array.shape[a] for a in axes) for axes in by_role]
    view, merged, places = _merge(array.transpose(order), [roles[a] for a in order])
    place_of = dict(zip(order, places, strict=True))
    return Layout(
        view=view, roles=merged, canonical=canonical, copies=sizes[0], units=sizes[1], inputs=sizes[2],
        copy_rank=len(by_role[0]), unit_rank=len(by_role[1]), places=tuple(place_of[a] for axes in by_role for a in axes),
    )  # fmt: skip


def _merge(view: np.ndarray, roles: list[Role]) -> tuple[np.ndarray, tuple[Role, ...], list[tuple[int, int]]]:
    """Join neighbouring axes of one role where that needs no copy; drop axes of length one. And the places of the axes, see `Layout`."""
    shape: list[int] = []
    strides: list[int] = []
    kept: list[Role] = []
    places: list[tuple[int, int]] = []
    for size, stride, role in zip(view.shape, view.strides, roles, strict=True):
        if size == 1:
            places.append((0, 0))
            continue
        if kept and kept[-1] == role and strides[-1] == size * stride:
            shape[-1] *= size
            strides[-1] = stride
            places = [(axis, step * size if axis == len(shape) - 1 else step) for axis, step in places]
        else:
            shape.append(size)
            strides.append(stride)
            kept.append(role)
        places.append((len(shape) - 1, 1))
    if not shape:
        return view.reshape(-1), (roles[-1],), places
    return view.reshape(shape), tuple(kept), places
