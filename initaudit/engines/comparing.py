"""How much the weights of two models differ, as a task for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.engines.process import do
from initaudit.task import Limits, Task

if TYPE_CHECKING:
    from initaudit.engines.auditing import Subject
    from initaudit.judgement.compare import LayerChange
    from initaudit.task import Watch


def weight_changes(before: Subject | None, after: Subject | None) -> tuple[LayerChange, ...] | None:
    """How much each layer changed, where both models are at hand. Raises ModelError, and LostWorker at a limit of the options."""
    if before is None or after is None:
        return None
    limits = Limits.of(timeout=after.config.timeout, max_memory=after.config.max_memory)
    return do(Task(_changes, (before, after), limits))


def _changes(before: Subject, after: Subject, watch: Watch) -> tuple[LayerChange, ...]:
    from initaudit.extraction.extract import extract_layers
    from initaudit.judgement.compare import compare
    from initaudit.model.external import external_bytes

    watch.doing("comparing the weights")
    models = [subject.load()[0] for subject in (before, after)]
    for model in models:
        watch.weighs(model.size + external_bytes(model.proto, model.folder))
    first, second = (extract_layers(model).layers for model in models)
    return compare(first, second)
