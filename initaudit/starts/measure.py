"""measure_starts(): the network as it is, as `fix` would write it, and drawn by each scheme; all measured with the same inputs."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING

from initaudit.errors import FixRefused, InitauditError, ProbeError, UsageError
from initaudit.fixing.candidate import Candidate
from initaudit.fixing.choose import choose
from initaudit.fixing.ladder import climb
from initaudit.fixing.named import check_layers
from initaudit.judgement.recommended import each_its_own
from initaudit.probe.plan import ProbeOptions
from initaudit.redrawing.redraw import redraw
from initaudit.starts.schemes import AS_IS, AUTO
from initaudit.starts.start import Start, start_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from initaudit.config import Config
    from initaudit.fixing.candidate import Drawn
    from initaudit.fixing.options import FixOptions
    from initaudit.report.report import Report

LARGE = 1 << 24
"""Bytes of a model from which the weights of one start are given back before the next is drawn. A judgement: it takes some 60 ms, which small ones would feel."""


def measure_starts(
    itself: Report, schemes: Sequence[str], config: Config, drawn: FixOptions, progress: Callable[[str], None]
) -> Iterator[Start]:
    """Each start, in the order of the schemes; one network at a time is drawn anew, and no more than that is held.

    Args:
        itself: audit of the network as it is.
        schemes: as for `draw_start`, and so `config` and `drawn`.
        config: options of all audits.
        drawn: gain, biases and spared layers.
        progress: called with the scheme that is being measured.

    Raises:
        UsageError, ProbeError: as for `check_starts`.
    """
    check_starts(itself, schemes, drawn)
    for scheme in schemes:
        if scheme != AS_IS:
            progress(scheme)
        yield start_under(scheme, draw_start(itself, scheme, config, drawn))


def check_starts(itself: Report, schemes: Sequence[str], drawn: FixOptions) -> None:
    """Whether the network can be drawn and measured.

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


def draw_start(itself: Report, scheme: str, config: Config, drawn: FixOptions) -> Candidate | str:
    """The network drawn by a scheme, with its audit, or why there is none; the model stays as it is.

    Args:
        itself: audit of the network as it is.
        scheme: `as-is`, `auto` (what `fix` would write; of a network that is not fresh, every layer by its target) or what `fix --scheme`
            takes, of which several with blanks between count together; `check_starts` knows nothing against it.
        config: options of the audit; a drawn network is judged as a fresh one.
        drawn: gain, biases and spared layers.

    Raises UsageError where an option cannot be followed.
    """
    assert itself.audit is not None
    here = Candidate(model=itself.audit.model, report=itself)
    if scheme == AS_IS:
        return here
    if here.model.bytes_on_disk >= LARGE:
        gc.collect()  # the start before: nodes and values of its graph hold each other, and with them its weights
    try:
        return _drawn(here, scheme, replace(config, context="fresh"), drawn)
    except UsageError:
        raise
    except (InitauditError, MemoryError) as error:
        return str(error) or "out of memory"


def start_under(scheme: str, there: Candidate | str) -> Start:
    """What is kept of what `draw_start` gives."""
    if isinstance(there, str):
        return Start(scheme=scheme, why=there)
    return start_of(scheme, there.report, changes=there.changes, refusals=there.refusals)


def _all_by(scheme: str, drawn: FixOptions) -> FixOptions:
    return replace(drawn, scheme=tuple(scheme.split()), every=True, force=True)


def _some(drawn: Drawn) -> Drawn:
    """Raises FixRefused where nothing was drawn: what all schemes leave as it is, is no start of its own."""
    changes, refusals, _ = drawn
    if not changes:
        why = f" ({refusals[0].layer}: {refusals[0].reason})" if refusals else ""
        raise FixRefused(f"it draws no layer of the file{why}")
    return drawn


def _drawn(here: Candidate, scheme: str, config: Config, drawn: FixOptions) -> Candidate:
    if scheme == AUTO:
        is_fresh = here.report.verdict.context == "fresh"
        with each_its_own():  # as in `fix`, which goes by these audits
            there: Candidate | None = climb(here, config, drawn if is_fresh else _all_by(AUTO, drawn))[0]
    else:
        options, inputs = _all_by(scheme, drawn), ProbeOptions.of(config)
        chosen = choose(here.report, options)
        there = here.changed(
            chosen,
            config,
            lambda model: _some(redraw(model, chosen, config.seed, options, inputs=inputs)),
            rung="layers",
            recipe=options,
        )
    return there or here
