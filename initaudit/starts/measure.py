"""measure_starts(): the network as it is, as `fix` would write it, and drawn by each scheme; all measured with the same inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.auditor import audit
from initaudit.errors import InitauditError, ProbeError, UsageError
from initaudit.fixing.candidate import Candidate
from initaudit.fixing.choose import choose
from initaudit.fixing.ladder import climb
from initaudit.fixing.named import check_layers
from initaudit.fixing.options import FixOptions
from initaudit.probe import ProbeOptions
from initaudit.redrawing.redraw import redraw
from initaudit.remembering import remembering
from initaudit.starts.schemes import AS_IS, AUTO
from initaudit.starts.start import Start, start_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from initaudit.config import Config
    from initaudit.model.load import Source
    from initaudit.report.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """How every layer of a start is drawn, beside its scheme."""

    gain: float = 1.0
    """Factor on all weights that are drawn."""
    bias: str = "auto"
    """Of the layers that are drawn: auto (zero, or 1 in a forget gate), zero, or keep."""
    exclude: tuple[str, ...] = ()
    """Names, titles or globs of layers that stay as they are."""

    def __post_init__(self) -> None:
        """Raises UsageError where one of them cannot be followed."""
        self.fix_options(AUTO)

    def fix_options(self, scheme: str) -> FixOptions:
        """That draw every layer by this scheme, or a list of schemes with blanks between."""
        words = tuple(scheme.split())
        return FixOptions(scheme=words, gain=self.gain, bias=self.bias, exclude=self.exclude, every=True, force=True)


@np.errstate(all="ignore")  # as in an audit: what is not finite is found and reported
def measure_starts(
    source: Source,
    schemes: Sequence[str],
    config: Config,
    drawn: DrawOptions | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[Start, Report]]:
    """Each start, in the order of the schemes, with the audit of the model itself.

    The model stays as it is; one copy of it at a time is drawn anew, and no more than that is held.

    Args:
        source: as for `audit`.
        schemes: `as-is`, `auto` (what `fix` would write; of a network that is not fresh, every layer by its target) or what `fix --scheme` takes, of which several with blanks between count together.
        config: options of all audits; drawn networks are judged as fresh ones.
        drawn: how they are drawn.
        progress: called with the scheme that is being measured.

    Raises:
        ModelError, UsageError: as for `audit`; also where a scheme names a layer that there is not.
        ProbeError: the signal of the network cannot be measured, and why.
    """
    drawn = drawn or DrawOptions()
    with remembering():
        progress(AS_IS)
        itself = audit(source, config)
        assert itself.audit is not None
        if itself.audit.probe.status == "failed":
            raise ProbeError(f"{itself.path}: cannot be measured: {itself.audit.probe.reason}")
        for scheme in schemes:
            if scheme not in (AS_IS, AUTO):
                check_layers(itself, drawn.fix_options(scheme))
        here = Candidate(model=itself.audit.model, report=itself)
        fresh = replace(config, context="fresh")
        for scheme in schemes:
            if scheme == AS_IS:
                yield start_of(AS_IS, itself), itself
                continue
            progress(scheme)
            try:
                yield _drawn(here, scheme, fresh, drawn), itself
            except UsageError:
                raise
            except (InitauditError, MemoryError) as error:
                yield Start(scheme=scheme, why=str(error) or "out of memory"), itself


def _drawn(here: Candidate, scheme: str, config: Config, drawn: DrawOptions) -> Start:
    if scheme == AUTO:
        is_fresh = here.report.verdict.context == "fresh"
        options = replace(drawn.fix_options("auto"), every=not is_fresh, force=not is_fresh)
        there: Candidate | None = climb(here, config, options)[0]
        there = None if there is not None and there.report is here.report else there
    else:
        options = drawn.fix_options(scheme)
        chosen = choose(here.report, options)
        inputs = ProbeOptions.of(config)
        there = here.changed(
            chosen, config, lambda model: redraw(model, chosen, config.seed, options, inputs=inputs), rung="layers"
        )
    if there is None:
        return start_of(scheme, here.report)
    return start_of(scheme, there.report, changes=there.changes, refusals=there.refusals)
