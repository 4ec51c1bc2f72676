"""compare(): every start of a network measured, and what came of it in every form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from initaudit.starts.document import starts_document
from initaudit.starts.measure import DrawOptions, measure_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from initaudit.config import Config
    from initaudit.model.load import Source


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
        from initaudit.starts.page import starts_page

        return starts_page(self.document)

    def to_csv(self) -> str:
        """A row a layer of each start."""
        from initaudit.starts.csv import starts_csv

        return starts_csv(self.document)

    def _repr_html_(self) -> str:
        """In a notebook: the page, in a frame of its own, so that its styles stay in it."""
        from html import escape

        return f'<iframe srcdoc="{escape(self.to_html())}" style="width:100%;height:80vh;border:0"></iframe>'

    def __str__(self) -> str:
        """The table, best first, and who wins."""
        from initaudit.starts.text import WIDTH, starts_text

        return starts_text(self.document, width=WIDTH)


def compare(
    source: Source,
    schemes: Sequence[str],
    config: Config,
    drawn: DrawOptions | None = None,
    progress: Callable[[str], None] = lambda _: None,
    command: Sequence[str] | None = None,
) -> Comparison:
    """Measure the network under each scheme; arguments as for `measure_starts`. Raises ModelError, UsageError."""
    started = datetime.now(UTC)
    starts, itself = [], None
    for start, report in measure_starts(source, schemes, config, drawn, progress):
        starts.append(start)
        itself = report
    assert itself is not None
    return Comparison(document=starts_document(starts, itself, started=started, command=command))
