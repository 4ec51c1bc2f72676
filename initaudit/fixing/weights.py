"""The weights of a fixed model for the framework that trains it: written beside the model, with what could not be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from initaudit.errors import UsageError
from initaudit.exporting.state import state_of
from initaudit.exporting.weights_file import check_weights_file, write_weights
from initaudit.model.load import load_model

if TYPE_CHECKING:
    from initaudit.fixing.options import FixOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A file of weights."""

    path: str
    tensors: int
    missing: tuple[str, ...]
    """What the module has and the model does not tell, each with the reason."""
    notes: tuple[str, ...]
    """What was put in where the model has nothing."""


def check_export(options: FixOptions, output: str | Path | None) -> None:
    """Raises UsageError where the weights could not be written."""
    if options.export_weights is None:
        return
    check_weights_file(options.export_weights)
    if output is None and not options.dry_run:
        raise UsageError("the weights are those of the model that is written; give an output for it")
    if output is not None and options.export_weights.resolve() == Path(output).resolve():
        raise UsageError(f"{output}: is to be the model and the weights")


def export_weights(model: Path, path: Path) -> Exported:
    """Write the weights of a model file. Raises what reading and writing raise."""
    state = state_of(load_model(model))
    write_weights(path, state.values)
    return Exported(path=str(path), tensors=len(state.values), missing=state.missing, notes=state.notes)
