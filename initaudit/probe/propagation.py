"""Carrying perturbations through the pieces of a network, one cut after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import ProbeError
from initaudit.probe.perturbation import STEP, Deviation, better_step
from initaudit.probe.squares import root_mean_squares

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from initaudit.probe.perturbation import Perturbation
    from initaudit.probe.pieces import Pieces
    from initaudit.probe.segments import State
    from initaudit.probe.stacking import Stack

ATTEMPTS = 3
"""Changes of step within one piece. A judgement: the response is nearly linear in the step, so that the first brings it near
its place."""


class Propagation:
    """The way from any layer to the end of the network, for one unperturbed input."""

    def __init__(self, pieces: Pieces, stack: Stack, states: Sequence[State]) -> None:
        """`states`: the unperturbed values in front of each piece and behind the last, the same input in every row."""
        self.pieces = pieces
        self.stack = stack
        self.states = states
        self._levels: dict[tuple[str, int], np.ndarray] = {}

    def carry(self, perturbations: Sequence[Perturbation]) -> None:
        """Take all of them to the end, bringing their deviations back to size 1 at each cut."""
        for index in range(len(self.pieces.segments)):
            pending = [p for p in perturbations if not (p.lost or p.failed) and self._home(p) <= index]
            for perturbation in pending:
                perturbation.step = STEP
            for attempt in range(ATTEMPTS + 1):
                again: list[Perturbation] = []
                for perturbation, deviation in self._answers(index, pending):
                    if deviation is None:
                        perturbation.failed = True
                        continue
                    step = better_step(perturbation.step, deviation.size)
                    if step == perturbation.step or attempt == ATTEMPTS:
                        perturbation.arrive(deviation)
                    else:
                        perturbation.step = step
                        again.append(perturbation)
                pending = again

    def _home(self, perturbation: Perturbation) -> int:
        """The piece in which it starts."""
        return self.pieces.home[perturbation.layer.output]

    def _answers(
        self, index: int, perturbations: Sequence[Perturbation]
    ) -> Iterator[tuple[Perturbation, Deviation | None]]:
        """Each with its deviation behind a piece; None for those that the network cannot be run with."""
        together = [p for p in perturbations if not p.alone]
        count = self.stack.rows
        shared = [together[i : i + count] for i in range(0, len(together), count)]
        for rows in [*shared, *([p] for p in perturbations if p.alone)]:
            yield from zip(rows, self._try(index, rows), strict=True)

    def _try(self, index: int, rows: Sequence[Perturbation]) -> Sequence[Deviation | None]:
        """`_run`, with None for the rows that the network cannot be run with."""
        try:
            return self._run(index, rows)
        except ProbeError:
            return [None] if len(rows) == 1 else [self._try(index, [row])[0] for row in rows]

    def _run(self, index: int, rows: Sequence[Perturbation]) -> list[Deviation]:
        """One call of the runtime: where each row arrives behind a piece. Raises ProbeError."""
        behind = self.states[index + 1]
        arrived = self.pieces.advance(index, self._perturbed(index, rows), self._addends(index, rows))
        differences: State = {}
        sizes = np.zeros(len(rows))
        for name, array in arrived.items():
            if array is behind.get(name) or array.dtype.kind != "f" or array.shape != behind[name].shape:
                continue
            still = self.stack.split(name, behind[name])[: len(rows)]
            differences[name] = self.stack.split(name, array)[: len(rows)] - still
            sizes = np.maximum(sizes, _relative(differences[name], self._level(name, index)[: len(rows)]))
        return [
            Deviation(size=float(size), difference={n: d[k] for n, d in differences.items()})
            for k, size in enumerate(sizes)
        ]

    def _perturbed(self, index: int, rows: Sequence[Perturbation]) -> State:
        """The values in front of a piece, each row with the deviation that it has brought along."""
        state = dict(self.states[index])
        for name in {name for row in rows for name in row.values}:
            still = self.stack.split(name, state[name])
            array = np.array(still, order="C")
            for k, row in enumerate(rows):
                if name in row.values:
                    np.multiply(
                        row.values[name], np.float32(row.step * row.unit), out=array[k, ...], casting="same_kind"
                    )
                    array[k, ...] += still[k]
            state[name] = self.stack.join(name, array)
        return state

    def _addends(self, index: int, rows: Sequence[Perturbation]) -> State:
        """What is added to the outputs of the layers whose rows start in a piece."""
        addends: State = {}
        for k, row in enumerate(rows):
            if self._home(row) == index:
                name = row.layer.output
                if name not in addends:
                    addends[name] = np.zeros((self.stack.rows, *row.direction.shape), self.pieces.dtypes[name])
                addends[name][k] = row.direction * np.float32(row.step)
        return {name: self.stack.join(name, array) for name, array in addends.items()}

    def _level(self, name: str, index: int) -> np.ndarray:
        """Root mean square of each row of an unperturbed value behind a piece."""
        if (name, index) not in self._levels:
            still = self.stack.split(name, self.states[index + 1][name])
            self._levels[name, index] = root_mean_squares(still)
        return self._levels[name, index]


def _relative(difference: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Root mean square of each row of `difference` over `level`; the former alone where that is zero."""
    moved = root_mean_squares(difference)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(level > 0, moved / level, moved)
    return np.where(np.isfinite(moved), relative, np.inf)
