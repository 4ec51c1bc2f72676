"""Which findings count: selection, ignores and baseline, in this one place, so that each suppressed finding keeps its reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.findings import matches

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.findings import Finding
    from initaudit.judgement.baseline import Baseline
    from initaudit.measuring.layer_audit import LayerAudit


def apply_filters(
    found: Iterable[Finding], config: Config, baseline: Baseline | None, layers: Sequence[LayerAudit], model: str
) -> tuple[Finding, ...]:
    """Drop what was not selected, mark what is ignored or known; most severe first, then by depth of the layer, then code."""
    depth = {audit.layer.name: audit.layer.depth for audit in layers}
    kept = []
    for finding in found:
        if not any(matches(finding, selector) for selector in config.select):
            continue
        reason = next((i.reason for i in config.ignore if i.applies(finding)), None)
        if reason is None and baseline is not None:
            reason = baseline.reason(model, finding)
        kept.append(replace(finding, suppressed=reason))
    kept.sort(
        key=lambda f: (-f.severity.rank, depth.get(f.layer or "", -1), f.code, f.layer or "", f.initializer or "")
    )
    return tuple(kept)
