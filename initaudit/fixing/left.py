"""What a fix leaves as it is: each finding on the network as it now is, and why nothing was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from initaudit.findings import Remedy, Severity
from initaudit.fixing.choose import is_asked_for, is_mild
from initaudit.redrawing.chain import gates_without_bias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.findings import Finding
    from initaudit.fixing.options import FixOptions
    from initaudit.redrawing.choice import Refusal
    from initaudit.report.report import Report

WHY: Final[Mapping[Remedy, str]] = {
    Remedy.DRAW_LAYER: "no draw that was tried takes it away; `initaudit compare` shows what other schemes come to",
    Remedy.DRAW_NETWORK: "no draw that was tried takes it away; `initaudit compare` shows what other schemes come to",
    Remedy.RESTORE_LAYER: "the layer was trained: its values are to be loaded again; --force draws new ones",
    Remedy.LOAD_VALUES: "values are to be loaded that only training has",
    Remedy.TRAIN_LAYER: "training is to reach it, which is nothing that the file holds",
    Remedy.CHECK: "new random values mend nothing here",
    Remedy.NONE: "nothing is to be done to the model",
}

DRAWN = "its new values are random: train the layer, or load the values that it is to have"
"""Why a layer that was drawn in a trained network is not done with."""

SEVERAL = 2
"""Gates one behind the other from which the size of the input is raised to the fourth power. A judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A finding that stays."""

    code: str
    name: str
    severity: Severity
    layer: str | None
    """Name of the layer, or None where the whole model is meant."""
    title: str
    """The same as people know it."""
    reason: str


def left_by(report: Report, refusals: Sequence[Refusal], options: FixOptions) -> tuple[Left, ...]:
    """The active findings of the network as it is now, the most severe first."""
    assert report.audit is not None
    refused = {refusal.layer: refusal.reason for refusal in refusals}
    spared = {a.layer.name for a in report.audit.layers if not is_asked_for(a, options)}
    return tuple(
        Left(
            code=finding.code,
            name=finding.name,
            severity=finding.severity,
            layer=finding.layer,
            title=finding.subject or finding.layer or finding.initializer or "the model",
            reason=_why(finding, report, refused, spared, options),
        )
        for finding in report.active
    )


def is_to_be_trained(finding: Finding, report: Report) -> bool:
    """Whether it says of a layer that a fix drew that this is what a fix can do for it, and training is to follow."""
    assert report.audit is not None
    return finding.remedy is Remedy.TRAIN_LAYER and any(
        a.drawn_by_fix is not None and a.layer.name == finding.layer for a in report.audit.layers
    )


def _why(finding: Finding, report: Report, refused: Mapping[str, str], spared: set[str], options: FixOptions) -> str:
    draws = finding.remedy in (Remedy.DRAW_LAYER, Remedy.DRAW_NETWORK)
    if not options.follows(finding):
        return "--select asks for others"
    if finding.layer in spared:
        return "the layer is not among those that may be changed"
    if finding.layer is not None and finding.layer in refused and (draws or finding.remedy is Remedy.RESTORE_LAYER):
        return refused[finding.layer]
    if is_to_be_trained(finding, report):
        return DRAWN
    if finding.severity is Severity.INFO and not options.select:
        return "it is worth knowing and needs no action" + (
            f"; --select {finding.code} asks for a new draw" if draws else ""
        )
    if draws and is_mild([finding], report, options):
        return "the network learns well with it"
    if finding.remedy is Remedy.DRAW_NETWORK and (gates := _bare_gates(report)):
        return f"{WHY[finding.remedy]}; {gates}"
    return WHY[finding.remedy]


def _bare_gates(report: Report) -> str:
    """What gates without a bias do to a network, a sentence without its stop; empty where there are not several."""
    assert report.audit is not None
    gates = gates_without_bias(report.audit.layers)
    if len(gates) < SEVERAL or report.audit.context.name != "fresh":
        return ""
    return (
        f"{len(gates)} gates ({gates[0].layer.title} first) have no bias that could hold them nearly constant, and each squares the size of what it reads; "
        "exporters leave out biases of zero: give them others before the export, or put norms in front"
    )
