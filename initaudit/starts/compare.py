"""compare(): every start of a network measured, and what came of it in every form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.auditor import audit
from initaudit.fixing.options import FixOptions
from initaudit.remembering import remembering
from initaudit.starts.document import starts_document
from initaudit.starts.measure import measure_starts
from initaudit.starts.schemes import AS_IS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from initaudit.config import Config
    from initaudit.model.load import Source

WIDTH = 120
"""Columns of the text of `str`. A judgement: all columns of the table fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The starts of a network, best first."""

    document: Mapping[str, Any]
    """As `initaudit compare --output-format json` prints it."""

    @property
    def winner(self) -> str | None:
        """The scheme of the best start; None where with none the network is expected to learn."""
        scheme: str | None = self.document["winner"]
        return scheme

    @property
    def sentence(self) -> str:
        """Which is the best, why, and how far the network as it is stands from it."""
        told: str = self.document["sentence"]
        return told

    def to_html(self) -> str:
        """One self-contained page."""
        return self._as("html")

    def to_csv(self) -> str:
        """A row a layer of each start."""
        return self._as("csv")

    def _repr_html_(self) -> str:
        """In a notebook: the page, in a frame of its own, so that its styles stay in it."""
        from html import escape

        return f'<iframe srcdoc="{escape(self.to_html())}" style="width:100%;height:80vh;border:0"></iframe>'

    def __str__(self) -> str:
        """The table, best first, and who wins."""
        return self._as("text")

    def _as(self, form: str) -> str:
        from initaudit.format import FormatOptions, find_format

        return find_format(form).starts(self.document, FormatOptions(width=WIDTH))


@np.errstate(all="ignore")  # as in an audit: what is not finite is found and reported
def compare(
    source: Source,
    schemes: Sequence[str],
    config: Config,
    drawn: FixOptions | None = None,
    progress: Callable[[str], None] = lambda _: None,
    command: Sequence[str] | None = None,
) -> Comparison:
    """Measure the network under each scheme.

    Args:
        source: as for `audit`.
        schemes: as for `measure_starts`, and so `config`, `drawn` and `progress`.
        config: options of all audits.
        drawn: gain, biases and spared layers.
        progress: called with what is being measured.
        command: the command line, for the document.

    Raises:
        ModelError, UsageError, ProbeError: as for `audit` and `measure_starts`.
    """
    started = datetime.now(UTC)
    with remembering():
        progress(AS_IS)
        itself = audit(source, config)
        starts = list(measure_starts(itself, schemes, config, drawn or FixOptions(), progress))
    return Comparison(document=starts_document(starts, itself, started=started, command=command))
