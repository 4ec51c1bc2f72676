"""Rows: a flat dict per layer, for a table or a data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from initaudit.report.document import number

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit


class LayerRow(TypedDict):
    """One layer. What was not measured, or does not exist, is None."""

    name: str
    """Unique within the model."""
    title: str
    """For people: the name of the parameter where it says more than the node's."""
    op_type: str
    kind: str
    shape: tuple[int, ...]
    """Of the operand, as the operator sees it."""
    dtype: str
    part: str | None
    """Of a packed weight: `gate:forget`, `q`."""
    fan_in: int | None
    fan_out: int | None
    activation: str | None
    parameters: int
    mean: float | None
    std: float | None
    target_std: float | None
    """The std that fans and activation call for."""
    ratio: float | None
    """std over target_std."""
    law: str | None
    """The initialisation scheme that the values were evidently drawn from."""
    untrained: bool | None
    variance: float | None
    """Over inputs, of what enters the activation."""
    mean_square: float | None
    similarity: float | None
    saturated: float | None
    dead: float | None
    gradient_rms: float | None


def layer_row(audit: LayerAudit) -> LayerRow:
    """The row of a layer."""
    layer, signal, origin = audit.layer, audit.signal, audit.provenance
    return {
        "name": layer.name,
        "title": layer.title,
        "op_type": layer.op_type,
        "kind": layer.kind.value,
        "shape": tuple(layer.weight.shape),
        "dtype": layer.weight.dtype,
        "part": layer.weight.part,
        "fan_in": layer.fan_in,
        "fan_out": layer.fan_out,
        "activation": layer.activation,
        "parameters": layer.parameters,
        "mean": number(audit.stats.mean),
        "std": number(audit.stats.std),
        "target_std": number(audit.target.std) if audit.target else None,
        "ratio": number(audit.ratio),
        "law": origin.law if origin else None,
        "untrained": origin.untrained if origin else None,
        "variance": number(signal.variance) if signal else None,
        "mean_square": number(signal.mean_square) if signal else None,
        "similarity": number(signal.similarity) if signal else None,
        "saturated": number(signal.saturated) if signal else None,
        "dead": number(signal.dead) if signal else None,
        "gradient_rms": number(signal.gradient_rms) if signal else None,
    }
