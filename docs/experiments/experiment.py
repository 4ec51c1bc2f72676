"""Experiment: commands, the claims that are held against what they give, and the picture of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Seen: TypeAlias = Literal["yes", "in part", "no"]
Documents: TypeAlias = Mapping[str, Any]
"""What the commands wrote as JSON, by the name of the file without its suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence as it is usually told."""

    told: str
    judge: Callable[[Documents], tuple[Seen, str]]
    """Whether it was seen, and the figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A part of a page that one of the commands wrote."""

    page: str
    """Name of the file without its suffix."""
    shows: str
    """For those who do not see it."""
    selectors: Sequence[str]
    """What is left on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One of them."""

    name: str
    """Of its picture, and of the section's anchor."""
    title: str
    what: str
    """A sentence or two."""
    commands: Sequence[str]
    """As they are typed. Each that writes a page writes its document beside it."""
    claims: Sequence[Claim]
    picture: Picture | None = None
    trains: bool = False
    """Whether networks are trained, which takes PyTorch and longer."""


def at(documents: Documents, name: str, scheme: str) -> dict[str, Any]:
    """One start of a comparison."""
    return next(start for start in documents[name]["starts"] if start["scheme"] == scheme)


def signals(documents: Documents, name: str, scheme: str) -> list[dict[str, Any]]:
    """What was measured at each of its layers."""
    return [layer["signal"] for layer in at(documents, name, scheme)["layers"]]


def growth(values: Sequence[float]) -> float:
    """Mean factor from one to the next."""
    return float((values[-1] / values[0]) ** (1 / (len(values) - 1)))


def seen(fully: bool, partly: bool = False) -> Seen:
    """In a word."""
    return "yes" if fully else "in part" if partly else "no"
