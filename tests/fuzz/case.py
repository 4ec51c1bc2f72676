"""A case: one file with all that is done to it, wholly determined by a seed and a number."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from tests.fuzz.mutation.mutate import mutated
from tests.fuzz.seeds import seeds

FAMILIES = {"network": 45, "operator": 20, "storage": 13, "sample": 7, "corpus": 15}
"""How often a case starts from each family of seeds, of their sum. A judgement: large samples take long, and hold what the small networks do."""
FIXED = 0.2
"""Share of the cases that are also mended by `fix`."""
MAPPED = 0.2
"""Share of the cases that are read as large files are, with their weights left where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is audited, and how."""

    raw: bytes
    number: int = 0
    seed: int = 0
    origin: str = "given"
    """Family and name of the seed."""
    kinds: str = "none"
    """Of the mutations."""
    probe: bool = False
    fix: bool = False
    mapped: bool = False


def make_case(number: int, seed: int = 0) -> Case:
    """The case of this number: those that are odd are also probed."""
    rng = random.Random(f"{seed}/{number}")
    (family, name), (_, other) = _seed(rng), _seed(rng)
    raw, kinds = mutated(seeds()[family][name], _raw(other, rng), rng)
    return Case(
        raw=raw,
        number=number,
        seed=seed,
        origin=f"{family}/{name}",
        kinds=kinds,
        probe=number % 2 == 1,
        fix=rng.random() < FIXED,
        mapped=rng.random() < MAPPED,
    )


def _seed(rng: random.Random) -> tuple[str, str]:
    present = [family for family in FAMILIES if seeds()[family]]
    family = rng.choices(present, [FAMILIES[f] for f in present])[0]
    return family, rng.choice(names(family))


def _raw(name: str, rng: random.Random) -> bytes:
    return next(models[name] for models in seeds().values() if name in models)


@cache
def names(family: str) -> tuple[str, ...]:
    """The seeds of a family."""
    return tuple(sorted(seeds()[family]))
