"""Operand: a constant value of the graph as an expression over stored tensors, with its shape known and its values lazy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import UnsupportedWeight
from initaudit.model.tensors import MAX_ELEMENTS
from initaudit.views.dtypes import numpy_dtype
from initaudit.views.memory import BYTES_PER_STORED_BYTE, MAX_BYTES, NONE, Memory, memory_of, stored_bytes, width

if TYPE_CHECKING:
    from initaudit.model.tensors import Tensor
    from initaudit.views.weight import WeightView

MAX_STEPS = 64
"""Longest chain of operators that is seen through; real files have up to about ten."""

MAX_WORK = 1 << 28
"""Elements that may be computed to give one operand, every step counted: x·x of x·x of ... doubles with each node. At a few nanoseconds
each about a second."""
MAX_STEPS_PER_VALUE = 64
"""Elements that may be computed beyond that for each stored value of the operand: what a large file may ask for it pays with its size."""
MAX_COMPUTED = 1 << 24
"""Elements of one operand that operators compute from less: 64 MiB in float32, and as much for each step on the way. The largest found in
real files is the mask of a context of 4,096."""
MAX_GROWTH = 8
"""Elements of one operand, beyond that, for each stored value. Stored bytes of eight 1-bit weights give as many."""

STEP_COST = 1000
"""What a step costs besides its elements, in elements: the call itself."""

Narrow = Callable[[int, int, int], "Operand"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operand:
    """A constant: where its values are stored, what is done to them, and a way to compute them."""

    tensors: tuple[Tensor, ...]
    """Stored tensors that the values come from; the one that holds the weight itself first."""
    shape: tuple[int, ...]
    dtype: str
    """Element type after all steps, numpy or ml_dtypes name."""
    compute: Callable[[], np.ndarray] = field(repr=False)
    steps: tuple[str, ...] = ()
    """What is done to the stored values, in order."""
    length: int = 0
    """Operators passed, Identity not counted."""
    narrowing: Narrow | None = field(default=None, repr=False)
    """(axis, start, stop) -> the same slice, taken as close to the stored values as possible."""
    exact: bool = True
    """The values are the stored values, moved at most: no arithmetic and no change of type."""
    computed: str | None = None
    """The first step that computes (scales, dequantises, repeats) instead of moving values or changing their type."""
    work: int = 0
    """Elements computed on the way, so that a chain that doubles with each step is refused instead of run."""
    memory: Memory = NONE
    """Bytes that it takes to compute them."""
    count: int | None = None
    """Elements that the first tensor stands for where it packs several in one (4-bit weights); None for one each."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the values in an array."""
        return self.size * width(self.dtype)

    @property
    def is_floating(self) -> bool:
        """Whether the values are floating point."""
        return self.dtype.startswith(("float", "bfloat"))

    def array(self) -> np.ndarray:
        """The values, shape `shape`. Raises UnsupportedWeight, ExternalDataError or InvalidModel."""
        stored = sum(max(t.size, t.nbytes()) for t in self.tensors if t.origin != "generated")
        if self.size > max(MAX_ELEMENTS if self.exact else MAX_COMPUTED, MAX_GROWTH * stored):
            raise UnsupportedWeight(f"{self.size} elements computed from a constant are too many")
        if self.work > MAX_WORK + MAX_STEPS_PER_VALUE * stored:
            raise UnsupportedWeight("the constant subgraph takes too much computing")
        if self.memory.peak > MAX_BYTES + BYTES_PER_STORED_BYTE * stored_bytes(self.tensors):
            raise UnsupportedWeight(f"computing it from constants would take {self.memory.peak >> 20} MiB at once")
        try:
            array = self.compute()
        except (ValueError, IndexError, TypeError, ArithmeticError) as error:  # scales, axes or indices that do not fit
            raise UnsupportedWeight(f"the constants that it is computed from contradict each other: {error}") from error
        if array.shape != self.shape:
            raise UnsupportedWeight(f"computed shape {list(array.shape)} is not the inferred {list(self.shape)}")
        return array

    def integers(self) -> list[int]:
        """Values of a small integer table (a shape, axes, starts); raises ValueError where it is none."""
        if (
            self.size > MAX_INDEX_TABLE
            or self.work > MAX_INDEX_WORK
            or not self.dtype.startswith(("int", "uint", "bool"))
        ):
            raise ValueError("not a small integer table")
        return [int(v) for v in self.array().reshape(-1)]

    def settled(self) -> Operand:
        """With the values computed now, once for all. Of a chain of integers, as shapes are computed, the end may be followed further."""
        values = self.array()
        length = self.length if self.is_floating else 0
        return replace(self, compute=lambda: values, length=length, work=0, memory=NONE, steps=self.steps[-MAX_STEPS:])

    def narrow(self, axis: int, start: int, stop: int) -> Operand:
        """Elements [start, stop) along `axis`."""
        start, stop, _ = slice(start, stop).indices(self.shape[axis])
        if start == 0 and stop == self.shape[axis]:
            return self
        if self.narrowing is not None:
            return self.narrowing(axis, start, stop)
        shape = (*self.shape[:axis], max(0, stop - start), *self.shape[axis + 1 :])
        index = (slice(None),) * axis + (slice(start, stop),)
        label = f"slice(axis={axis},{start}:{stop})"

        def further(other: int, low: int, high: int) -> Operand:
            if other == axis:
                return self.narrow(axis, start + low, start + high)
            return _plain_narrow(self.narrow(other, low, high), axis, start, stop)

        return self.then(label, shape, lambda a: a[index], looks=True, narrowing=further)

    def drop(self, axis: int) -> Operand:
        """Without `axis`, whose length is 1."""
        shape = (*self.shape[:axis], *self.shape[axis + 1 :])

        def further(other: int, low: int, high: int) -> Operand:
            return self.narrow(other + (other >= axis), low, high).drop(axis)

        return self.then(f"squeeze({axis})", shape, lambda a: a.reshape(shape), looks=True, narrowing=further)

    def transpose(self, perm: Sequence[int]) -> Operand:
        """With the axes in the order `perm`."""
        order = tuple(perm)
        if order == tuple(range(self.rank)):
            return self

        def further(axis: int, low: int, high: int) -> Operand:
            return self.narrow(order[axis], low, high).transpose(order)

        shape = tuple(self.shape[p] for p in order)
        label = f"transpose({','.join(map(str, order))})"
        return self.then(label, shape, lambda a: a.transpose(order), looks=True, narrowing=further)

    def reshape(self, shape: Sequence[int]) -> Operand:
        """With the same elements in another shape."""
        want = tuple(shape)
        if want == self.shape:
            return self
        label = f"reshape({','.join(map(str, want))})"
        return self.then(label, want, lambda a: a.reshape(want), narrowing=_narrow_reshaped(self, want))

    def then(  # noqa: PLR0913  what the step does, as keywords
        self,
        step: str | None,
        shape: Sequence[int],
        change: Callable[[np.ndarray], np.ndarray],
        *,
        dtype: str | None = None,
        exact: bool = True,
        computes: bool | None = None,
        looks: bool = False,
        scratch: int = 0,
        narrowing: Narrow | None = None,
        with_: Iterable[Tensor] = (),
    ) -> Operand:
        """One more step; it computes where it is not exact, unless `computes` says otherwise. Raises UnsupportedWeight beyond MAX_STEPS.

        It makes an array of its own, with `scratch` bytes of others on the way, unless it only `looks` at the one that it gets.
        """
        computes = not exact if computes is None else computes
        if self.length >= MAX_STEPS:
            raise UnsupportedWeight(f"more than {MAX_STEPS} operators between the stored tensor and its use")
        source = self.array
        dtype = dtype or self.dtype
        made = 0 if looks else math.prod(shape) * width(dtype)
        return Operand(
            tensors=merge(self.tensors, tuple(with_)),
            shape=tuple(shape),
            dtype=dtype,
            compute=lambda: change(source()),
            steps=(*self.steps, step) if step else self.steps,
            length=self.length + 1,
            narrowing=narrowing,
            exact=self.exact and exact,
            computed=self.computed or (step if computes else None),
            work=self.work + STEP_COST + (0 if exact else math.prod(shape)),
            memory=self.memory if looks else self.memory.then(made, scratch),
            count=self.count,
        )

    def view(self, *, unit_axes: tuple[int, ...], input_axes: tuple[int, ...], part: str | None = None) -> WeightView:
        """As the weight of a layer."""
        from initaudit.views.weight import WeightView

        return WeightView(
            tensors=self.tensors,
            steps=self.steps,
            computed=self.computed,
            shape=self.shape,
            dtype=self.tensors[0].dtype if self.tensors else self.dtype,
            part=part,
            unit_axes=unit_axes,
            input_axes=input_axes,
            evaluate=self.array,
        )


