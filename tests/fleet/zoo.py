"""Ten thousand models that nobody made, as two runs have them."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

from tests.fleet import stubs

if TYPE_CHECKING:
    from initaudit.fleet.row import Row

COUNT = 10_000
CODES = ("INI003", "INI101", "INI102", "INI105", "INI401", "INI404", "INI503", "INI601")
ENDS = ("timeout", "memory", "crashed", "unreadable", "internal-error")


@cache
def rows(seed: int) -> tuple[Row, ...]:
    """What a run found; another seed changes one model in twenty."""
    chance = random.Random(seed)
    return tuple(_row(number, chance) for number in range(COUNT))


def _row(number: int, chance: random.Random) -> Row:
    model = random.Random(number)
    path = f"zoo/{model.choice(('vision', 'text', 'audio'))}/team-{model.randrange(40)}/{number}-resnet-{model.randrange(9)}.onnx"
    if chance.random() < 0.005:
        return stubs.lost(path, chance.choice(ENDS))
    count = model.choice((0, 0, 0, 1, 3, 9))
    found = [
        stubs.finding(model.choice(CODES), model.choice(("error", "warning", "info")), f"/block.{layer}/conv/Conv")
        for layer in range(count)
    ]
    if chance.random() < 0.02:
        found.append(stubs.finding("INI404", "error", "/head/Gemm"))
    ratio = model.random()
    reason = f"std {ratio:.3g} is {ratio:.3g} times what fits, so the signal loses its variance layer by layer (and {count} more)"
    size = int(10 ** model.uniform(3, 9.7))
    return stubs.row(path, *found, bytes=size, trainability=round(ratio, 4), reason=reason, layers=model.randrange(200))
