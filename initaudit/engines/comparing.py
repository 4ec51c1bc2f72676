"""How much the weights of two models differ, as a task for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.engines.auditing import in_worker

if TYPE_CHECKING:
    from initaudit.engines.auditing import Subject
    from initaudit.judgement.compare import LayerChange
    from initaudit.task import Watch


def weight_changes(before: Subject | None, after: Subject | None) -> tuple[LayerChange, ...] | None:
    """How much each layer changed, where both models are at hand. Raises ModelError, and LostWorker at a limit of the options."""
    if before is None or after is None:
        return None
    return in_worker(after, _changes, before)


def _changes(after: Subject, before: Subject, watch: Watch) -> tuple[LayerChange, ...]:
    from initaudit.extraction.extract import extract_layers
    from initaudit.judgement.compare import compare

    watch.doing("comparing the weights")
    models = [subject.load()[0] for subject in (before, after)]
    for model in models:
        watch.weighs(model.bytes_on_disk)
    first, second = (extract_layers(model).layers for model in models)
    return compare(first, second)
