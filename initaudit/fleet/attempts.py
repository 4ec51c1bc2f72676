"""Marks of what was begun and has not ended: whoever kills a worker, its machine or the whole run is known by them, and no one else is blamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.fleet.place import Place


def begin(place: Place, run_id: str, number: int, worker: str, most: int) -> int:
    """Mark that this line of the plan is begun: the number of the attempt, from 1; `most` + 1 where so many were begun and lost already."""
    for attempt in range(1, most + 1):
        if place.mark(_name(run_id, number, attempt), worker):
            return attempt
    return most + 1


def begun(place: Place, run_id: str, number: int, most: int) -> int:
    """How many attempts at this line are marked, up to `most`."""
    return next((n for n in range(most) if not place.has(_name(run_id, number, n + 1))), most)


def end(place: Place, run_id: str, number: int, attempts: int) -> None:
    """Remove the marks of so many attempts: it has come to its row."""
    for attempt in range(1, attempts + 1):
        place.remove(_name(run_id, number, attempt))


def _name(run_id: str, number: int, attempt: int) -> str:
    return f"attempts/{run_id}/{number}.{attempt}"
