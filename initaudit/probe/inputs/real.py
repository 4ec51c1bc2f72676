"""Feeds from the user's own data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from initaudit.probe.inputs.data import pieces_of, read_data
from initaudit.probe.inputs.feeds import DEFAULT_BATCH, Feeds, InputOptions, describe
from initaudit.probe.session import run_session

if TYPE_CHECKING:
    import onnxruntime

    from initaudit.probe.inputs.ports import Port


def real_feeds(ports: list[Port], options: InputOptions, session: onnxruntime.InferenceSession) -> Feeds:
    """The arrays of --input-data, after a run on them. Raises UsageError or ProbeError."""
    assert options.data is not None
    in_memory = isinstance(options.data, bytes)
    where = "input-data" if in_memory else str(options.data)
    name = "the given arrays" if in_memory else Path(where).name
    wanted = options.batch or DEFAULT_BATCH
    stored = read_data(options.data, {p.name: p.dtype for p in ports}, where)
    first, *more = pieces_of(stored, {p.name: p.dims for p in ports}, wanted, where)
    leading = {array.shape[0] for array in first.values() if array.ndim}
    rows = next(iter(leading)) if len(leading) == 1 else None
    free = rows is not None and all(p.dims and not (isinstance(p.dims[0], int) and p.dims[0] > 0) for p in ports)
    notes: list[str] = []
    if rows is not None and free and rows > wanted:
        first = {key: array[:wanted] for key, array in first.items()}
        notes.append(f"the first {wanted} of {rows} inputs in {name}")
        rows = wanted
    elif more:
        notes.append(f"the model fixes its batch at {rows}: {1 + len(more)} separate inputs from {name}")
    run_session(session, None, first)
    return Feeds(
        arrays=first,
        batch=rows or 1,
        batch_axes={key: 0 if rows is not None and array.ndim else None for key, array in first.items()},
        descriptions=[describe(key, array, f"from {name}") for key, array in first.items()],
        notes=notes,
        more=tuple(more),
        batch_is_free=free,
    )
