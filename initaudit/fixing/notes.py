"""What a user must know of a fixed model besides what was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.judgement.context import infer_context
from initaudit.model.load import LARGEST_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onnx import ModelProto

    from initaudit.redrawing.choice import Change
    from initaudit.report.report import Report

CALIBRATED = frozenset(("QuantizeLinear", "QLinearConv", "QLinearMatMul", "QGemm"))
"""Operators that quantise activations by a scale in the file."""


def notes_of(model: ModelProto, changes: Sequence[Change], written: Sequence[Path]) -> tuple[str, ...]:
    """A sentence each."""
    return (*_training(model, changes), *_calibration(model, changes), *_size(written))


def notes_of_context(report: Report) -> tuple[str, ...]:
    """What an audit that is not told so takes a fresh network for, where that is something else."""
    assert report.audit is not None
    own = infer_context(report.audit.layers).name
    if report.audit.context.name != "fresh" or own == "fresh":
        return ()
    return (f"the values alone do not tell that the network is fresh (context {own}): audit it with --context fresh",)


def _training(model: ModelProto, changes: Sequence[Change]) -> Iterator[str]:
    changed = {name for change in changes for name in (change.initializer, change.bias) if name}
    drawn = {binding.key for training in model.training_info for binding in training.initialization_binding}
    names = sorted(changed & drawn)
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"the training_info of the model draws {names[0]}{more} the old way whenever a training starts from it"


def _calibration(model: ModelProto, changes: Sequence[Change]) -> Iterator[str]:
    if any(change.scale for change in changes) and any(node.op_type in CALIBRATED for node in model.graph.node):
        yield "the scales by which the network quantises what its layers read were chosen for the weights that were there; calibrate them anew"


def _size(written: Sequence[Path]) -> Iterator[str]:
    for path in written[:1]:
        if path.stat().st_size > LARGEST_MESSAGE:
            yield f"{path} is larger than 2 GB, as the model was: most programs, onnxruntime among them, read no such file; keep the weights in external data"
