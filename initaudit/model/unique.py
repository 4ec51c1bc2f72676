"""Names that are unique in a model, whatever its author called things."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def distinct(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """For each (base, suffix) `base` + `suffix` where it is the first of its kind, else `base#2` + `suffix` and so on.

    A number is passed over where something else bears the name. Linear in the number of names.
    """
    borne = {base + suffix for base, suffix in wanted}
    counters: dict[str, Iterator[int]] = {}
    names = []
    for base, suffix in wanted:
        name = base + suffix
        if name in counters:
            name = next(n for number in counters[name] if (n := f"{base}#{number}{suffix}") not in borne)
            borne.add(name)
        else:
            counters[name] = count(2)
        names.append(name)
    return names
