"""What the JSON document says of the fixes that are recorded in a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from initaudit.model.record import Record


def record_part(record: Record | None) -> dict[str, Any] | None:
    """Each fix with its layers, and the number of tensors that it replaced; None where the model has no record."""
    if record is None:
        return None
    fixes = [asdict(fix) for fix in record.fixes]
    for fix in fixes:
        fix["tensors"] = len(fix["tensors"])
    return {"problem": record.problem, "fixes": fixes}
