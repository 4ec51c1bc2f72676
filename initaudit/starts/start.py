"""Start: what was measured of a network under one initialisation; small, so that many of them fit in memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from initaudit.judgement.score import TRAINABLE
from initaudit.report.comparison import TRAINABILITY_STEP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.redrawing.choice import Change, Refusal
    from initaudit.report.report import Report

MEASURED = ("variance", "predicted_variance", "mean_square", "gradient_rms", "weight_gradient_ratio", "similarity", "saturated", "dead", "nonfinite", "histogram")  # fmt: skip
"""What is kept of the signal at each layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The network under one initialisation."""

    scheme: str
    """As it was asked for."""
    why: str | None = None
    """Why it was not measured; None where it was."""
    verdict: Mapping[str, Any] = field(default_factory=dict)
    """As in the JSON report."""
    findings: Mapping[str, int] = field(default_factory=dict)
    """Errors and warnings by rule."""
    layers: Sequence[Mapping[str, Any]] = ()
    """Name, title, scheme, std and the signal of each, in topological order."""
    changed: int = 0
    """Layers that hold other values than in the file."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Layers that could not be drawn by the scheme, each with the reason."""

    @property
    def trainability(self) -> float | None:
        """Whether it learns, 0 to 1; None where that is not known."""
        score: float | None = self.verdict.get("trainability")
        return score

    @property
    def slowness(self) -> float | None:
        """Steps over those of the recommended start; None where it does not learn, or that is not known."""
        factor: float | None = self.verdict.get("slowness")
        return factor

    @property
    def rank(self) -> tuple[float, ...]:
        """By which starts are ordered, best first: those that learn by their steps to a tenth, then by how surely; the others by how nearly they would."""
        score = -1.0 if self.trainability is None else self.trainability
        if score < TRAINABLE:
            return (1.0, -score)
        return (
            0.0,
            2.0 if self.slowness is None else round(self.slowness, 1),
            -round(score / TRAINABILITY_STEP),
            sum(self.findings.values()),
        )

    def part(self) -> dict[str, Any]:
        """As the JSON document has it."""
        return {
            "scheme": self.scheme,
            "why": self.why,
            "verdict": dict(self.verdict) or None,
            "findings": dict(self.findings),
            "changed": self.changed,
            "kept": [{"layer": layer, "reason": reason} for layer, reason in self.kept.items()],
            "layers": list(self.layers),
        }


def start_of(scheme: str, report: Report, *, changes: Sequence[Change] = (), refusals: Sequence[Refusal] = ()) -> Start:
    """What is kept of the audit of a network drawn by a scheme."""
    entry = report.entry()
    drawn = {change.layer: change.scheme for change in changes}
    active = [f for f in entry["findings"] if f["suppressed"] is None and f["severity"] in ("error", "warning")]
    return Start(
        scheme=scheme,
        verdict=entry["verdict"],
        findings=dict(sorted(Counter(f["code"] for f in active).items())),
        layers=[_layer(layer, drawn.get(layer["name"])) for layer in entry["layers"]],
        changed=len(changes),
        kept={refusal.layer: refusal.reason for refusal in refusals},
    )


def _layer(layer: Mapping[str, Any], scheme: str | None) -> dict[str, Any]:
    signal = layer["signal"]
    return {
        "name": layer["name"],
        "title": layer["title"],
        "op_type": layer["op_type"],
        "activation": layer["activation"],
        "scheme": scheme,
        "std": (layer["stats"] or {}).get("std"),
        "signal": None if signal is None else {key: signal[key] for key in MEASURED},
    }
