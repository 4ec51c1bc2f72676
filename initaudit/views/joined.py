"""Constants one after the other."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.views.memory import together
from initaudit.views.operand import STEP_COST, Operand, merge

if TYPE_CHECKING:
    from collections.abc import Sequence


def concat(parts: Sequence[Operand], axis: int) -> Operand:
    """Several constants one after the other; a slice that lies in one of them is a slice of that one."""
    first = parts[0]
    lengths = [p.shape[axis] for p in parts]
    shape = (*first.shape[:axis], sum(lengths), *first.shape[axis + 1 :])
    for part in parts:
        if part.shape[:axis] != first.shape[:axis] or part.shape[axis + 1 :] != first.shape[axis + 1 :]:
            raise ValueError("shapes to be concatenated do not fit")
    operands = tuple(parts)

    def further(other: int, low: int, high: int) -> Operand:
        if other != axis:
            return concat([p.narrow(other, low, high) for p in operands], axis)
        begin, inside = 0, []
        for part, length in zip(operands, lengths, strict=True):
            start, stop = max(low, begin), min(high, begin + length)
            if start < stop:
                inside.append(part.narrow(axis, start - begin, stop - begin))
            begin += length
        return inside[0] if len(inside) == 1 else concat(inside, axis)

    longest = max(operands, key=lambda p: p.length)
    joined = longest.then(
        f"concat(axis={axis})",
        shape,
        lambda _: np.concatenate([p.array() for p in operands], axis=axis),
        narrowing=further,
    )
    return replace(
        joined,
        tensors=merge(*(p.tensors for p in operands)),
        compute=lambda: np.concatenate([p.array() for p in operands], axis=axis),
        exact=all(p.exact for p in operands),
        computed=next((p.computed for p in operands if p.computed), None),
        work=sum(p.work + STEP_COST for p in operands) + math.prod(shape),
        memory=together(p.memory for p in operands).then(joined.nbytes),
    )
