"""The JSON document of a comparison of starts, and the sentence that says who wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.report.document import head
from initaudit.starts.schemes import AS_IS
from initaudit.starts.ties import ALIKE, best_starts, learns, together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from initaudit.report.report import Report
    from initaudit.starts.start import Start

WAS_TRAINED = "But the file holds what training found: the other starts are those of fresh networks, and have lost it."
"""What is to be said where the network as it is stands among the starts, and is no fresh one."""


def starts_document(
    starts: Sequence[Start], itself: Report, *, started: datetime | None = None, command: Sequence[str] | None = None
) -> dict[str, Any]:
    """The document: `schema_version`, `tool`, `run`, `model`, `probe`, `options` and the `starts`, best first.

    Args:
        starts: at least one.
        itself: audit of the model as it is.
        started: when the command began.
        command: the command line.
    """
    entry = itself.entry()
    ranked = sorted(starts, key=lambda start: start.rank)
    winners = [start.scheme for start in best_starts(ranked)]
    return {
        **head(started=started, command=command),
        "model": entry["model"],
        "probe": entry["probe"],
        "options": entry["options"],
        "winner": winners[0] if winners else None,
        "winners": winners,
        "sentence": sentence(ranked),
        "starts": [start.part() for start in ranked],
    }


def sentence(ranked: Sequence[Start]) -> str:
    """Which start is the best, or which ones are, why, and how far the network as it is stands from it; of starts in the order of their ranks."""
    best = ranked[0]
    itself = next((start for start in ranked if start.scheme == AS_IS), None)
    if best.why is not None:
        return f"Nothing could be measured: {best.why}"
    if all(start.trainability is None for start in ranked):
        return f"Of none of these starts it is known whether the network learns: {best.verdict['reason']}"
    winners = best_starts(ranked)
    if not winners:
        advice = best.verdict.get("obstacle") or {}
        told = f"With none of these starts the network is expected to learn (trainability {best.trainability:.2f} at best)."
        return f"{told} {advice.get('advice', '')}".strip()
    who = (
        f"{best.scheme} is the best start"
        if len(winners) == 1
        else f"{together([s.scheme for s in winners])} do equally well"
    )
    told = f"{who}: {_how(best)}"
    if itself is not None and itself not in winners:
        told += f"; as it is: {_how(itself)}" if itself.why is None else "; as it is the network could not be measured"
    return f"{told}.{told_of_training(ranked)}"


def told_of_training(starts: Sequence[Start]) -> str:
    """`WAS_TRAINED` as a further sentence, where it holds of these starts; else nothing."""
    trained = any(s.scheme == AS_IS and s.verdict.get("context") in ("trained", "mixed") for s in starts)
    return f" {WAS_TRAINED}" if trained and len(starts) > 1 else ""


def _how(start: Start) -> str:
    if start.trainability is None:
        return "trainability unknown"
    score = f"trainability {start.trainability:.2f}"
    if not learns(start):
        return f"{score}, not expected to learn"
    if start.slowness is None:
        return score
    if start.slowness < 1 / ALIKE:
        return f"{score}, {1 / start.slowness:.1f} times as fast as the recommended start"
    if start.slowness < ALIKE:
        shown = f"{start.slowness:.1f}"
        apart = "" if shown == "1.0" else f" ({shown}x, within what two draws differ by)"
        return f"{score}, as fast as the recommended start{apart}"
    return f"{score}, {start.slowness:.1f} times as slow as the recommended start"
