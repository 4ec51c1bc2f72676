"""The comparison of two reports as a document: what became better, what became worse, what is new, what is gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeAlias

from initaudit.findings import Severity
from initaudit.judgement.compare import LayerChange, paired
from initaudit.report.document import head
from initaudit.report.layer_changes import layer_rows

Part: TypeAlias = Mapping[str, Any]
"""A report, a layer or a finding of the document."""

HEAD = ("model", "verdict", "coverage", "probe", "failed_rules")
"""What a comparison repeats of each of the two reports."""

OF_GATE = ("fail_on", "fail_on_incomplete", "min_trainability", "baseline", "max_memory", "timeout")
"""Options that change nothing of what is found."""

TRAINABILITY_STEP = 0.05
"""Change of trainability that is called one. Twelve draws of one network (9 layers of width 64, ReLU, He's std times 0.6) have a
standard deviation of 0.009, of He's std itself 0.003: four times what two draws differ by."""
SLOWNESS_STEP = 1.5
"""Ratio of slownesses that is called a change. The logarithms of the slowness of the same draws have a standard deviation of 0.12:
2.4 times what two draws differ by."""


def comparison(
    models: Iterable[Part], gate: Mapping[str, Any], versions: tuple[str, str], command: Sequence[str] | None = None
) -> dict[str, Any]:
    """The document of any number of compared models, each made by `compared`.

    Args:
        models: what became of each.
        gate: `fail_on`, what else was asked for and is `missed`, and the `exit_code`.
        versions: of initaudit that made the two sides.
        command: as for `initaudit.report.run.run`.
    """
    first, second = versions
    notes = (
        []
        if first == second
        else [f"made by two versions of initaudit, {first} and {second}, which may judge differently"]
    )
    return {**head(command=command), "gate": dict(gate), "notes": notes, "comparisons": list(models)}


def pair_reports(before: Sequence[Part], after: Sequence[Part]) -> list[tuple[Part | None, Part | None]]:
    """Reports of the same model, then what only one side has.

    Two single ones belong together whatever they are called; else those of one path do, or of one path below the folder that all of
    their side have in common.
    """
    if len(before) == len(after) == 1:
        return [(before[0], after[0])]
    roots = {id(report): _common(side) for side in (before, after) for report in side}
    pairs = paired(before, after, (_path, lambda report: _path(report).relative_to(roots[id(report)])))
    known = {id(report) for pair in pairs for report in pair}
    return [
        *pairs,
        *((report, None) for report in before if id(report) not in known),
        *((None, report) for report in after if id(report) not in known),
    ]


def _path(report: Part) -> PurePath:
    return PurePath(report["model"]["path"])


def _common(reports: Sequence[Part]) -> PurePath:
    """The deepest folder that holds them all."""
    folders = [_path(report).parent for report in reports]
    shared = [parts[0] for parts in zip(*(folder.parts for folder in folders), strict=False) if len(set(parts)) == 1]
    root = PurePath(*shared)
    return root if all(folder.is_relative_to(root) for folder in folders) else PurePath()


def compared(before: Part | None, after: Part | None, changes: Sequence[LayerChange] | None = None) -> dict[str, Any]:
    """One model before and after; one of the two may be missing.

    Args:
        before: a report of the JSON document.
        after: another.
        changes: how much the weights of each layer changed, where they were at hand; else layers are compared by their statistics.
    """
    findings = _findings(before, after)
    measures = _measures(before, after) if before is not None and after is not None else []
    turns = {m["turn"] for m in measures} | {_turn(f) for f in findings}
    return {
        "before": _head(before),
        "after": _head(after),
        "outcome": "mixed" if {"better", "worse"} <= turns else next((t for t in ("worse", "better") if t in turns), "same"),
        "measures": measures,
        "notes": _notes(before, after),
        "findings": findings,
        "layers": [] if any(r is not None and _is_broken(r) for r in (before, after)) else layer_rows(before, after, changes),
    }  # fmt: skip


def _notes(before: Part | None, after: Part | None) -> list[str]:
    """What makes the two hard to compare, a sentence each."""
    if before is None or after is None:
        return ["only after" if before is None else "only before"]
    sides = {"before": before, "after": after}
    broken = [f"not audited {when}: {r['verdict']['reason']}" for when, r in sides.items() if _is_broken(r)]
    if broken:
        return broken
    notes = []
    contexts = [report["verdict"]["context"] for report in (before, after)]
    if contexts[0] != contexts[1]:
        notes.append(f"a {contexts[0]} network before and a {contexts[1]} one after are judged by different measures")
    options = [report.get("options") or {} for report in (before, after)]
    others = [
        key for key in options[0] if key in options[1] and options[0][key] != options[1][key] and key not in OF_GATE
    ]
    if others:
        notes.append(f"made under other options: {', '.join(others)}")
    modes = [_measured(report) for report in (before, after)]
    if modes[0] != modes[1]:
        notes.append(f"the signal was measured {modes[0]} before and {modes[1]} after")
    return notes


def _is_broken(report: Part) -> bool:
    """Whether the model could not be audited."""
    return bool(report["verdict"]["status"] == "error")


def _measured(report: Part) -> str:
    probe = report["probe"]
    if probe is None or probe["status"] in ("skipped", "failed"):
        return "nowhere"
    return {"full": "both ways", "forward": "on the way forward"}[probe["mode"]] + (
        " in part" if probe["status"] == "partial" else ""
    )


def appeared(compared_model: Part, fail_on: str) -> list[Part]:
    """Findings at or above a severity that are new, or were below it before."""
    if fail_on == "never":
        return []
    limit = Severity(fail_on).rank
    return [
        finding
        for finding in compared_model["findings"]
        if finding["state"] in ("new", "worse") and Severity(finding["severity"]).rank >= limit
    ]


def _head(report: Part | None) -> dict[str, Any] | None:
    return None if report is None else {key: report[key] for key in HEAD if key in report}


def _findings(before: Part | None, after: Part | None) -> list[dict[str, Any]]:
    """Those of the second report by what became of them, then those that are gone.

    One that was suppressed before is not new; one that is suppressed now, or in a model that could not be audited, is not gone.
    """
    if after is not None and _is_broken(after):
        return []
    earlier = {f["fingerprint"]: f for f in before["findings"]} if before is not None else {}
    later = {f["fingerprint"]: f for f in after["findings"]} if after is not None else {}
    found = [
        {**finding, "state": _state(earlier.get(print_), finding), "severity_before": earlier.get(print_, {}).get("severity")}
        for print_, finding in later.items()
        if finding["suppressed"] is None
    ]  # fmt: skip
    gone = [
        {**finding, "state": "gone", "severity_before": finding["severity"]}
        for print_, finding in earlier.items()
        if print_ not in later and finding["suppressed"] is None
    ]
    order = ("new", "worse", "better", "gone", "unchanged")
    return sorted([*found, *gone], key=lambda f: (order.index(f["state"]), -Severity(f["severity"]).rank))


def _state(before: Part | None, after: Part) -> str:
    if before is None:
        return "new"
    step = Severity(after["severity"]).rank - Severity(before["severity"]).rank
    return "worse" if step > 0 else "better" if step < 0 else "unchanged"


def _turn(finding: Part) -> str:
    """What a finding means for the whole; information turns nothing."""
    if {finding["severity"], finding["severity_before"]} <= {"info", None}:
        return "same"
    return {"new": "worse", "gone": "better", "unchanged": "same"}.get(str(finding["state"]), str(finding["state"]))


def _measures(before: Part, after: Part) -> list[dict[str, Any]]:
    """Trainability and slowness of networks that are still to be trained, and coverage."""
    verdicts = before["verdict"], after["verdict"]
    audited = [not _is_broken(report) for report in (before, after)]
    if not all(audited):
        turn = "same" if audited[0] == audited[1] else "better" if audited[1] else "worse"
        return [{"name": "audited", "before": audited[0], "after": audited[1], "turn": turn}]
    measures = [("coverage", _coverage(before), _coverage(after))]
    if all(verdict["context"] in ("fresh", "unknown") for verdict in verdicts):
        first, second = verdicts
        measures = [(key, first[key], second[key]) for key in ("trainability", "slowness")] + measures
    return [
        {"name": name, "before": was, "after": now, "turn": _measured_turn(name, was, now)}
        for name, was, now in measures
        if was is not None or now is not None
    ]


def _coverage(report: Part) -> float | None:
    coverage = report["coverage"]
    return coverage["audited"] / coverage["parameters"] if coverage["parameters"] else None


def _measured_turn(name: str, was: float | None, now: float | None) -> str:
    if was is None or now is None:
        return "unknown"
    if name == "slowness":
        return "worse" if now >= was * SLOWNESS_STEP else "better" if was >= now * SLOWNESS_STEP else "same"
    step = TRAINABILITY_STEP if name == "trainability" else 0.0
    if abs(now - was) < step or now == was:
        return "same"
    return "better" if now > was else "worse"
