"""How a large weight is read: in ranges, whose cuts depend on its shape alone, and what is made of their scans.

Whoever reads them, and in whatever order, the figures are the same to the last bit: scans are added up over a fixed tree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.picks import Pick, pick
from initaudit.stats.sampling import sample_places
from initaudit.stats.sketch import LONGEST_ROW, Sketch, random_vectors
from initaudit.stats.spectrum import is_cheap
from initaudit.stats.stream import Scan, Stretch, is_matrix, scan_all
from initaudit.stats.walk import span_rows

if TYPE_CHECKING:
    from initaudit.stats.layout import Layout

RANGE: Final = 1 << 26
"""Values per range at most, where rows are shorter: 256 MiB in float32, a fifth of a second, beside which a millisecond for handing it
over counts nothing; and few tensors are longer."""

SMALLEST_COPY: Final = 1 << 13
"""Values per copy from which copies are read one by one, each with a sketch; below that calls would cost more than arithmetic."""

SIGNATURE_INPUTS: Final = 64
"""Inputs from which units that may repeat each other are found, where there is no sketch; candidates are then compared in full.
A judgement."""

CENTRED_UNITS: Final = 8
"""Whole units whose sums are looked at where the sample cuts them. A judgement: the mean of 1,000 independent values is within 1e-5
of their rms once in 4,000 draws, that of two units once in 16 million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The reading of one weight."""

    layout: Layout
    apart: bool
    """Whether each entry of the view's first axis, a copy, is read as a matrix of its own."""
    sketched: bool
    sample: Pick
    """Places of the sample."""
    whole_units: Pick | None
    """Of all weights of some units, where the sample cuts them."""
    signatures: Pick | None
    """Of some weights of all units, where no sketch tells which may repeat each other."""

    @property
    def picks(self) -> tuple[Pick, ...]:
        """All of them that there are."""
        return tuple(p for p in (self.sample, self.whole_units, self.signatures) if p is not None)

    def ranges(self) -> Iterator[tuple[Stretch, ...]]:
        """What is read at once; each range of neighbouring stretches, one for each copy that is read apart."""
        shape = self.layout.view.shape
        if not self.apart:
            yield from ((self._stretch(None, rows),) for rows in cuts(shape))
            return
        together = max(1, RANGE // math.prod(shape[1:]))  # copies
        if together > 1:
            for low in range(0, shape[0], together):
                copies = range(low, min(low + together, shape[0]))
                yield tuple(self._stretch(copy, slice(0, shape[1])) for copy in copies)
        else:
            yield from ((self._stretch(copy, rows),) for copy in range(shape[0]) for rows in cuts(shape[1:]))

    def _stretch(self, copy: int | None, rows: slice) -> Stretch:
        box, roles = _box(copy, rows), self.layout.roles
        picks = tuple(p.within(box) for p in self.picks)
        return Stretch(
            copy=copy,
            rows=rows,
            roles=roles if copy is None else roles[1:],
            sketched=self.sketched,
            picks=picks if copy is None else tuple(p.below() for p in picks),
        )

    def picked(self, found: Scan) -> Iterator[np.ndarray]:
        """The values of each pick, in the stored type."""
        stretches = [stretch for part in self.ranges() for stretch in part]
        for number, wanted in enumerate(self.picks):
            values = np.empty(wanted.shape, self.layout.view.dtype)
            for stretch, taken in zip(stretches, found.picked, strict=True):
                values[np.ix_(*wanted.inside(_box(stretch.copy, stretch.rows)))] = taken[number]
            yield values

    def energy(self, found: Scan, role: str) -> np.ndarray:
        """Sums of squares, float64 [copies, units or inputs]."""
        copies = 1 if self.apart else self.layout.copies
        return np.concatenate([piece.energy(role, copies) for piece in found.pieces])

    def sketches(self, found: Scan) -> tuple[Sketch, ...]:
        """One for each copy; none unless each is one matrix in memory."""
        return tuple(
            Sketch(
                layout=self.layout if piece.copy is None else self.layout.copy(piece.copy),
                vectors=random_vectors(piece.products.pullback.shape[1]),
                image=piece.products.image,
                pullback=piece.products.pullback,
                row_energy=piece.energies[piece.roles[0]].reshape(-1),
            )
            for piece in found.pieces
            if piece.products is not None
        )


def plan(layout: Layout, seed: int) -> Plan:
    """For a weight that is not looked at as a whole; `seed` chooses the sample."""
    shape, roles = layout.view.shape, layout.roles
    wanted = layout.inputs > 1 and not is_cheap(layout.units, layout.inputs, layout.view.size)
    apart = wanted and len(shape) == 3 and roles[0] == "copy" and "copy" not in roles[1:]
    apart = apart and shape[1] * shape[2] >= SMALLEST_COPY
    sketched = wanted and is_matrix(roles[1:] if apart else roles) and shape[-1] <= LONGEST_ROW
    rows, columns = sample_places(layout, seed)
    units = np.arange(min(CENTRED_UNITS, layout.rows))
    return Plan(
        layout=layout,
        apart=apart,
        sketched=sketched,
        sample=pick(layout, rows, columns),
        whole_units=pick(layout, units, np.arange(layout.inputs)) if columns.size < layout.inputs else None,
        signatures=None
        if sketched or layout.inputs == 1
        else pick(layout, np.arange(layout.rows), _some(layout, seed)),
    )


def _some(layout: Layout, seed: int) -> np.ndarray:
    """Inputs that signatures are made from."""
    some = np.random.default_rng(seed).choice(layout.inputs, min(SIGNATURE_INPUTS, layout.inputs), replace=False)
    return np.sort(some)


def _box(copy: int | None, rows: slice) -> tuple[slice, ...]:
    return (rows,) if copy is None else (slice(copy, copy + 1), rows)


def cuts(shape: Sequence[int]) -> Iterator[slice]:
    """Ranges of the first axis of an array of this shape: whole spans, about as many in each."""
    step = span_rows(shape)
    count = -(-shape[0] // step)
    each = step * -(-count // -(-math.prod(shape) // RANGE))
    for low in range(0, shape[0], each):
        yield slice(low, min(low + each, shape[0]))


def scan_range(view: np.ndarray, stretches: Sequence[Stretch]) -> Scan:
    """Read the stretches of a range, of the whole weight's view."""
    return scan_all((stretch.of(view), stretch) for stretch in stretches)


def merged(scans: Sequence[Scan]) -> Scan:
    """The scan of the whole weight from those of its ranges, in their order: neighbours are added, then neighbouring pairs, and so on."""
    scans = list(scans)
    while len(scans) > 1:
        pairs = [a + b for a, b in zip(scans[::2], scans[1::2], strict=False)]
        scans = pairs + scans[len(scans) - len(scans) % 2 :]
    return scans[0]
