"""What every output says of a race: the columns of the table, and the numbers in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.formats.printing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Part = Mapping[str, Any]

HEADINGS = (
    "start",
    "expected",
    "learns",
    "slowness",
    "steps",
    "from-to",
    "times",
    "end",
    "held out",
    "diverged",
    "with",
)
"""Columns of the table, a row a start. The first ones were predicted: place, trainability, slowness. The others were seen."""
NUMBERS = HEADINGS[1:-1]
"""Those to the right."""
FAR = 1000
"""From where the places of a metric say nothing. A judgement: as many digits as fit the column."""
CUT = {"time": "the time of {budget:g} s was over", "chance": "no better than chance until then"}
"""What may end a run before its last step."""


def cells(start: Part, fewest: float | None) -> list[str]:
    """One start, column by column; where it was not trained, why stands in the last.

    `fewest` are the steps of the fastest.
    """
    predicted = start["predicted"]
    learns, slowness = predicted["trainability"], predicted["slowness"]
    first = [
        start["scheme"],
        NOTHING if predicted["place"] is None else f"{predicted['place']}.",
        NOTHING if learns is None else f"{learns:.2f}",
        NOTHING if slowness is None else f"{slowness:.1f}x",
    ]
    if not start["outcomes"]:
        return [*first, *[NOTHING] * (len(HEADINGS) - 5), start["why"] or "not trained"]
    best = start["outcomes"][0]
    return [
        *first,
        steps(best["steps"]),
        _range(best),
        NOTHING if best["steps"] is None or not fewest else f"{best['steps'] / fewest:.1f}x",
        metric(best["metric"]),
        metric(best["held_out"]),
        f"{best['diverged']} of {len(best['runs'])}" if best["diverged"] else NOTHING,
        setting(best),
    ]


def fewest_steps(document: Part) -> float | None:
    """Of the fastest start."""
    return min((start["steps"] for start in document["starts"] if start["steps"] is not None), default=None)


def setting(outcome: Part) -> str:
    """`adam 0.001`."""
    return f"{outcome['optimizer']} {outcome['rate']:g}"


def steps(count: float | None) -> str:
    """As a whole number."""
    return NOTHING if count is None else f"{count:.0f}"


def goal(document: Part) -> str:
    """What steps are counted to."""
    race = document["race"]
    return "nothing: no run learned" if race["target"] is None else f"{race['metric']} {race['target']:.2f}"


def course(document: Part) -> str:
    """How it was trained, in one sentence."""
    race = document["race"]
    settings = ("each of " if len(race["settings"]) > 1 else "") + ", ".join(map(setting, race["settings"]))
    chosen = "" if race["target_given"] or race["target"] is None else ", 90 % of the way from chance to the best run"
    draws = "1 draw" if race["seeds"] == 1 else f"{race['seeds']} draws"
    most = "at most " if any(run["end"] in CUT for run in _runs(document)) else ""
    return (
        f"{race['task']}: {_trained(race)}; {race['examples']} examples, {race['held_out'] or 'none'} of them held out; {draws} of each start, "
        f"{most}{race['steps']} steps of {race['batch']} examples{_batch(race)} with {settings}. Steps are counted to {goal(document)}{chosen}."
    )


def _trained(race: Part) -> str:
    """Which output, and what it was told to answer."""
    return f"output {race['output']}" + (f" with the targets {race['targets']}" if race["targets"] is not None else "")


def told_ends(document: Part) -> list[str]:
    """What ended runs before their last step, and after how many."""
    race, runs, found = document["race"], list(_runs(document)), []
    for end, cause in CUT.items():
        done = [run["done"] for run in runs if run["end"] == end]
        if done:
            after = f"{min(done)}" if min(done) == max(done) else f"{min(done)} to {max(done)}"
            were = "was" if len(done) == 1 else "were"
            found.append(
                f"{len(done)} of {len(runs)} runs {were} ended after {after} of {race['steps']} steps: {cause.format(**race)}."
            )
    return found


def told_interruption(document: Part) -> str | None:
    """How much of the race is there, where it was ended."""
    ended = document["run"]["interrupted"]
    return None if ended is None else f"Interrupted: {ended['audited']} of {ended['of']} runs are shown."


def told_agreement(document: Part) -> str | None:
    """How far what was predicted and what was seen agree; None where there is nothing to compare."""
    found = document["agreement"]
    parts = []
    if found["rank_correlation"] is not None:
        parts.append(
            f"rank correlation of predicted slowness and steps {found['rank_correlation']:.2f} over {found['starts']} starts"
        )
    if found["favourite_times"] is not None:
        parts.append(
            f"the first by prediction, {found['favourite']}, took {found['favourite_times']:.2f} times the fewest steps"
        )
    return f"Prediction and race: {'; '.join(parts)}." if parts else None


def _runs(document: Part) -> Iterator[Part]:
    return (run for start in document["starts"] for outcome in start["outcomes"] for run in outcome["runs"])


def _batch(race: Part) -> str:
    """Why it is as large as it is, where nobody asked for that."""
    if race["batch_from"] == "examples":
        return " (all that there are to train on)"
    if race["batch_from"] == "model":
        trained = race["examples"] - race["held_out"]
        return " (as the model fixes them" + (
            f", drawn from {trained} with repetition)" if trained < race["batch"] else ")"
        )
    return ""


def _range(outcome: Part) -> str:
    """Fewest and most steps over the draws."""
    if outcome["least"] is None:
        return NOTHING
    if outcome["most"] is None:
        return f"{outcome['least']:.0f} ({outcome['reached']} of {len(outcome['runs'])})"
    return f"{outcome['least']:.0f}-{outcome['most']:.0f}"


def metric(value: float | None) -> str:
    """With two places; a R2 far below 0, as before a divergence, in powers of ten."""
    return NOTHING if value is None else f"{value:.2f}" if abs(value) < FAR else f"{value:.0e}"
