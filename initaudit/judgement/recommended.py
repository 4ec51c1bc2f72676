"""Recommended: what is kept of a recommended start that was measured, and of how many draws of one network it is the measure."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from initaudit.judgement.dynamics import dynamics_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from initaudit.judgement.dynamics import Dynamics
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.redrawing.choice import Choice

Way: TypeAlias = Literal["drawn", "centred", "shaped"]
"""Each layer at its target; those behind an activation that is mostly mean with weights that sum to zero, too; all layers of the chain together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """One recommended start; its weights are no longer held."""

    dynamics: Dynamics | None
    """Of all its layers; None where no gradient was measured."""
    measured: frozenset[str]
    """Names of the layers whose gradient was."""


_kept: ContextVar[dict[Way, Recommended] | None] = ContextVar("kept", default=None)


@contextmanager
def one_for_all() -> Iterator[None]:
    """Inside, all audits are of draws of one network: what differs from the recommended start of the first that has one is compared with that.

    One measurement serves them all, and their slownesses are steps over those of the same start, as they must be to be ranked.
    """
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


@contextmanager
def each_its_own() -> Iterator[None]:
    """Inside, each network is compared with its own, as outside of `one_for_all`."""
    token = _kept.set(None)
    try:
        yield
    finally:
        _kept.reset(token)


def way_of(chosen: Sequence[Choice]) -> Way:
    """How the layers that are chosen for it are drawn in a twin."""
    return "centred" if any(choice.centred_gain is not None for choice in chosen) else "drawn"


def known(way: Way, layers: Sequence[LayerAudit]) -> Recommended | None:
    """The start that was kept for a network with these layers; None where none was, or another part of it was measured."""
    kept = _kept.get()
    there = None if kept is None else kept.get(way)
    return there if there is not None and there.measured == measured(layers) else None


def keep(way: Way, layers: Sequence[LayerAudit]) -> Recommended:
    """Sum up a start, and keep the first inside of `one_for_all`."""
    start = Recommended(dynamics=dynamics_of(layers), measured=measured(layers))
    kept = _kept.get()
    if kept is not None and start.dynamics is not None:
        kept.setdefault(way, start)
    return start


def measured(layers: Sequence[LayerAudit]) -> frozenset[str]:
    """Names of the layers whose gradient was measured."""
    return frozenset(a.layer.name for a in layers if a.probed is not None and a.probed.weight_gradient is not None)
