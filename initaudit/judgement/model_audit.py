"""ModelAudit: everything known about one model, as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from initaudit.extraction.layer import Extraction
    from initaudit.judgement.context import Context
    from initaudit.judgement.obstacle import Obstacle
    from initaudit.judgement.slowness import Slowness
    from initaudit.judgement.trainability import Trainability
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.load import Model
    from initaudit.probe.probe import ProbeResult


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelAudit:
    """What the rules see."""

    model: Model
    extraction: Extraction
    layers: tuple[LayerAudit, ...]
    """In topological order."""
    context: Context
    probe: ProbeResult
    trainability: Trainability | None
    """None where the backward probe did not run, or what it ran is not what will be trained."""
    slowness: Slowness
    """How it compares with the recommended start."""
    obstacle: Obstacle | None = None
    """What keeps a fresh network from learning well, where that can be said."""
    depth_scale: float | None = None
    """Layers over which the signal variance falls by a factor e; None where that cannot be said."""
    untouched: Mapping[str, str] = field(default_factory=dict)
    """Layers that equal a layer of the `--against` model: name here -> name there."""
    untouched_rows: Mapping[str, NDArray[np.intp]] = field(default_factory=dict)
    """Of tables that do not equal theirs as a whole: the rows that do."""

    remembered: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    """Answers of `once_per_audit`."""

    def by_name(self, name: str) -> LayerAudit:
        """The layer called `name`. Raises KeyError."""
        return next(layer for layer in self.layers if layer.layer.name == name)


def once_per_audit(ask: Callable[[ModelAudit], Answer]) -> Callable[[ModelAudit], Answer]:
    """`ask`, with its answer kept in the audit: a question about all layers that is asked at each finding takes as long as there are both."""

    @wraps(ask)
    def asked(audit: ModelAudit) -> Answer:
        if ask not in audit.remembered:
            audit.remembered[ask] = ask(audit)
        answer: Answer = audit.remembered[ask]
        return answer

    return asked
