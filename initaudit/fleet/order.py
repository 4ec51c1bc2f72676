"""Order: one line of a plan as a worker gets it: small, picklable, and enough to do it anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.fleet.origin import is_url
from initaudit.task import Limits

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.fleet.plan import Planned

DEFAULT_RETRIES = 2
"""How often a model is begun again whose process or machine was lost. A judgement: of two losses in a row one may be the machine's fault."""
DEFAULT_MAX_BYTES = 8 << 30
"""Bytes of a remote model that are brought to a machine. A judgement: what scratch space of a small machine has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """What one model may take."""

    file_timeout: float | None = None
    """Seconds for everything; None for what `Limits.of` makes of the audit's own options."""
    file_memory: int | None = None
    """Bytes of private memory; None likewise."""
    retries: int = DEFAULT_RETRIES
    max_bytes: int = DEFAULT_MAX_BYTES
    """Of a remote model with its external files; of one that is read in place at a time."""
    readers: int = 1
    """Processes that read its large weights."""

    def limits(self, config: Config) -> Limits:
        """Under the options of an audit."""
        usual = Limits.of(timeout=config.timeout, max_memory=config.max_memory)
        return Limits(
            seconds=usual.seconds if self.file_timeout is None else self.file_timeout,
            memory=self.file_memory or usual.memory,
            seconds_option="--file-timeout",
            memory_option="--file-memory",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do with one model, and where the result goes."""

    store: str
    """Address."""
    run_id: str
    planned: Planned
    config: Config
    options: str
    """Digest of the options that matter."""
    care: Care
    exit_zero: bool = False

    @property
    def is_anywhere(self) -> bool:
        """Whether its path and those of its options lead to the same from every folder."""
        from pathlib import PurePath

        options = (self.config.baseline, self.config.against, self.config.input_data)
        paths = [self.planned.item.path, *(path for path in options if isinstance(path, str))]
        return all(is_url(path) or PurePath(path).is_absolute() for path in paths)
