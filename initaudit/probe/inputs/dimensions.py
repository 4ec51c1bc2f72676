"""Free dimensions: which axes share a size, what each of them is, and which sizes to try in which order."""

from __future__ import annotations

import ast
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initaudit.probe.inputs.facts import Facts

NAMELESS = frozenset(("", "?", "none", "null", "unk", "unknown", "-1", "*", "dynamic", "dim"))
"""What exporters write where a dimension has no name: equal text does not mean equal size."""

KIND_BY_NAME: tuple[tuple[str, str], ...] = (
    (r"batch|^(n|b|bs|bsz|nb)$|num_?(samples|examples|images)", "batch"),
    (r"total|all_?(seq|len)|past.*\+|\+.*past|(kv|key).*(len|seq)", "total"),
    (r"past|cache", "past"),
    (r"seq|time|len|token|frame|step|sample|duration|word|^[lts]$", "time"),
    (r"height|width|^[hw]$|size|spatial", "space"),
    (r"chan|^c$", "channel"),
    (r"feat|dim|hidden|^[df]$", "feature"),
)
"""First match wins. The names are those that torch, Hugging Face, Keras and Paddle exports give."""

SIZES: dict[str, tuple[int, ...]] = {
    "time": (16, 8, 32, 64, 128, 10, 20, 50, 100, 256, 512, 77, 1),
    "steps": (64, 16, 8, 32, 128, 10, 20, 50, 100, 256, 512, 1),
    "samples": (1024, 512, 4096, 16000, 576, 2048, 256, 8000, 160, 64, 48000),
    "past": (0, 8, 1, 16),
    "space": (224, 64, 32, 28, 128, 256, 96, 299, 84, 48, 112, 384, 512, 640, 320, 416, 16, 8),
    "channel": (3, 1, 4, 2, 16, 64),
    "feature": (16, 8, 32, 64, 128, 256, 512, 768, 10, 4, 3, 2, 784, 1024),
    "other": (16, 8, 32, 64, 1, 4, 2, 3, 10, 128),
}
"""Sizes to try, the likeliest first: image sides of ImageNet, CIFAR and MNIST models, clips of 16 kHz audio, sentences
long enough to have structure and short enough for every position table, sequences long enough for a recurrent cell to show what it
forgets and what explodes in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """A free size, shared by every axis that carries its key."""

    key: str
    kind: str
    sizes: tuple[int, ...]
    """To try, in this order; empty for a sum of others, which `formula` gives."""
    formula: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Shapes of all inputs with their free dimensions."""

    axes: Mapping[str, tuple[int | str, ...]]
    """Input -> for each axis its size, or the key of its dimension."""
    dimensions: Mapping[str, Dimension]

    def shapes(self, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """Concrete shapes for an assignment of sizes to keys."""
        return {name: tuple(a if isinstance(a, int) else sizes[a] for a in axes) for name, axes in self.axes.items()}

    def batch_axes(self, facts: Mapping[str, Facts]) -> dict[str, int | None]:
        """Which axis of each input counts independent samples."""
        found: dict[str, int | None] = {}
        for name, axes in self.axes.items():
            free = [i for i, a in enumerate(axes) if isinstance(a, str) and self.dimensions[a].kind == "batch"]
            marked = [i for i, kind in facts[name].kinds.items() if kind == "batch" and i < len(axes)]
            fixed = (
                [0]
                if len(axes) > 1 and isinstance(axes[0], int) and facts[name].kinds.get(0, "batch") == "batch"
                else []
            )
            found[name] = next(iter([*free, *marked, *fixed]), None)
        return found


def layout_of(
    declared: Mapping[str, tuple[int | str | None, ...]],
    facts: Mapping[str, Facts],
    integer: Mapping[str, bool],
    batch: int,
    given: Mapping[str, tuple[int, ...]],
) -> Layout:
    """Name the free dimensions of all inputs.

    Args:
        declared: input -> declared dimensions (int, symbol, or None).
        facts: input -> what the graph demands.
        integer: input -> whether its type is an integer.
        batch: preferred batch size.
        given: input -> shape that the user demands.
    """
    axes: dict[str, tuple[int | str, ...]] = {}
    kinds: dict[str, list[str]] = {}
    demanded: dict[str, int] = {}
    minimum: dict[str, int] = {}
    recurrent: set[str] = set()
    pinned: dict[str, int] = {}
    for name, dims in declared.items():
        found = facts[name]
        resolved: list[int | str] = []
        for axis, dim in enumerate(dims):
            if isinstance(dim, int) and dim > 0:
                resolved.append(given[name][axis] if name in given else dim)
                continue
            key = _key(name, axis, dim, found, rank=len(dims), integer=integer[name])
            resolved.append(key)
            kinds.setdefault(key, []).append(_kind(axis, dim, found, rank=len(dims), integer=integer[name]))
            if axis in found.sizes:
                demanded.setdefault(key, found.sizes[axis])
            if "recurrent" in found.roles:
                recurrent.add(key)
            minimum[key] = max(minimum.get(key, 0), found.minimum.get(axis, 0))
            if name in given:
                pinned[key] = given[name][axis]
        axes[name] = tuple(resolved)
    dimensions: dict[str, Dimension] = {}
    for key, votes in kinds.items():
        kind = next((k for k in votes if k not in ("other", "feature")), votes[0])
        formula = key if kind == "total" and re.search(r"[-+*/]", key) else None
        if key in pinned:
            sizes: tuple[int, ...] = (pinned[key],)
        elif kind == "batch":
            sizes = tuple(dict.fromkeys((batch, 1, 2)))
        elif key in demanded:
            sizes = (demanded[key], *(s for s in (1,) if demanded[key] != 1))
        else:
            usual = SIZES["steps" if kind == "time" and key in recurrent else kind if kind in SIZES else "other"]
            sizes = tuple(s for s in usual if s >= minimum[key]) or (minimum[key],)
        if kind == "total" and key not in pinned and key not in demanded:
            sizes = ()
        dimensions[key] = Dimension(key=key, kind=kind, sizes=sizes, formula=formula)
    return Layout(axes=axes, dimensions=dimensions)


def sizes_for(layout: Layout, chosen: Mapping[str, int]) -> dict[str, int]:
    """Complete an assignment: totals are past plus present, or what their formula says."""
    sizes = dict(chosen)
    past = next((sizes[k] for k, d in layout.dimensions.items() if d.kind == "past" and k in sizes), 0)
    time = next((sizes[k] for k, d in layout.dimensions.items() if d.kind == "time" and k in sizes), SIZES["time"][0])
    for key, dimension in layout.dimensions.items():
        if key not in sizes:
            value = evaluate(dimension.formula, sizes) if dimension.formula else None
            sizes[key] = value if value is not None and value > 0 else past + time
    return sizes


_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Div: operator.floordiv,
}  # fmt: skip


