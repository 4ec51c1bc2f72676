"""Which kinds of networks can be made, how their sizes are written, and what they are like where nothing else is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from initaudit.errors import UsageError, similar
from initaudit.making.style import BATCH, LAYER, NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One kind of network."""

    name: str
    form: str
    """How its sizes are written: those of one input, groups of hidden layers, and one number."""
    numbers: int
    """How many the first of them has."""
    fewest: int = 1
    """Groups."""
    most: int | None = None
    sizes: str
    """The usual ones."""
    what: str
    """It, in a few words."""
    activation: str | None = "relu"
    """The usual one; None where the cells have theirs."""
    norms: tuple[str, ...] = (NONE,)
    """Those that it can have, the usual one first."""


ARCHITECTURES: Final = {
    kind.name: kind
    for kind in (
        Architecture(
            name="mlp",
            form="INPUTS,WIDTH[xLAYERS],...,OUTPUTS",
            numbers=1,
            fewest=0,
            sizes="784,100x5,10",
            what="Dense layers",
            norms=(NONE, BATCH, LAYER),
        ),
        Architecture(
            name="conv",
            form="CxHxW,CHANNELS[xLAYERS],...,OUTPUTS",
            numbers=3,
            sizes="1x28x28,8x2,16x2,10",
            what="Convolutions; the image is halved between groups",
            norms=(NONE, BATCH),
        ),
        Architecture(
            name="residual",
            form="CxHxW,CHANNELS[xBLOCKS],...,OUTPUTS",
            numbers=3,
            sizes="3x32x32,16x2,32x2,10",
            what="Residual blocks, the image halved in the same way",
            norms=(BATCH, NONE),
        ),
        Architecture(
            name="lstm",
            form="STEPSxFEATURES,UNITS[xLAYERS],...,OUTPUTS",
            numbers=2,
            sizes="28x28,64,10",
            what="LSTM layers over a sequence",
            activation=None,
        ),
        Architecture(
            name="transformer",
            form="VOCABULARYxTOKENS,WIDTH[xBLOCKS],HEADS",
            numbers=2,
            most=1,
            sizes="120x16,48x2,4",
            what="A language model of pre-norm blocks",
            activation="gelu",
            norms=(LAYER,),
        ),
    )
}
"""By name."""


def find_architecture(name: str) -> Architecture:
    """Raises UsageError, with the nearest name."""
    found = ARCHITECTURES.get(name)
    if found is None:
        raise UsageError(f"unknown architecture {name!r}{similar(name, ARCHITECTURES)}")
    return found
