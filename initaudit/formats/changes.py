"""What `initaudit fix` did, in words for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from initaudit.formats.printing import number, printed, visible
from initaudit.formats.telling import plural

RUNGS = {
    "cause": "{} mended for values that are wrong by themselves",
    "layers": "{} drawn by the scheme that fits",
    "chain": "{} shaped together, so that the chain as a whole passes signal and gradient",
}
"""What each rung of the plan does."""
STILL_FAILS = ", as the model would still fail; --keep-going writes it all the same"


def changes_text(fix: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """A line for each layer, then what was written and both verdicts.

    Args:
        fix: the document's `fix`.
        after: the document's report, of the model as it is now.
    """
    return printed("\n".join(map(visible, _lines(fix, after))))


def _lines(fix: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    told: set[tuple[str, str]] = set()
    for change in fix["changes"]:
        yield _change(change)
        if change["wrong"] and (change["rung"] == "cause" or (change["rung"], change["reason"]) not in told):
            yield f"    {change['wrong']}"
        told.add((change["rung"], change["reason"]))
    yield from (_rung(step) for step in fix["rungs"])
    for refusal in fix["refusals"]:
        yield f"{refusal['layer']}: left as it is: {refusal['reason']}"
    if not fix["changes"]:
        yield _nothing(fix)
    elif not fix["written"]:
        count = len(fix["changes"])
        failing = STILL_FAILS if fix["held_back"] else ""
        yield f"{count} {'layer' if count == 1 else 'layers'} would change; nothing was written{failing}"
        yield _verdict("before:", fix["before"])
        yield _verdict("then:", after)
    else:
        yield f"wrote {', '.join(fix['written'])}"
        yield _verdict("before:", fix["before"])
        yield _verdict("after:", after)
    yield from (f"note: {note}" for note in fix["notes"])
    if fix["exported"] is not None:
        yield from _exported(fix["exported"])


def _exported(exported: Mapping[str, Any]) -> Iterator[str]:
    yield f"wrote {plural(exported['tensors'], 'tensor')} to {exported['path']}"
    yield from (f"note: {note}" for note in exported["notes"])
    yield from (f"not in {exported['path']}: {missing}" for missing in exported["missing"])


def _change(change: Mapping[str, Any]) -> str:
    scale = f", with the scale {change['scale']}" if change["scale"] else ""
    bias = f"{scale}, bias {change['bias']} reset" if change["bias"] else scale
    stds = f"std {number(change['std_before'])} -> {number(change['std_after'])} ({change['scheme']}{bias})"
    mean = f"mean {number(change['mean_before'])} -> {number(change['mean_after'])} ({change['scheme']}{bias})"
    what = {
        "ones": f"set to 1{bias}",
        "kept": f"weights kept{bias}",
        "repaired": f"{change['repaired']}; all else kept{scale}",
    }.get(change["scheme"], stds if change["std_after"] else mean)
    return f"{change['title']}: {what} [{change['reason']}]"


def _rung(step: Mapping[str, Any]) -> str:
    """What a rung came to: the network behind it, as predicted."""
    count, learn = step["layers"], step["trainability"]
    score = "" if learn is None else f", trainability {learn:.2f}"
    done = RUNGS[step["rung"]].format(f"{count} {'layer' if count == 1 else 'layers'}")
    return f"{done}: {step['status']}{score}{'' if step['kept'] else '; taken back, as it is worse'}"


def _nothing(fix: Mapping[str, Any]) -> str:
    copied = f"; {fix['written'][0]} is an unchanged copy" if fix["written"] else ""
    errors = [f for f in fix["before"]["findings"] if f["suppressed"] is None and f["severity"] == "error"]
    if not errors:
        return f"{fix['model']}: nothing to fix{copied}"
    first = f"{errors[0]['code']} {errors[0]['name']}"
    return f"{fix['model']}: nothing that a new draw would mend ({first} remains){copied}"


def _verdict(word: str, report: Mapping[str, Any]) -> str:
    verdict = report["verdict"]
    learn = verdict["trainability"]
    score = "" if learn is None else f", trainability {learn:.2f}"
    return f"{word:8} {verdict['status']}{score}: {verdict['reason']}"
