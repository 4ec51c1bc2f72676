"""learned_tensors(): what training changes of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.errors import NotTrainable
from initaudit.extraction.extract import extract_layers

if TYPE_CHECKING:
    from initaudit.model.load import Model

FIXED = frozenset(("running_mean", "running_var", "initial_state"))
"""What belongs to a layer and is not learned by its gradient."""


def learned_tensors(model: Model) -> set[str]:
    """Names of the stored tensors that training changes. Raises NotTrainable where a weight is not stored as floats."""
    found = extract_layers(model)
    names = {skipped.initializer for skipped in found.skipped if skipped.is_parameter and skipped.stored}
    for layer in found.layers:
        if layer.untrainable is not None:
            continue
        for tensor in layer.weight.tensors[:1]:
            if not tensor.is_floating:
                raise NotTrainable(
                    f"{model.label}: {layer.title} is stored as {tensor.dtype}: train it before it is quantised"
                )
            names.add(tensor.name)
        if layer.bias is not None:
            names.add(layer.bias.name)
        names.update(t.name for role, view in layer.auxiliary.items() if role not in FIXED for t in view.tensors[:1])
    if not names:
        raise NotTrainable(f"{model.label}: it stores no weight that could be trained")
    return names
