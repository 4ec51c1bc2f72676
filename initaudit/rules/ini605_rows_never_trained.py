"""INI605 rows-never-trained: in a trained network, some rows of a table are empty, or still as they were drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.judgement.table_rows import empty_rows, listed, row_sizes, rows_at_a_law
from initaudit.rule import Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

PADDING = 1
"""Rows that are zero on purpose: frameworks keep that of the padding token at zero (`padding_idx` of torch.nn.Embedding)."""
MOST = 0.5
"""Share of rows from which the table was hardly trained. A judgement: vocabularies reserve a few rows in a hundred."""


class RowsNeverTrained(Rule):
    """In a trained network, some rows of a table are empty, or still as they were drawn.

    Why: a row learns only from the inputs that look it up. Tokens or positions that training never showed (reserved ids, a vocabulary
        that was enlarged, a sequence longer than any before) are given a meaningless vector: generation runs astray where they occur.
    Harmless when: the rows are padding up to a round number, or ids that no input ever has.
    Fix: train with inputs that use the rows, give them the mean of the others, or refuse the ids.
    References: Land & Bartolo 2024 (Fishing for Magikarp: under-trained tokens).
    """

    code = "INI605"
    name = "rows-never-trained"
    severity = Severity.INFO
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.CHECK

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """By the rows' sizes, and by the rows of the model given by `--against`. A table that is untouched as a whole is named elsewhere."""
        sizes = row_sizes(layer)
        if sizes is None or not audit.context.has_training:
            return
        empty = empty_rows(sizes)
        if PADDING < empty.size < sizes.size:
            yield self._finding(layer, empty, sizes.size, "zero", "no gradient reached them")
        same = audit.untouched_rows.get(layer.layer.name)
        if same is not None and same.size:
            yield self._finding(layer, same, sizes.size, "the same as in the earlier model", "no gradient reached them")
            return
        drawn = rows_at_a_law(layer, sizes)
        if drawn is not None:
            what = f"as large, and as evenly, as {drawn[0]} draws them"
            yield self._finding(layer, drawn[1], sizes.size, what, "the others have left it", Confidence.MEDIUM)

    def _finding(
        self,
        layer: LayerAudit,
        rows: NDArray[np.intp],
        count: int,
        state: str,
        reason: str,
        confidence: Confidence = Confidence.HIGH,
    ) -> Finding:
        share = rows.size / count
        return self.finding(
            layer,
            f"Of {count} rows {listed(rows)} are {state}: {reason}.",
            measured=share,
            expected=0.0,
            severity=Severity.WARNING if share > MOST else Severity.INFO,
            confidence=confidence,
            suggestion="Check that no input uses these rows, or train them.",
        )
