"""What the formats say of a comparison, in words: one way for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from initaudit.formats.printing import NOTHING, number

if TYPE_CHECKING:
    from initaudit.formats.telling import Part

OUTCOMES = {"better": "better", "worse": "worse", "mixed": "better and worse", "same": "as before"}
STATES = {
    "new": "new",
    "worse": "more severe",
    "better": "less severe",
    "gone": "gone",
    "unchanged": "as before",
}
"""What became of a finding, in words, in the order in which findings are shown."""
LAYER_STATES = ("changed", "unchanged", "alike", "added", "removed", "unreadable")
ALIKE = "alike: no statistic differs, and the reports do not hold the values themselves"
SHOWN = ("std", "ratio", "variance", "gradient_rms")
"""Statistics of a layer that are shown before and after; the JSON and the CSV have all of them."""


def by_outcome(document: Part) -> list[Part]:
    """The compared models, the worst first."""
    order = ("worse", "mixed", "better", "same")
    return sorted(document["comparisons"], key=lambda model: order.index(model["outcome"]))


def title(model: Part) -> str:
    """`before.onnx → after.onnx`, or the one path of both."""
    paths = [side["model"]["path"] for side in (model["before"], model["after"]) if side is not None]
    return " → ".join(dict.fromkeys(paths))


def outcome(model: Part) -> str:
    """Better, worse, both or neither, in words; also where there is nothing to compare with."""
    if model["before"] is None:
        return "new model"
    if model["after"] is None:
        return "model is gone"
    return OUTCOMES[model["outcome"]]


def statuses(model: Part) -> str:
    """`pass → fail`."""
    both = [side["verdict"]["status"] for side in (model["before"], model["after"]) if side is not None]
    return " → ".join(both if len(set(both)) > 1 else both[:1])


def measures(model: Part) -> Iterator[tuple[str, str, str, str]]:
    """Name, before, after and turn of each measure."""
    for measure in model["measures"]:
        was, now = (_measured(measure["name"], measure[key]) for key in ("before", "after"))
        turn = {"unknown": "not comparable", "same": ""}.get(measure["turn"], measure["turn"])
        yield measure["name"], was, now, turn


def _measured(name: str, value: Any) -> str:
    if value is None:
        return "not measured"
    if name == "coverage":
        return f"{value:.1%}"
    return f"{value:.2f}" if name == "trainability" else number(value)


def no_findings(model: Part) -> str:
    """What is said where there are none at all."""
    if any(measure["name"] == "audited" for measure in model["measures"]):
        return "No findings are known, for it was not audited."
    return "No findings, before or after."


def is_news(finding: Part) -> bool:
    """Whether something became of a finding that is more than information."""
    return finding["state"] != "unchanged" and not {finding["severity"], finding["severity_before"]} <= {"info", None}


def grouped(findings: Iterable[Part]) -> list[list[Part]]:
    """Findings of one rule, severity and fate together, in the order of their first: a fault in 40 layers is read once."""
    groups: dict[tuple[str, ...], list[Part]] = {}
    for finding in findings:
        groups.setdefault((finding["state"], severity(finding), finding["code"]), []).append(finding)
    return list(groups.values())


def severity(finding: Part) -> str:
    """`warning`, or `info → warning` where it changed."""
    before, after = finding["severity_before"], finding["severity"]
    return after if before in (None, after) else f"{before} → {after}"


def arrow(statistic: Part) -> str:
    """`0.1 → 0.2`; one number where they are the same."""
    was, now = number(statistic["before"]), number(statistic["after"])
    return now if was == now else f"{was} → {now}"


def change(layer: Part) -> str:
    """How much the weights changed, where that is known."""
    return f"{layer['change']:.2%}" if layer["change"] else NOTHING


def layer_counts(model: Part) -> str:
    """`3 changed, 1 unchanged`."""
    count = Counter(layer["state"] for layer in model["layers"])
    counts = ", ".join(f"{count[state]:,} {state}" for state in LAYER_STATES if count[state])
    return counts or "no layers"


def as_reports(document: Part) -> list[Mapping[str, Any]]:
    """What came, as reports on the models of today: for formats that know findings and no comparisons.

    What is as it was, or less severe, is suppressed with that reason.
    """
    gate = {**document["gate"], "missed": []}
    missed = list(document["gate"]["missed"])
    reports: list[Mapping[str, Any]] = []
    for model in document["comparisons"]:
        if model["after"] is not None:
            findings = [_suppressed(finding, model) for finding in model["findings"] if finding["state"] != "gone"]
            reports.append({**model["after"], "layers": [], "findings": findings, "gate": {**gate, "missed": missed}})
            missed = []  # once is enough
    return reports


def _suppressed(finding: Part, model: Part) -> Part:
    if finding["state"] in ("new", "worse"):
        return finding
    before = model["before"]["model"]["path"]
    return {**finding, "suppressed": f"{STATES[finding['state']]}: {before} has it too"}
