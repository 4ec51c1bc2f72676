"""Candidate: a model as it would be written, in memory, with its audit; and the way from one to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from initaudit.auditor import audit
from initaudit.fixing.record import fix_of, write_record
from initaudit.memory import give_back
from initaudit.model.digest import digest
from initaudit.model.load import private_copy
from initaudit.model.record import FixedTensor, read_record
from initaudit.redrawing.positions import set_values
from initaudit.redrawing.split import copies, split

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from initaudit.config import Config
    from initaudit.model.load import Model
    from initaudit.model.tensors import Tensor
    from initaudit.redrawing.choice import Change, Choice, Recipe, Refusal
    from initaudit.redrawing.contents import Contents
    from initaudit.report.report import Report

Key: TypeAlias = tuple[int, str]
"""Of a stored tensor: which graph of the model, and its name there."""
Drawn: TypeAlias = "tuple[tuple[Change, ...], tuple[Refusal, ...], Contents]"


def nothing() -> None:
    """What is done where nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """The model with some of its values replaced."""

    model: Model
    report: Report
    changes: tuple[Change, ...] = ()
    """At most one a tensor: the last word."""
    refusals: tuple[Refusal, ...] = ()
    split: Mapping[str, str] = field(default_factory=dict)
    """Copies that have tensors of their own here, each with the name under which the file stores it."""
    touched: frozenset[Key] = frozenset()
    """Tensors with new values."""
    begins: Callable[[], None] = nothing
    """Called where something begins that has the time limit of an audit for itself."""

    def changed(
        self, chosen: Sequence[Choice], config: Config, draw: Callable[[Model], Drawn], *, rung: str, recipe: Recipe
    ) -> Candidate | None:
        """The candidate with what `draw` makes of a copy of it, audited; None where that changes nothing.

        `chosen` are the layers whose copies must not change with them, `recipe` is what the record in the model says of how they were drawn.
        """
        names = copies(self.model, chosen)
        model = split(replace(private_copy(self.model), name=self.model.label), names)
        self.begins()
        changes, refusals, contents = draw(model)
        keys = {id(tensor): key for key, tensor in tensors(model)}
        touched = {
            keys[identity] for identity, tensor in contents.tensors.items() if _is_set(tensor, contents, identity)
        }
        if not touched:
            return replace(self, refusals=_together(self.refusals, refusals)) if refusals else None
        held = {name for _, name in touched}
        named = tuple(
            _as_it_is(replace(change, rung=rung), held)
            for change in changes
            if {change.initializer, change.bias, change.scale} & held
        )
        again = {change.layer for change in named}
        changes = (*(c for c in self.changes if c.layer not in again), *_since(self.changes, named))
        self._record(model, changes, touched, config.seed, recipe)
        self.begins()
        return replace(
            self,
            model=model,
            report=audit(model, config),
            changes=changes,
            refusals=tuple(r for r in _together(self.refusals, refusals) if r.layer not in again),
            split={**self.split, **names},
            touched=self.touched | touched,
        )

    def _record(
        self, model: Model, changes: Sequence[Change], touched: Collection[Key], seed: int, recipe: Recipe
    ) -> None:
        """Record in `model`, as in the file, one fix for all rungs: an audit goes by it."""
        record = read_record(self.model.proto)
        fixes = record.fixes if record is not None else ()
        earlier = len(fixes) - bool(self.changes)  # the last is of the rungs before this one
        held, known = dict(tensors(self.model)), {t.name: t for fix in fixes[earlier:] for t in fix.tensors}
        for key, tensor in tensors(model):
            if key in touched:
                name = key[1]
                before = known[name].before if name in known else digest(held[key].array()) if key in held else ""
                known[name] = FixedTensor(name=name, before=before, after=digest(tensor.array()))
        fix = fix_of(model, changes, list(known.values()), seed=seed, recipe=recipe)
        write_record(model.proto, (*fixes[:earlier], fix))

    @property
    def needed(self) -> frozenset[str]:
        """The copies that hold, or whose stored original holds, new values."""
        held = {name for _, name in self.touched}
        return frozenset(copy for copy, stored in self.split.items() if copy in held or stored in held)

    @property
    def renewed(self) -> dict[Key, Tensor]:
        """Every touched tensor, with its new values."""
        return {key: tensor for key, tensor in tensors(self.model) if key in self.touched}


def tensors(model: Model) -> Iterator[tuple[Key, Tensor]]:
    """Every stored tensor of a model."""
    for index, graph in enumerate(model.graph.graphs()):
        for name, value in graph.values.items():
            if value.tensor is not None:
                yield (index, name), value.tensor


def _is_set(tensor: Tensor, contents: Contents, identity: int) -> bool:
    """Store the new values of a tensor, which `contents` no longer holds then; whether they are others than it had."""
    values, held = contents.values.pop(identity), tensor.array().reshape(-1)
    if np.array_equal(values.astype(held.dtype, copy=False), held):
        return False
    give_back(held)
    set_values(tensor, values)
    return True


def _as_it_is(change: Change, held: Collection[str]) -> Change:
    """The change without a bias that already was what it is set to."""
    return change if change.bias in held else replace(change, bias=None, bias_before=None, bias_after=None)


def _together(one: tuple[Refusal, ...], other: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    return tuple({refusal.layer: refusal for refusal in (*one, *other)}.values())


def _since(earlier: Sequence[Change], later: Sequence[Change]) -> list[Change]:
    """The later changes, with what stood there before the first of them."""
    first = {change.layer: change for change in earlier}
    return [_joined(first[change.layer], change) if change.layer in first else change for change in later]


def _joined(earlier: Change, later: Change) -> Change:
    """Of one layer that two rungs changed."""
    bias = earlier.bias_before if earlier.bias is not None else later.bias_before
    wrong = earlier.wrong or later.wrong
    return replace(later, std_before=earlier.std_before, mean_before=earlier.mean_before, bias_before=bias, wrong=wrong)
