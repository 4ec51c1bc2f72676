"""Ranking: the starts of a network in the order of how well they do, and that in every form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initaudit.format import Format, FormatOptions

WIDTH = 120
"""Columns of the text of `str`. A judgement: all columns of the table fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(ABC):
    """Starts, best first."""

    document: Mapping[str, Any]
    """As the command prints it with `--output-format json`."""

    @property
    def winner(self) -> str | None:
        """The scheme of the best start, of several that do equally well the first; None where with none the network learns."""
        scheme: str | None = self.document["winner"]
        return scheme

    @property
    def winners(self) -> tuple[str, ...]:
        """The schemes of all starts that do as well as the best, that one first."""
        return tuple(self.document["winners"])

    @property
    def sentence(self) -> str:
        """Which is the best, why, and how far the network as it is stands from it."""
        told: str = self.document["sentence"]
        return told

    def to_html(self) -> str:
        """One self-contained page."""
        return self._as("html")

    def to_csv(self) -> str:
        """All that was measured, a row each."""
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

        return self._shown(find_format(form), FormatOptions(width=WIDTH))

    @abstractmethod
    def _shown(self, form: Format, looks: FormatOptions) -> str:
        """The document, by a format."""
