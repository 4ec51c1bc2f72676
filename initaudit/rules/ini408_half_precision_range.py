"""INI408 half-precision-range: some nodes would leave the range of float16."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.rule import Rule
from initaudit.rules.half_precision import LARGEST, keep_in_float32

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit

SMALLEST = 2.0**-24
"""Smallest positive number of float16, a subnormal one."""


class HalfPrecisionRange(Rule):
    """Some nodes would leave the range of float16.

    The largest magnitude of each node's values is compared with the largest number of float16, 65,504, and its smallest, 6e-8; in float32 as
    in float16 files. A float16 file that overflows is an error of its own (INI406).

    Why: on a GPU the values become infinite, and NaN in the next softmax or norm; or all of them become zero and what follows no longer
        sees the input. CPU kernels compute in float32 and hide it.
    Harmless when: the network stays in float32 or bfloat16; or the real inputs are smaller than N(0, 1) (`--input-data`).
    Fix: keep the nodes that are named in float32 (`node_block_list` of onnxconverter-common), or use bfloat16.
    References: Micikevicius et al. 2018, Mixed Precision Training, section 3; IEEE 754-2019.
    """

    code = "INI408"
    name = "half-precision-range"
    severity = Severity.INFO
    by_consequence = (Severity.WARNING,)
    remedy = Remedy.CHECK

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """What overflows in a float32 file, and what vanishes; a warning where the file itself computes in float16."""
        found = audit.probe.float16
        if found is None:
            return
        beyond = [o for o in found["overflow"] if not o["stored"] and math.isfinite(o["largest"])]
        if beyond:
            worst = max(o["largest"] for o in beyond)
            yield self._told(
                audit, beyond, f"Values reach {worst:.3g}, float16 ends at {LARGEST:,.0f}: out of range", worst, LARGEST
            )
        for stored in (True, False):
            vanished = [o for o in found["underflow"] if o["stored"] is stored]
            if vanished:
                least = min(o["largest"] for o in vanished)
                what = f"No value exceeds {least:.2g}: all of them are zero in float16"
                yield self._told(
                    audit, vanished, what, least, SMALLEST, severity=Severity.WARNING if stored else Severity.INFO
                )

    def _told(
        self,
        audit: ModelAudit,
        nodes: Sequence[Mapping[str, Any]],
        what: str,
        measured: float,
        expected: float,
        severity: Severity = Severity.INFO,
    ) -> Finding:
        names = [o["node"] for o in nodes]
        return self.finding(
            next((a for a in audit.layers if a.layer.node.name == names[0]), None),
            f"{what} at {len(names)} {'node' if len(names) == 1 else 'nodes'}.",
            measured=measured,
            expected=expected,
            severity=severity,
            confidence=Confidence.MEDIUM,
            suggestion=keep_in_float32(names),
        )
