"""What `initaudit fix` did, in words, for the terminal and the page alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from initaudit.formats.printing import number, printed, visible
from initaudit.formats.telling import Part, active, plural

RUNGS = {
    "cause": "{} mended for values that are wrong by themselves",
    "layers": "{} drawn by the scheme that fits",
    "chain": "{} shaped together, so that the chain as a whole passes signal and gradient",
}
"""What each rung of the plan does."""
RESCALED = "{} rescaled, so that their weights keep their direction"
"""The same of layers that are not drawn."""
HOW = {
    "ones": "set to 1",
    "zeros": "set to 0",
    "kept": "weights kept",
}
"""What is said of weights that no scheme drew."""
OFF_MEAN = 0.1
"""Multiple of the larger std by which the mean of weights must move to be shown. A judgement: that of draws is far less."""
NAMED = 3
"""Layers that are named where the same stays in many. A judgement: what one line takes."""


class Moved(NamedTuple):
    """One statistic of a layer before and after."""

    of: str
    before: str
    after: str


def moved(change: Part) -> list[Moved]:
    """What a change did to a layer: the std of its weights, or the mean where that is what changed, and the mean of its bias."""
    found = []
    stds, means = (change["std_before"], change["std_after"]), (change["mean_before"], change["mean_after"])
    weights_changed = change["scheme"] != "kept" and change["initializer"] != change["bias"]
    if weights_changed and (None in stds or any(stds)):
        found.append(("std", *stds))
    if weights_changed and (None in stds + means or abs(means[1] - means[0]) > OFF_MEAN * max(stds) or stds == (0, 0)):
        found.append(("mean", *means))
    if change["bias"]:
        found.append((f"bias {change['bias']}", change["bias_before"], change["bias_after"]))
    return [Moved(of, number(before), number(after)) for of, before, after in found]


def how(change: Part) -> str:
    """What was done to the weights: a scheme, mostly."""
    scheme: str = change["scheme"]
    scale = f", with the scale {change['scale']}" if change["scale"] else ""
    if change["repaired"]:
        return f"{change['repaired']}{scale}; all else kept"
    return HOW.get(scheme, scheme) + scale


def rung(step: Part, fix: Part) -> str:
    """What a rung of the plan did."""
    rescales = any(c["rung"] == step["rung"] and c["scheme"].startswith("rescaled") for c in fix["changes"])
    return (RESCALED if rescales else RUNGS[step["rung"]]).format(plural(step["layers"], "layer"))


def taken_back(step: Part) -> str:
    """That its changes do not stay, where they do not."""
    return "" if step["kept"] else "taken back, as it is worse"


def outcome(fix: Part) -> str:
    """What was written, or why nothing was, in a sentence."""
    written = ", ".join(fix["written"])
    if not fix["changes"]:
        return _nothing(fix) + (f"; {written} is an unchanged copy" if written else "")
    if written:
        return f"wrote {written}"
    failing = ", as the model would still fail; --keep-going writes it all the same" if fix["held_back"] else ""
    return f"{plural(len(fix['changes']), 'layer')} would change; nothing was written{failing}"


def _nothing(fix: Part) -> str:
    errors = [f for f in active(fix["before"]) if f["severity"] == "error"]
    if not errors:
        return f"{fix['model']}: nothing to fix"
    return f"{fix['model']}: nothing that a new draw would mend ({errors[0]['code']} {errors[0]['name']} remains)"


def then(fix: Part) -> str:
    """What the second of two verdicts is of."""
    return "after" if fix["written"] or not fix["changes"] else "then"


class Stays(NamedTuple):
    """A finding that stays, in one layer or for one reason in many."""

    rule: str
    severity: str
    where: str
    reason: str


def stays(fix: Part) -> list[Stays]:
    """What was left alone and why: layers that were refused, then findings."""
    refused = [Stays("", "", refusal["layer"], refusal["reason"]) for refusal in fix["refusals"]]

    def alike(left: Part) -> tuple[str, str, str]:
        return left["code"], left["severity"], left["reason"]

    found = []
    for _, group in groupby(fix["left"], key=alike):
        same = list(group)
        titles = ", ".join(left["title"] for left in same[:NAMED])
        more = f" and {len(same) - NAMED} more" if len(same) > NAMED else ""
        rule = f"{same[0]['code']} {same[0]['name']}"
        found.append(Stays(rule, same[0]["severity"], titles + more, same[0]["reason"]))
    return refused + found


def verdict(report: Part) -> str:
    """Of a network before or after: status, trainability and the reason."""
    found = report["verdict"]
    return f"{found['status']}{_score(found['trainability'])}: {found['reason']}"


def exported(fix: Part) -> list[str]:
    """Of the file of weights, where there is one, a sentence each."""
    file = fix["exported"]
    if file is None:
        return []
    lines = [f"wrote {plural(file['tensors'], 'tensor')} to {file['path']}"]
    lines += [f"note: {note}" for note in file["notes"]]
    return lines + [f"not in {file['path']}: {missing}" for missing in file["missing"]]


def changes_text(fix: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """A line for each layer, then what was written and both verdicts.

    Args:
        fix: the document's `fix`.
        after: the document's report, of the model as it is now.
    """
    return printed("\n".join(map(visible, _lines(fix, after))))


def _lines(fix: Part, after: Part) -> Iterator[str]:
    told: set[tuple[str, str]] = set()
    for change in fix["changes"]:
        yield _change(change)
        if change["wrong"] and (change["rung"] == "cause" or (change["rung"], change["reason"]) not in told):
            yield f"    {change['wrong']}"
        told.add((change["rung"], change["reason"]))
    for step in fix["rungs"]:
        back = taken_back(step)
        yield f"{rung(step, fix)}: {step['status']}{_score(step['trainability'])}{'; ' + back if back else ''}"
    yield outcome(fix)
    if fix["changes"]:
        yield f"before:  {verdict(fix['before'])}"
        yield f"{then(fix) + ':':8} {verdict(after)}"
    for rule, severity, where, reason in stays(fix):
        yield f"{where}: left as it is: {reason}" if not rule else f"left: {rule} [{severity}] at {where}: {reason}"
    yield from (f"note: {note}" for note in fix["notes"])
    yield from exported(fix)


def _change(change: Part) -> str:
    values = ", ".join(f"{of} {before} -> {after}" for of, before, after in moved(change))
    return f"{change['title']}: {values} ({how(change)}) [{change['reason']}]"


def _score(trainability: float | None) -> str:
    return "" if trainability is None else f", trainability {trainability:.2f}"
