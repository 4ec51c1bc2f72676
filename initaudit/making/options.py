"""MakeOptions: how a network is to be made, whatever its architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from initaudit.errors import UsageError
from initaudit.initialisation.spelling import read_schemes
from initaudit.making.style import BATCH, LAYER, NONE
from initaudit.options import at_least, one_of, read_number, read_positive, read_real

NO_BIAS, AUTO_BIAS = "none", "auto"
LARGEST_BIAS = 1e30
"""A judgement: float32 ends at 3.4e38."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeOptions:
    """The style of a network and what its weights are drawn from."""

    activation: str | None = None
    """By torch's functional name, as reports have it; None for the usual one of the architecture."""
    norm: str | None = None
    """none, batch or layer; None for the usual one."""
    dropout: float = 0.0
    """Share of the values that training leaves out, 0 <= dropout < 1."""
    scheme: tuple[str, ...] = ("auto",)
    """As in `fix`: `auto` (what fits each layer) or another way to write a scheme, for all layers or as `GLOB=SCHEME` for some."""
    gain: float = 1.0
    """Factor on all weights."""
    bias: float | str = AUTO_BIAS
    """auto (zero, or 1 in a forget gate), none (no biases at all), or the value of all of them."""
    seed: int = 0
    """Of the draws."""

    def __post_init__(self) -> None:
        """Raises UsageError; what may be written as text is read."""
        for name, read in _READERS.items():
            try:
                object.__setattr__(self, name, read(getattr(self, name)))
            except UsageError as error:
                raise UsageError(f"option {name!r}: {error}") from error


def _read_dropout(value: Any) -> float:
    share = read_real(value)
    if not 0 <= share < 1:
        raise UsageError(f"must be at least 0 and below 1, not {value}")
    return share


def _read_bias(value: Any) -> float | str:
    if value in (NO_BIAS, AUTO_BIAS):
        return str(value)
    try:
        size = read_real(value)
    except UsageError as error:
        raise UsageError(f"{value!r} is neither {AUTO_BIAS} nor {NO_BIAS} nor a number") from error
    if abs(size) > LARGEST_BIAS:
        raise UsageError(f"must be at most {LARGEST_BIAS:g} in size, not {value}")
    return size


def _or_usual(read: Callable[[Any], str]) -> Callable[[Any], str | None]:
    return lambda value: None if value is None else read(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "norm": _or_usual(one_of(NONE, BATCH, LAYER)),
    "dropout": _read_dropout,
    "scheme": read_schemes,
    "gain": read_positive,
    "bias": _read_bias,
    "seed": at_least(0, read_number),
}
"""How the value of each option is read."""
