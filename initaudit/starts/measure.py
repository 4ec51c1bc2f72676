"""measure_starts(): the network as it is, as `fix` would write it, and drawn by each scheme; all measured with the same inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.errors import InitauditError, ProbeError, UsageError
from initaudit.fixing.candidate import Candidate
from initaudit.fixing.choose import choose
from initaudit.fixing.ladder import climb
from initaudit.fixing.named import check_layers
from initaudit.probe import ProbeOptions
from initaudit.redrawing.redraw import redraw
from initaudit.starts.schemes import AS_IS, AUTO
from initaudit.starts.start import Start, start_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from initaudit.config import Config
    from initaudit.fixing.options import FixOptions
    from initaudit.report.report import Report


def measure_starts(
    itself: Report, schemes: Sequence[str], config: Config, drawn: FixOptions, progress: Callable[[str], None]
) -> Iterator[Start]:
    """Each start, in the order of the schemes; see `draw_starts`."""
    for scheme, there in draw_starts(itself, schemes, config, drawn, progress):
        if isinstance(there, Candidate):
            yield start_of(scheme, there.report, changes=there.changes, refusals=there.refusals)
        else:
            yield Start(scheme=scheme, why=there)


def draw_starts(
    itself: Report, schemes: Sequence[str], config: Config, drawn: FixOptions, progress: Callable[[str], None]
) -> Iterator[tuple[str, Candidate | str]]:
    """Each scheme, and the network drawn by it with its audit, or why there is none.

    The model stays as it is; one copy of it at a time is drawn anew, and no more than that is held.

    Args:
        itself: audit of the network as it is.
        schemes: `as-is`, `auto` (what `fix` would write; of a network that is not fresh, every layer by its target) or what `fix --scheme`
            takes, of which several with blanks between count together.
        config: options of all audits; drawn networks are judged as fresh ones.
        drawn: gain, biases and spared layers of those that are drawn.
        progress: called with the scheme that is being measured.

    Raises:
        UsageError: a scheme names a layer that there is not.
        ProbeError: the signal of the network cannot be measured, and why.
    """
    assert itself.audit is not None
    if itself.audit.probe.status == "failed":
        raise ProbeError(f"{itself.path}: cannot be measured: {itself.audit.probe.reason}")
    for scheme in schemes:
        if scheme not in (AS_IS, AUTO):
            check_layers(itself, _all_by(scheme, drawn))
    here = Candidate(model=itself.audit.model, report=itself)
    fresh = replace(config, context="fresh")
    for scheme in schemes:
        if scheme == AS_IS:
            yield AS_IS, here
            continue
        progress(scheme)
        try:
            there: Candidate | str = _drawn(here, scheme, fresh, drawn)
        except UsageError:
            raise
        except (InitauditError, MemoryError) as error:
            there = str(error) or "out of memory"
        yield scheme, there


def _all_by(scheme: str, drawn: FixOptions) -> FixOptions:
    return replace(drawn, scheme=tuple(scheme.split()), every=True, force=True)


def _drawn(here: Candidate, scheme: str, config: Config, drawn: FixOptions) -> Candidate:
    if scheme == AUTO:
        is_fresh = here.report.verdict.context == "fresh"
        there: Candidate | None = climb(here, config, drawn if is_fresh else _all_by(AUTO, drawn))[0]
    else:
        options, inputs = _all_by(scheme, drawn), ProbeOptions.of(config)
        chosen = choose(here.report, options)
        there = here.changed(
            chosen,
            config,
            lambda model: redraw(model, chosen, config.seed, options, inputs=inputs),
            rung="layers",
            recipe=options,
        )
    return there or here
