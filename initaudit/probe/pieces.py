"""The pieces of a network in a row, and the values that pass between them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.segments import Network, Segment, State


class Pieces:
    """A network cut between its layers; every layer's output can be added to."""

    def __init__(
        self,
        network: Network,
        layers: Sequence[LayerPlan],
        dtypes: Mapping[str, np.dtype[Any]],
        wanted: Iterable[str],
        folder: Path | None,
        threads: int,
    ) -> None:
        """`dtypes` are those of the layers' outputs; `wanted` are further values that the pieces shall be able to bring out."""
        self.network = network
        self.dtypes = dtypes
        self.folder = folder
        self.threads = threads
        values = list(dict.fromkeys(layer.output for layer in layers))
        cuts = network.cuts(values)
        self.carried = [*(cut.carried for cut in cuts), tuple(network.outputs)]
        """Values that must be known behind each piece."""
        self._kept = [frozenset((*names, *network.inputs)) for names in self.carried]
        places = [0, *(cut.position for cut in cuts), len(network.nodes)]
        bounds = list(pairwise(places))
        self.home = {
            value: next(i for i, (start, stop) in enumerate(bounds) if start <= network.position[value] < stop)
            for value in values
        }
        """Layer output -> the piece that makes it."""
        looked_at = frozenset(wanted)
        self.sources: list[tuple[str, ...]] = []
        """Which of `wanted` each piece makes."""
        self.segments: list[Segment] = []
        for index, (start, stop) in enumerate(bounds):
            inject = [v for v in values if self.home[v] == index]
            made = {name for node, _ in network.nodes[start:stop] for name in node.output if name}
            self.sources.append(tuple(sorted(made.intersection(looked_at))))
            exposed = [n for n in self.carried[index] if n in made] + inject + list(self.sources[-1])
            self.segments.append(network.segment(start, stop, inject=inject, expose=list(dict.fromkeys(exposed))))

    def open(self, feed: Mapping[str, np.ndarray]) -> tuple[list[State], State]:
        """Make the sessions, with value types as one run on `feed` shows them; what `march_with_sources` gives."""

        def advance(index: int, state: State) -> State:
            self.segments[index].open(state, self.dtypes, self.folder, self.threads)
            return self.advance(index, state, {}, also=self.sources[index])

        return self._march(feed, advance)

    def march(self, feed: Mapping[str, np.ndarray]) -> list[State]:
        """Values in front of each piece, and behind the last."""
        states: list[State] = [dict(feed)]
        for index in range(len(self.segments)):
            states.append(self.advance(index, states[-1], {}))
        return states

    def march_with_sources(self, feed: Mapping[str, np.ndarray]) -> tuple[list[State], State]:
        """The same, and the values that were wanted besides."""
        return self._march(feed, lambda index, state: self.advance(index, state, {}, also=self.sources[index]))

    def _march(
        self, feed: Mapping[str, np.ndarray], advance: Callable[[int, State], State]
    ) -> tuple[list[State], State]:
        states: list[State] = [dict(feed)]
        sources: State = dict(feed)
        for index in range(len(self.segments)):
            state = advance(index, states[-1])
            sources |= state
            states.append({n: a for n, a in state.items() if n in self._kept[index]})
        return states, sources

    def advance(self, index: int, state: State, addends: Mapping[str, np.ndarray], also: Sequence[str] = ()) -> State:
        """Values behind a piece for those in front of it, and the values `also` made on its way.

        Inputs of the model stay known. Raises ProbeError.
        """
        segment = self.segments[index]
        made = list(dict.fromkeys([*(n for n in self.carried[index] if n in segment.made), *also]))
        out = segment.run(state, addends, made)
        if not all(isinstance(array, np.ndarray) for array in out.values()):
            raise ProbeError("the network passes sequences or optional values between its layers")
        kept = {n: a for n, a in state.items() if n in self._kept[index]}
        return {**kept, **out}

    def carried_bytes(self, states: Sequence[State]) -> int:
        """Bytes of the largest cut."""
        return max(
            sum(state[n].nbytes for n in names if n in state)
            for names, state in zip(self.carried, states[1:], strict=True)
        )
