"""compare(): every start of a network measured, and what came of it in every form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from initaudit.auditor import audit
from initaudit.fixing.options import FixOptions
from initaudit.judgement.recommended import one_for_all
from initaudit.remembering import remembering
from initaudit.starts.document import starts_document
from initaudit.starts.measure import measure_starts
from initaudit.starts.ranking import Ranking
from initaudit.starts.schemes import AS_IS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from initaudit.config import Config
    from initaudit.format import Format, FormatOptions
    from initaudit.model.load import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Ranking):
    """The starts of a network, best first; `winner` is None where with none it is expected to learn."""

    def _shown(self, form: Format, looks: FormatOptions) -> str:
        return form.starts(self.document, looks)


@np.errstate(all="ignore")  # as in an audit: what is not finite is found and reported
def compare(
    source: Source,
    schemes: Sequence[str],
    config: Config,
    drawn: FixOptions | None = None,
    progress: Callable[[str], None] = lambda _: None,
    command: Sequence[str] | None = None,
) -> Comparison:
    """Measure the network under each scheme.

    Args:
        source: as for `audit`.
        schemes: as for `measure_starts`, and so `config`, `drawn` and `progress`.
        config: options of all audits.
        drawn: gain, biases and spared layers.
        progress: called with what is being measured.
        command: the command line, for the document.

    Raises:
        ModelError, UsageError, ProbeError: as for `audit` and `measure_starts`.
    """
    started = datetime.now(UTC)
    with remembering(), one_for_all():
        progress(AS_IS)
        itself = audit(source, config)
        starts = list(measure_starts(itself, schemes, config, drawn or FixOptions(), progress))
    return Comparison(document=starts_document(starts, itself, started=started, command=command))
