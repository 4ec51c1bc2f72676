"""Which findings count: selection, ignores and baseline, in this one place, so that each suppressed finding keeps its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from initaudit.findings import Finding, matches
from initaudit.options import misplaced_layer

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.judgement.baseline import Baseline
    from initaudit.options import Ignore

F = TypeVar("F", bound=Finding)


def check_reasons(config: Config, known: Collection[str]) -> None:
    """Raises UsageError where the reason of an ignore is a name or title of a layer (`known`): `=` for `:` would accept the finding everywhere."""
    for ignore in config.ignore:
        if ignore.layer == "*" and ignore.reason.partition("=")[0].strip() in known:
            raise misplaced_layer(ignore.rule, ignore.reason)


def apply_filters(
    found: Iterable[F], config: Config, baseline: Baseline | None, depth: Mapping[str, int], model: str
) -> tuple[F, ...]:
    """Drop what was not selected, mark what is ignored or known; most severe first, then by the depth of the layer called so, then code."""
    selected = [finding for finding in found if is_selected(finding, config)]
    kept = [weighed(finding, config, baseline, model) for finding in _told_apart(selected, depth)]
    kept.sort(
        key=lambda f: (-f.severity.rank, depth.get(f.layer or "", -1), f.code, f.layer or "", f.initializer or "")
    )
    return tuple(kept)


def is_selected(finding: Finding, config: Config) -> bool:
    """Whether the rule that found it is one of those that are asked for."""
    return any(matches(finding, word) for word in config.select)


def weighed(finding: F, config: Config, baseline: Baseline | None, model: str) -> F:
    """The finding as severe as the project calls it, and marked where it is ignored, or known of the model at this path."""
    levels = [level.severity for level in config.severity if level.applies(finding)]
    finding = replace(finding, severity=levels[-1]) if levels else finding
    reason = next((i.reason for i in config.ignore if i.applies(finding)), None)
    known = None if baseline is None else baseline.reason(model, finding)
    if reason is None and baseline is None:
        return finding
    return replace(finding, suppressed=reason or known, known=None if baseline is None else known is not None)


def _told_apart(found: Iterable[F], depth: Mapping[str, int]) -> list[F]:
    """Findings that code and subject do not tell apart (of layers without a name, say) numbered by the depth of their layers."""
    seen: Counter[tuple[str, str]] = Counter()
    numbered = []
    for finding in sorted(
        found,
        key=lambda f: (depth.get(f.layer or "", -1), f.layer or "", f.initializer or "", -f.severity.rank, f.message),
    ):
        numbered.append(replace(finding, occurrence=seen[finding.code, finding.identity]))
        seen[finding.code, finding.identity] += 1
    return numbered


def notes(judged: Iterable[tuple[str, Sequence[Finding], Config, Baseline | None]]) -> tuple[str, ...]:
    """What is accepted but was not found in a whole run, as sentences: an exception that nobody needs any more hides the next fault.

    Args:
        judged: path, findings, options and accepted findings of each model that could be audited.
    """
    needed: dict[Ignore, bool] = {}
    lines = []
    for model, found, config, baseline in judged:
        if not config.is_whole:
            continue
        for ignore in config.ignore:
            needed[ignore] = needed.get(ignore, False) or any(map(ignore.applies, found))
        stale = baseline.stale(model, found) if baseline is not None else ()
        if baseline is not None and stale:
            what = ", ".join(sorted({entry["code"] for entry in stale}))
            lines.append(
                f"{baseline.path.name} accepts {len(stale)} that {model} does not have any more ({what}); "
                "`initaudit baseline --prune` takes them out"
            )
    return (*(f"ignore {i}: no finding is of that kind" for i, is_needed in needed.items() if not is_needed), *lines)
