"""Two versions of a model side by side: which layers changed, which did not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from initaudit.errors import UnsupportedWeight, UsageError
from initaudit.kind import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from initaudit.extraction.layer import Layer
    from initaudit.measuring.layer_audit import LayerAudit


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerChange:
    """One layer before and after."""

    before: str | None
    """Layer.name in the first model; None where the layer is new."""
    after: str | None
    """Layer.name in the second model; None where the layer is gone."""
    title: str
    change: float | None
    """|after - before| / |before| in the Frobenius norm; 0.0 exactly where every value is equal; None where there is no pair."""
    parameters: int

    @property
    def state(self) -> str:
        """added, removed, unreadable, unchanged or changed."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        if self.change is None:
            return "unreadable"
        return "unchanged" if self.change == 0 else "changed"


def compare(before: Sequence[Layer], after: Sequence[Layer]) -> tuple[LayerChange, ...]:
    """Pair layers by title, then by stored name, then by equal shape in order; parts pair with parts."""
    pairs = _pair(before, after)
    changes = [
        LayerChange(before=b.name, after=a.name, title=a.title, change=_change(b, a), parameters=a.parameters)
        for b, a in pairs
    ]
    paired_before, paired_after = {id(b) for b, _ in pairs}, {id(a) for _, a in pairs}
    changes += [
        LayerChange(before=b.name, after=None, title=b.title, change=None, parameters=b.parameters)
        for b in before
        if id(b) not in paired_before
    ]
    changes += [
        LayerChange(before=None, after=a.name, title=a.title, change=None, parameters=a.parameters)
        for a in after
        if id(a) not in paired_after
    ]
    return tuple(changes)


def earlier_layers(path: str, layers: Sequence[LayerAudit]) -> tuple[Layer, ...]:
    """The layers of an earlier model, in the file at `path`, of that whose layers are given.

    Raises ModelError, and UsageError where none of them has its counterpart there: that file is another network.
    """
    from initaudit.extraction.extract import extract_layers
    from initaudit.model.load import load_model

    earlier = extract_layers(load_model(path)).layers
    if layers and not _pair(earlier, [a.layer for a in layers]):
        raise UsageError(f"against: no layer of the model has a counterpart in {path}")
    return earlier


def untouched_layers(layers: Sequence[LayerAudit], earlier: Sequence[Layer]) -> dict[str, str]:
    """Layers whose weights equal those of an earlier model: name here -> name there."""
    changes = compare(earlier, [a.layer for a in layers])
    return {c.after: c.before for c in changes if c.change == 0.0 and c.after and c.before}


def untouched_rows(layers: Sequence[LayerAudit], earlier: Sequence[Layer]) -> dict[str, NDArray[np.intp]]:
    """Rows that equal those of an earlier model, of tables that as a whole do not, by the name of the layer here."""
    import numpy as np

    found = {}
    for before, after in _pair(earlier, [a.layer for a in layers]):
        if after.kind is not Kind.EMBEDDING or before.weight.shape != after.weight.shape:
            continue
        try:
            equal = before.weight.array() == after.weight.array()
        except UnsupportedWeight:
            continue
        rows = equal.all(axis=tuple(a for a in range(equal.ndim) if a not in after.weight.input_axes))
        if not rows.all():
            found[after.name] = np.flatnonzero(rows)
    return found


def _pair(before: Sequence[Layer], after: Sequence[Layer]) -> list[tuple[Layer, Layer]]:
    return paired(before, after, (_by_title, _by_tensor, _by_shape))


def paired(before: Sequence[T], after: Sequence[T], keys: Sequence[Callable[[T], object]]) -> list[tuple[T, T]]:
    """Pairs whose first key is equal, then of the rest those whose second is, and so on; in the order of `after`, each used once."""
    pairs: dict[int, tuple[T, T]] = {}
    left, right = dict(enumerate(before)), dict(enumerate(after))
    for key in keys:
        waiting: dict[object, list[int]] = {}
        for place, item in left.items():
            waiting.setdefault(key(item), []).append(place)
        for place, item in list(right.items()):
            candidates = waiting.get(key(item))
            if candidates:
                pairs[place] = (left.pop(candidates.pop(0)), right.pop(place))
    return [pairs[place] for place in sorted(pairs)]


def _by_title(layer: Layer) -> object:
    return (layer.title, layer.weight.part, layer.weight.shape)


def _by_tensor(layer: Layer) -> object:
    return (layer.weight.tensors[0].name if layer.weight.tensors else "", layer.weight.part, layer.weight.shape)


def _by_shape(layer: Layer) -> object:
    return (layer.op_type, layer.weight.part, layer.weight.shape)


def _change(before: Layer, after: Layer) -> float | None:
    import numpy as np

    try:
        a, b = before.weight.array(), after.weight.array()
    except UnsupportedWeight:
        return None
    if a.dtype == b.dtype and np.array_equal(
        a.view(np.uint8) if a.flags.c_contiguous else a, b.view(np.uint8) if b.flags.c_contiguous else b
    ):
        return 0.0
    x, y = np.asarray(a, np.float32), np.asarray(b, np.float32)
    scale = float(np.linalg.norm(x.reshape(-1)))
    distance = float(np.linalg.norm((y - x).reshape(-1)))
    if distance == 0.0:
        return 0.0
    return distance / scale if scale else float("inf")
