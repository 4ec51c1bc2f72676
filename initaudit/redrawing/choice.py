"""Which layers are drawn anew, how, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer
    from initaudit.initialisation.spelling import Assigned
    from initaudit.measuring.layer_audit import LayerAudit


MODES = ("resample", "rescale")
BIASES = ("auto", "zero", "keep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How all of them are drawn."""

    scheme: tuple[str, ...] = ("auto",)
    """`auto` (each layer's target), `lsuv`, `pca` or another way to write a scheme (`initaudit.initialisation.spelling`), for all layers or as
    `GLOB=SCHEME` for some; of several globs that fit a layer the last counts."""
    mode: str = "resample"
    """resample (draw anew) or rescale (multiply the weights, keep their direction and the biases)."""
    gain: float = 1.0
    """Factor on all weights that are drawn or rescaled."""
    bias: str = "auto"
    """Of the layers that get new weights: auto (zero, or 1 in a forget gate), zero, or keep."""

    @property
    def is_free(self) -> bool:
        """Whether nothing is said of how to draw."""
        return self == replace(self, scheme=("auto",), mode="resample", gain=1.0, bias="auto")

    def scheme_for(self, layer: Layer) -> Assigned:
        """What the layer is to be drawn by."""
        from initaudit.initialisation.spelling import assigned

        return assigned(self.scheme, (layer.name, layer.title))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """One layer that is to get new weights."""

    audit: LayerAudit
    reason: str
    """Codes of the findings that ask for it, or that it was asked for."""
    centred_gain: float | None = None
    """Gain of weights that are to sum to zero over each unit's inputs; None where they need not."""
    bias_alone: bool = False
    """Whether the weights are sound, and only the bias is set anew."""
    keeps_bias: bool = False
    """Whether the bias is sound, and only the weights are drawn anew."""
    repair: bool = False
    """Whether all but single values or units are sound, and only these are replaced."""
    stray_bias: float | None = None
    """In a repair: how far from the others a bias lies that is none of the layer's; None where none does."""
    beside: float | None = None
    """Of a table: root mean square of the one that is added to it, which it is to have, too; None where there is none."""
    wrong: str = ""
    """What is wrong with it, a sentence; empty where it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One layer that was asked for but is left as it is."""

    layer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One layer that gets new weights."""

    layer: str
    title: str
    initializer: str
    scheme: str
    reason: str
    """Why it is changed: codes of the findings, or what was asked for."""
    std_before: float
    std_after: float
    bias: str | None
    """Name of the bias that is reset with it, or None."""
    repaired: str = ""
    """What was replaced, and by what, where all else of the layer was kept."""
    scale: str | None = None
    """Name of the scale that is set with weights which are stored as integers."""
    rung: str = ""
    """Which rung of the plan changed it: cause, layers or chain."""
    wrong: str = ""
    """What was wrong with it, a sentence."""
    mean_before: float | None = None
    mean_after: float | None = None
    """Of the weights, or of the scale of a norm."""
    bias_before: float | None = None
    bias_after: float | None = None
    """Mean of the bias that is reset; None where it stays."""