MAX_INDEX_TABLE = 4096
"""Integer constants up to this size are read as shapes, axes and indices while the graph is followed."""

MAX_INDEX_WORK = 1 << 26
"""Elements that may be computed for one of them, about a tenth of a second. The largest found, the mask of a shifted window that a chain of
ScatterND builds, takes half of it."""


def leaf(tensor: Tensor) -> Operand:
    """A stored tensor as it is."""
    return Operand(
        tensors=(tensor,), shape=tensor.shape, dtype=tensor.dtype, compute=tensor.array, memory=memory_of(tensor)
    )


def merge(*groups: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The tensors of several operands, each once, in order."""
    if sum(map(bool, groups)) <= 1:
        return next((g for g in groups if g), ())
    return tuple({id(t): t for group in groups for t in group}.values())


def retype(operand: Operand, dtype: str, step: str) -> Operand:
    """With the values cast to `dtype`; a cast to the same type is none."""
    if dtype == operand.dtype:
        return operand
    target = numpy_dtype(dtype)

    def further(axis: int, low: int, high: int) -> Operand:
        return retype(operand.narrow(axis, low, high), dtype, step)

    def change(array: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):  # NaN to integer, overflow to float16: as the runtime does it, silently
            return array.astype(target)

    return operand.then(step, operand.shape, change, dtype=dtype, exact=False, computes=False, narrowing=further)


def _plain_narrow(operand: Operand, axis: int, start: int, stop: int) -> Operand:
    """Like narrow, for an operand whose own narrowing along `axis` gave this very request."""
    shape = (*operand.shape[:axis], max(0, stop - start), *operand.shape[axis + 1 :])
    index = (slice(None),) * axis + (slice(start, stop),)
    return operand.then(f"slice(axis={axis},{start}:{stop})", shape, lambda a: a[index], looks=True)


def _narrow_reshaped(source: Operand, shape: tuple[int, ...]) -> Narrow | None:
    """Slices of a reshaped operand as slices of its source, along axes that the reshape keeps; else computed."""
    kept: dict[int, int] = {}
    for axis, length in enumerate(shape):
        before = math.prod(shape[:axis])
        for old, old_length in enumerate(source.shape):
            if old_length == length and math.prod(source.shape[:old]) == before and length != 1:
                kept[axis] = old
    if not kept:
        return None

    def further(axis: int, low: int, high: int) -> Operand:
        narrowed = (*shape[:axis], high - low, *shape[axis + 1 :])
        if axis in kept:
            return source.narrow(kept[axis], low, high).reshape(narrowed)
        return _plain_narrow(replace(source.reshape(shape), narrowing=None), axis, low, high)

    return further