def evaluate(formula: str, sizes: Mapping[str, int]) -> int | None:
    """Value of a symbolic dimension such as `past_sequence_length + 1`, or None where a symbol is unknown."""
    try:
        return _value(ast.parse(formula.strip(), mode="eval").body, sizes)
    except (SyntaxError, ValueError, KeyError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr, sizes: Mapping[str, int]) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) < 1 << 31:
        return node.value
    if isinstance(node, ast.Name):
        return sizes[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left, sizes), _value(node.right, sizes))
    raise ValueError(type(node).__name__)


def _key(name: str, axis: int, dim: int | str | None, facts: Facts, *, rank: int, integer: bool) -> str:
    text = str(dim).strip() if isinstance(dim, str) else ""
    if text.lower() not in NAMELESS:
        return text
    kind = facts.kinds.get(axis) or _kind(axis, dim, facts, rank=rank, integer=integer)
    if kind == "batch":
        return "batch"
    if kind == "space":  # a square image unless the file says otherwise
        return f"side of {name}"
    if kind == "time" and integer:
        return "sequence"
    return f"{name}[{axis}]"


def _kind(axis: int, dim: int | str | None, facts: Facts, *, rank: int, integer: bool) -> str:  # noqa: PLR0911  one line a rule
    by_name = next(
        (kind for pattern, kind in KIND_BY_NAME if isinstance(dim, str) and re.search(pattern, dim.lower())), None
    )
    if axis in facts.kinds:
        found = facts.kinds[axis]
        if found == "time" and not integer and "filtered" in facts.roles:
            return "samples"
        if not (found == "batch" and by_name not in (None, "batch")):
            return found
    if by_name is not None:
        if by_name == "time" and not integer and "filtered" in facts.roles:
            return "samples"
        return by_name
    if axis == 0 and axis not in facts.sizes:
        return "batch"
    if rank == 4 and axis >= 2:
        return "space"
    if axis == 1 and (integer or rank == 3):
        return "time"
    if rank == 4 and axis == 1:
        return "channel"
    if axis == rank - 1:
        return "samples" if "filtered" in facts.roles else "feature"
    return "other"
