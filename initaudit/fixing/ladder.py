"""climb(): rung after rung, each changing as little as can help, until the audit is satisfied.

    cause    what is wrong by itself
    layers   every layer that the findings ask for, by the scheme that fits it
    chain    the chain as a whole

After each the network is audited again, in memory. A rung that makes it worse is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initaudit.fixing.choose import ENOUGH, allowed, choose
from initaudit.fixing.left import is_to_be_trained
from initaudit.fixing.rungs.cause import causes
from initaudit.fixing.rungs.chain import chain, departs, head_factors
from initaudit.probe.plan import ProbeOptions
from initaudit.redrawing.choice import Choice
from initaudit.redrawing.redraw import redraw
from initaudit.redrawing.shaped import shape_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from initaudit.config import Config
    from initaudit.fixing.candidate import Candidate
    from initaudit.fixing.options import FixOptions
    from initaudit.report.report import Report

HARM = 0.02
"""Trainability that a rung may cost without being taken back, and that the chain must bring to be kept. A judgement: two draws of the same scheme differ
by as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one rung did."""

    rung: str
    """cause, layers or chain."""
    layers: int
    """How many layers it changed."""
    status: str
    """Of the verdict on the network behind it."""
    trainability: float | None
    kept: bool
    """Whether its changes stay; they are taken back where they make the network worse."""


def climb(start: Candidate, config: Config, options: FixOptions) -> tuple[Candidate, tuple[Step, ...]]:
    """The network as far as it can be mended, and what was tried.

    Args:
        start: the network as it is, audited.
        config: of the audits in between.
        options: what may be changed.
    """
    here, steps = start, list[Step]()
    for name, rung in _RUNGS:
        there = rung(here, config, options)
        if there is None:
            continue
        if there.report is here.report:
            here = there  # nothing but refusals
            continue
        kept = not options.is_free or _is_no_worse(there.report, here.report, harm=-HARM if name == "chain" else HARM)
        steps.append(_step(name, here, there, kept=kept))
        here = there if kept else replace(here, refusals=there.refusals)
    return here, tuple(steps)


def _cause(here: Candidate, config: Config, options: FixOptions) -> Candidate | None:
    if options.every or (options.layers and not options.select) or not options.is_free:
        return None  # what is to be drawn was said
    return _redrawn(here, causes(here.report, options), config, options, rung="cause")


def _layers(here: Candidate, config: Config, options: FixOptions) -> Candidate | None:
    return _redrawn(here, choose(here.report, options), config, options, rung="layers")


def _chain(here: Candidate, config: Config, options: FixOptions) -> Candidate | None:
    """Shaped, probed, and shaped again with a head that does not drown in what the layers before it have in common.

    Where that is not enough, with a head so small that no layer before it is moved faster than the head.
    """
    drawn = any(change.rung == "layers" for change in here.changes)
    if here.report.verdict.status == "pass" and not drawn:
        return None
    found = chain(here.report, options, drawn=drawn)
    chosen = [Choice(audit=a, reason="chain") for link in found for a in (link.audit, link.norm) if a is not None]
    if not found:
        return None

    def shaped(heads: Mapping[str, float]) -> Candidate | None:
        return here.changed(
            chosen, config, lambda model: shape_chain(model, found, config.seed, heads), rung="chain", recipe=options
        )

    best = shaped({})
    if best is None:
        return None
    plain = best.report
    for whole in (False, True):
        heads = head_factors(plain, whole=whole)
        if all(factor == 1.0 for factor in heads.values()) or (whole and _learns_well(best.report)):
            continue
        calm = shaped(heads)
        if calm is not None and _is_no_worse(calm.report, best.report, harm=-HARM if whole else HARM):
            best = calm
    return None if _learns_well(here.report) and departs(best.report) else best


def _redrawn(
    here: Candidate, chosen: Sequence[Choice], config: Config, options: FixOptions, *, rung: str
) -> Candidate | None:
    free, refused = allowed(chosen, here.report, options)
    known = {refusal.layer for refusal in here.refusals}
    here = replace(here, refusals=(*here.refusals, *(r for r in refused if r.layer not in known)))
    there = here.changed(
        free,
        config,
        lambda model: redraw(model, free, config.seed, options, inputs=ProbeOptions.of(config)),
        rung=rung,
        recipe=options,
    )
    return there or (here if refused else None)


_RUNGS: tuple[tuple[str, Callable[[Candidate, Config, FixOptions], Candidate | None]], ...] = (
    ("cause", _cause),
    ("layers", _layers),
    ("chain", _chain),
)


def _is_no_worse(there: Report, here: Report, *, harm: float) -> bool:
    """Whether the network behind a rung is as good as the one in front of it, but for `harm` in trainability, or good enough."""
    after, before = there.verdict.trainability, here.verdict.trainability
    if after is None or before is None or _errors(there) < _errors(here):
        return True
    return after >= min(before - harm, ENOUGH)


def _learns_well(report: Report) -> bool:
    learning = report.verdict.trainability
    return learning is not None and learning >= ENOUGH


def _errors(report: Report) -> int:
    return sum(f.severity.value == "error" and not is_to_be_trained(f, report) for f in report.active)


def _step(name: str, here: Candidate, there: Candidate, *, kept: bool) -> Step:
    changed = {c.layer for c in there.changes if c not in here.changes}
    verdict = there.report.verdict
    return Step(rung=name, layers=len(changed), status=verdict.status, trainability=verdict.trainability, kept=kept)
