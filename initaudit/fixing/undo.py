"""undo(): take back what fixes did to a model, with the values of the model that they were made of.

A record holds digests, not values: what was there before comes from the original, tensor by tensor, and only where it is what the record says. What else was
changed in the model since then stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.errors import FixRefused, UnsupportedWeight
from initaudit.fixing.patching import write_model
from initaudit.fixing.record import write_record
from initaudit.model.digest import digest
from initaudit.model.load import load_model
from initaudit.model.record import read_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from initaudit.model.load import Model, Source
    from initaudit.model.record import Record
    from initaudit.model.tensors import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What was taken back."""

    restored: tuple[str, ...]
    """Names of the tensors."""
    written: tuple[Path, ...]


def undo(fixed: Source, original: Source, output: Path | None, *, force: bool = False) -> Undone:
    """Write the fixed model as it was before all fixes that it records, without the record.

    Args:
        fixed: the model with a record.
        original: the model that was fixed, as it was before the first fix.
        output: file to write; None to write nothing and only see whether it can be done.
        force: also restore tensors that were changed since they were fixed.

    Raises:
        FixRefused: nothing was written, and why.
        ModelError: one of the models cannot be read.
    """
    model, source = load_model(fixed), load_model(original)
    record = read_record(model.proto)
    if record is None:
        raise FixRefused(f"{model.label}: holds no record of a fix; there is nothing to undo")
    if record.problem is not None:
        raise FixRefused(f"{model.label}: its record of fixes cannot be read: {record.problem}")
    wanted = _before(record)
    found = list(_found(model, wanted, force=force))
    values = {id(tensor): _value(source, tensor, before) for tensor, before in found}
    restored = tuple(dict.fromkeys(tensor.name for tensor, _ in found))
    if output is None:
        return Undone(restored=restored, written=())
    write_record(model.proto, ())
    written = write_model(model, output, values, touched={id(tensor): tensor for tensor, _ in found})
    return Undone(restored=restored, written=tuple(written))


def _before(record: Record) -> dict[tuple[str, str], str]:
    """By name and digest of what the last fix left, the digest of what was there before the first."""
    before: dict[tuple[str, str], str] = {}
    for fix in record.fixes:
        for tensor in fix.tensors:
            before[tensor.name, tensor.after] = before.pop((tensor.name, tensor.before), tensor.before)
    return before


def _found(model: Model, wanted: dict[tuple[str, str], str], *, force: bool) -> Iterator[tuple[Tensor, str]]:
    """The fixed tensors, with the digests of what they held. Raises FixRefused where one is not what a fix left."""
    names = {name for name, _ in wanted}
    left = dict(wanted)
    changed: list[Tensor] = []
    for tensor in _tensors(model):
        if tensor.name not in names:
            continue
        key = tensor.name, digest(tensor.array())
        if key in wanted:
            left.pop(key, None)
            yield tensor, wanted[key]
        else:
            changed.append(tensor)
    for (name, _), before in left.items():
        other = next((t for t in changed if t.name == name), None)
        if other is None:
            raise FixRefused(f"{model.label}: tensor {name!r:.100}: was fixed, and is no longer in the model")
        if not force:
            raise FixRefused(
                f"{model.label}: tensor {name!r:.100}: was changed since it was fixed; --force restores it all the same"
            )
        yield other, before


def _value(source: Model, tensor: Tensor, before: str) -> np.ndarray:
    """What the tensor held, from the tensor of that name in the original, or from the one that it was a copy of."""
    alike = [t for t in _tensors(source) if t.shape == tensor.shape and t.dtype == tensor.dtype]
    for candidate in sorted(alike, key=lambda t: t.name != tensor.name):
        try:
            values = candidate.array()
        except UnsupportedWeight:
            continue
        if digest(values) == before:
            return values
    why = (
        "it was itself written by a fix, and the model before the first one is needed"
        if read_record(source.proto) is not None
        else "it is not the model that was fixed"
    )
    raise FixRefused(f"{source.label}: does not hold what tensor {tensor.name!r:.100} held before it was fixed; {why}")


def _tensors(model: Model) -> Iterator[Tensor]:
    """Each stored tensor once."""
    return iter({id(tensor): tensor for _, tensor in model.graph.tensors()}.values())
