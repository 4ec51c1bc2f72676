"""The record that a fix leaves in the model: what was done, and digests of what was there before and of what is there now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initaudit.fixing.patching import stored, write_model
from initaudit.model.digest import digest
from initaudit.model.record import KEY, Fix, FixedLayer, FixedTensor, Record, read_record
from initaudit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from onnx import ModelProto

    from initaudit.model.load import Model
    from initaudit.model.tensors import Tensor
    from initaudit.redrawing.choice import Change, Recipe


def write_recorded(
    model: Model,
    output: Path,
    changed: Mapping[int, np.ndarray],
    touched: Mapping[int, Tensor],
    changes: Sequence[Change],
    *,
    seed: int,
    recipe: Recipe,
) -> list[Path]:
    """As `write_model`, with what was done recorded in the file."""
    tensors = [
        FixedTensor(name=tensor.name, before=digest(tensor.array()), after=digest(stored(tensor, changed[key])))
        for key, tensor in touched.items()
    ]
    add_fix(model.proto, fix_of(model, changes, tensors, seed=seed, recipe=recipe))
    return write_model(model, output, changed, touched=touched)


def fix_of(
    model: Model, changes: Sequence[Change], tensors: Sequence[FixedTensor], *, seed: int, recipe: Recipe
) -> Fix:
    """What is recorded of a fix of `model`."""
    layers = (
        FixedLayer(
            layer=change.layer,
            initializer=change.initializer,
            scheme=change.scheme,
            rung=change.rung or None,
            reason=change.reason,
            std=change.std_after if math.isfinite(change.std_after) else None,
            bias=change.bias,
        )
        for change in changes
    )
    return Fix(
        version=__version__,
        scheme=", ".join(recipe.scheme),
        mode=recipe.mode,
        seed=seed,
        source=model.sha256,
        layers=tuple(layers),
        tensors=tuple(tensors),
    )


def write_record(model: ModelProto, fixes: Sequence[Fix]) -> None:
    """Make `fixes` what the message says of its fixes, in the place of what it said; without any, nothing of them is left."""
    kept = [entry for entry in model.metadata_props if entry.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    if fixes:
        model.metadata_props.add(key=KEY, value=Record(fixes=tuple(fixes)).text)


def add_fix(model: ModelProto, fix: Fix) -> None:
    """Record one more fix; what cannot be read of earlier ones is replaced."""
    record = read_record(model)
    write_record(model, (*(record.fixes if record is not None else ()), fix))
