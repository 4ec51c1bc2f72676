"""make_feeds(): from a model to the inputs of its probe."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import ProbeError
from initaudit.model.build import build_graph
from initaudit.model.tensors import MOST_AXES
from initaudit.probe.cost import run_cost
from initaudit.probe.inputs.dimensions import Layout, layout_of
from initaudit.probe.inputs.evident import estimated_bytes, evident_bytes
from initaudit.probe.inputs.feeds import DEFAULT_BATCH, Feeds, InputOptions, describe
from initaudit.probe.inputs.follow import facts_of
from initaudit.probe.inputs.ports import Port, check_shapes, ports_of
from initaudit.probe.inputs.real import real_feeds
from initaudit.probe.inputs.scale import within
from initaudit.probe.inputs.search import read_hint, search
from initaudit.probe.inputs.states import mark_states
from initaudit.probe.inputs.values import UNKNOWN, Drawn, Setting, draw
from initaudit.probe.session import open_session, run_session, trial_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnxruntime
    from onnx import ModelProto

    from initaudit.probe.inputs.facts import Facts
    from initaudit.probe.shapes import Shape

TRIAL_BATCH = 3
"""Batch size of trial runs: small, and a size that no model has built in by accident."""
MIN_BATCH = 2
"""Without two samples there is no variance over inputs."""
MAX_DRAWS = DEFAULT_BATCH
"""Runs of a model with a fixed batch of one: as many inputs as are fed at once where the batch is free."""
FEED_SHARE = 8
"""Inputs may take one part in this many of the memory limit; the network needs the rest. A judgement."""
ACTIVATION_SHARE = 2
"""One run of the whole batch may take one part in this many of the memory limit, going by the shapes of its values: taps and a
second session come on top."""
SPANS = ((-1.0, 1.0), (0.0, 1.0))
"""Ranges to which images and sound are scaled; tried where a network rounds its input to ids and these leave their table."""
BOUND_CORRECTIONS = 4
"""Times that ids are redrawn from a smaller range after the runtime refused them. A judgement: one for each table that an input
indexes."""


def make_feeds(model: ModelProto, folder: Path | None, options: InputOptions) -> Feeds:
    """Inputs that `model` accepts, found by inspection and confirmed by a trial run.

    Args:
        model: without calls of model-local functions.
        folder: where external data lies.
        options: what the user demands.

    Raises:
        ProbeError: with the reason, where no inputs can be made.
        UsageError: where --input-shape or --input-data does not fit the model.
    """
    ports = ports_of(model, options.shapes)
    check_shapes(options.shapes, ports)
    if (deep := next((port for port in ports if len(port.dims) > MOST_AXES), None)) is not None:
        raise ProbeError(
            f"input {deep.name!r} has {len(deep.dims)} axes, more than the {MOST_AXES} of an array of numpy"
        )
    session = open_session(model, folder, trial_options())
    if options.data is not None:
        return real_feeds(ports, options, session)
    graph = build_graph(model, folder)
    facts = {port.name: facts_of(graph.values[port.name], len(port.dims)) for port in ports}
    _refuse_weights(facts)
    mark_states(graph, facts)
    for name, (low, high) in options.ranges.items():
        facts[name].scale = within(low, high, "as the first layers show")
    batch = options.batch or DEFAULT_BATCH
    layout = layout_of(
        {port.name: port.dims for port in ports},
        facts,
        {port.name: port.dtype.kind in "iu" for port in ports},
        min(batch, TRIAL_BATCH),
        options.shapes,
    )
    maker = _Maker(model, ports, facts, layout, options, session)
    sizes, trials = search(layout, maker.attempt, lambda sizes: run_cost(model, layout.shapes(sizes)))
    return maker.feeds(sizes, trials, batch)


class _Maker:
    """Turns sizes into arrays and remembers what trial runs taught."""

    def __init__(
        self,
        model: ModelProto,
        ports: list[Port],
        facts: Mapping[str, Facts],
        layout: Layout,
        options: InputOptions,
        session: onnxruntime.InferenceSession,
    ) -> None:
        self.model = model
        self.ports = ports
        self.known = facts
        self.facts = dict(facts)
        self.layout = layout
        self.options = options
        self.session = session
        self.inverted: frozenset[str] = frozenset()
        self.counts: frozenset[str] = frozenset()

    def attempt(self, sizes: Mapping[str, int]) -> None:
        """Run once, unless that can tell nothing new. Raises ProbeError. Ids out of range are corrected on the way."""
        self.facts = dict(self.known)
        if self._is_evident(sizes):
            return
        for _ in range(BOUND_CORRECTIONS):
            arrays, how = self.arrays(sizes, 0)
            try:
                outputs = run_session(self.session, None, arrays)
            except ProbeError as error:
                bound = read_hint(str(error)).bound
                if bound is not None and (self._lower_bounds(bound, arrays) or self._narrow()):
                    continue
                if self.counts or not (unknown := frozenset(n for n, phrase in how.items() if phrase == UNKNOWN)):
                    self.counts = frozenset()
                    raise
                self.counts = unknown
                continue
            self._settle_flags(sizes, outputs)
            return
        raise ProbeError("the range of the ids was not found")

    def _is_evident(self, sizes: Mapping[str, int]) -> bool:
        """Whether the graph alone tells that it runs, the whole batch within the memory that it may have."""
        needed = evident_bytes(self.model, self.ports, self.layout, sizes)
        if needed is None:
            return False
        growth = (self.options.batch or DEFAULT_BATCH) if self.layout.dimensions else 1
        return needed * growth <= self.options.max_memory // ACTIVATION_SHARE

    def _lower_bounds(self, bound: int, arrays: Mapping[str, np.ndarray]) -> bool:
        """Draw ids below `bound` from now on; False where no input of unknown range reaches it."""
        changed = False
        for port in self.ports:
            values = arrays[port.name]
            known = self.known[port.name].bound is not None
            if port.dtype.kind in "iu" and not known and values.size and values.max() >= bound:
                self.facts[port.name] = replace(self.facts[port.name], bound=bound)
                changed = True
        return changed

    def _narrow(self) -> bool:
        """Draw floating-point inputs from the next of SPANS from now on; False where all were tried, or there are none."""
        changed = False
        for port in self.ports:
            facts = self.facts[port.name]
            spans = SPANS[SPANS.index(facts.span) + 1 :] if facts.span else SPANS
            if port.dtype.kind in "fV" and spans:
                self.facts[port.name] = replace(facts, span=spans[0])
                changed = True
        return changed

    def _settle_flags(self, sizes: Mapping[str, int], outputs: list[Any]) -> None:
        """Invert boolean inputs where that makes non-finite outputs finite: in half of the conventions True masks."""
        flags = frozenset(port.name for port in self.ports if port.dtype == np.bool_)
        if not flags or self.inverted or _finite(outputs):
            return
        self.inverted = flags
        try:
            better = _finite(run_session(self.session, None, self.arrays(sizes, 0)[0]))
        except ProbeError:
            better = False
        if not better:
            self.inverted = frozenset()

    def arrays(self, sizes: Mapping[str, int], number: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Draw `number` of the arrays for these sizes, and how each was made. Some input differs between samples, if one can."""
        shapes = self.layout.shapes(sizes)
        setting = self._setting(sizes, shapes)
        drawn = self._drawn(shapes, setting, number)
        for kinds in ("fcV", "iub"):
            candidates = frozenset(p.name for p in self.ports if p.dtype.kind in kinds and drawn[p.name].values.size)
            if candidates and all(d.fixed for d in drawn.values()):
                drawn = self._drawn(shapes, replace(setting, varied=candidates), number)
        return {name: d.values for name, d in drawn.items()}, {name: d.how for name, d in drawn.items()}

    def _drawn(self, shapes: Mapping[str, Shape], setting: Setting, number: int) -> dict[str, Drawn]:
        return {
            port.name: draw(
                port.name,
                port.dtype,
                shapes[port.name],
                facts=self.facts[port.name],
                setting=setting,
                rng=np.random.default_rng([self.options.seed, number, zlib.crc32(port.name.encode())]),
            )
            for port in self.ports
        }

    def _setting(self, sizes: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> Setting:
        def size(kind: str, default: int) -> int:
            return next((sizes[k] for k, d in self.layout.dimensions.items() if d.kind == kind), default)

        declared = next((shapes[p.name][1] for p in self.ports if p.dtype.kind in "iu" and len(p.dims) == 2), 1)
        recurrent = next(
            (shapes[n][a] for n, f in self.facts.items() for a, k in f.kinds.items() if k == "time"), declared
        )
        image = next((shapes[p.name][2:4] for p in self.ports if len(p.dims) == 4 and p.dtype.kind in "fiu"), None)
        return Setting(
            time=size("time", recurrent),
            past=size("past", 0),
            image=(image[0], image[1]) if image else None,
            inverted=self.inverted,
            counts=self.counts,
            natural=self.options.spectrum == "natural",
        )

    def feeds(self, sizes: Mapping[str, int], trials: int, wanted: int) -> Feeds:
        """The final inputs: the batch enlarged where it is free, further draws where it is fixed."""
        trial_batch = min(wanted, TRIAL_BATCH)
        free = [k for k, d in self.layout.dimensions.items() if d.kind == "batch" and sizes[k] == trial_batch]
        axes = self.layout.batch_axes(self.facts)
        shapes = self.layout.shapes(sizes)
        axes = axes if len(_counts(shapes, axes)) == 1 else dict.fromkeys(axes, None)
        rows = next(iter(_counts(shapes, axes)), 1)
        notes: list[str] = []
        if free:
            affordable = self._affordable(shapes, rows)
            if self.options.batch is None and affordable < wanted:
                notes.append(f"batch lowered from {wanted} to {affordable} to stay within the memory limit")
                wanted = affordable
            rows = wanted
        arrays, how = self.arrays({**sizes, **dict.fromkeys(free, wanted)}, 0)
        draws = 1
        if not free and self.ports:
            size = sum(array.nbytes for array in arrays.values())
            draws = min(
                MAX_DRAWS, math.ceil(wanted / rows), max(1, self.options.max_memory // FEED_SHARE // max(1, size))
            )
        if trials > 1:
            chosen = ", ".join(f"{k} = {v}" for k, v in sizes.items() if k not in free)
            notes.append(f"sizes found by trial ({trials} runs): {chosen or 'batch'}")
        if draws > 1:
            notes.append(f"the model fixes its batch at {rows}: {draws} separate inputs")
        return Feeds(
            arrays=arrays,
            batch=rows,
            batch_axes=axes,
            descriptions=[describe(name, array, how[name]) for name, array in arrays.items()],
            notes=notes,
            more=tuple(self.arrays(sizes, number)[0] for number in range(1, draws)),
            batch_is_free=bool(free),
        )

    def _affordable(self, shapes: Mapping[str, Shape], rows: int) -> int:
        """Samples that one run and the feeds may have."""
        fed = sum(math.prod(shapes[port.name]) * port.dtype.itemsize for port in self.ports) // rows
        limit = self.options.max_memory
        held = estimated_bytes(self.model, shapes) // rows
        return max(MIN_BATCH, min(limit // FEED_SHARE // max(1, fed), limit // ACTIVATION_SHARE // max(1, held)))


def _refuse_weights(facts: Mapping[str, Facts]) -> None:
    weights = [name for name, found in facts.items() if "weight" in found.roles]
    if weights:
        shown = ", ".join(weights[:4]) + (f" and {len(weights) - 4} more" if len(weights) > 4 else "")
        raise ProbeError(
            f"weights are graph inputs without values ({shown}): nothing can be measured without them; "
            "give them with --input-data"
        )


def _counts(shapes: Mapping[str, Shape], axes: Mapping[str, int | None]) -> set[int]:
    """Sizes of the batch axes: one, where they agree."""
    return {shapes[name][axis] for name, axis in axes.items() if axis is not None}


def _finite(outputs: list[Any]) -> bool:
    return all(np.isfinite(o).all() for o in outputs if isinstance(o, np.ndarray) and o.dtype.kind == "f")
