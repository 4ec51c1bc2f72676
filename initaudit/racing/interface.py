"""Interface: what the network takes and what it answers, as a trial run shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit.errors import NotTrainable, ProbeError, UsageError, similar
from initaudit.probe.inputs.feeds import InputOptions
from initaudit.probe.inputs.make import make_feeds
from initaudit.probe.session import open_session, run_session, trial_options
from initaudit.racing.rewriting import flattened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initaudit.config import Config
    from initaudit.model.load import Model

FEW = 2
"""Examples that a trial run is fed beside the whole batch, to see which axis of the answer counts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Inputs and answer of a network."""

    inputs: Mapping[str, np.ndarray]
    """Synthetic ones that it takes, examples along axis 0; as they are where the input is the same for all."""
    axes: Mapping[str, int | None]
    """Input -> the axis that counts examples in the model; None where it is the same for all."""
    fixed: int | None
    """Examples in a batch, where the model fixes them."""
    answer: str
    """The output that is trained."""
    others: tuple[str, ...] = ()
    """The outputs that are not."""
    shape: tuple[int, ...]
    """Of the answer to one example."""
    axis: int
    """Of the answer, that counts examples."""

    @property
    def examples(self) -> int:
        """How many the inputs are."""
        return next(len(array) for name, array in self.inputs.items() if self.axes[name] is not None)


def interface_of(model: Model, config: Config, *, examples: int, output: str | None = None) -> Interface:
    """Try the network; arguments and errors as for `_interface`, with the name of the model in front of every message."""
    try:
        return _interface(model, config, examples, output)
    except ProbeError as error:
        raise ProbeError(f"{model.label}: {error}") from error


def _interface(model: Model, config: Config, examples: int, output: str | None) -> Interface:
    """What the network takes and answers.

    Args:
        model: as loaded.
        config: shapes, seed and limits of the inputs.
        examples: that are made.
        output: the one that is trained; None for the first of real numbers.

    Raises:
        UsageError: there is no such output.
        NotTrainable: no axis counts examples, or no output holds real numbers.
        ProbeError: no inputs can be made.
    """
    proto = flattened(model)
    outputs = [info.name for info in proto.graph.output]
    if output is not None and output not in outputs:
        raise UsageError(
            f"{model.label}: no output is called {output!r}{similar(output, outputs)}; there are {', '.join(outputs)}"
        )
    feeds = make_feeds(
        proto,
        model.folder,
        InputOptions(
            batch=examples,
            seed=config.seed,
            max_memory=config.max_memory,
            shapes=dict(config.input_shapes),
            spectrum=config.input_spectrum,
        ),
    )
    axes = feeds.batch_axes
    if all(axis is None for axis in axes.values()):
        raise NotTrainable(f"{model.label}: no axis of its inputs counts examples")
    session = open_session(proto, model.folder, trial_options())
    whole = run_session(session, None, feeds.arrays)
    few = [None] * len(whole)
    if feeds.batch_is_free and feeds.batch > FEW:
        part = {n: a if axes[n] is None else np.take(a, range(FEW), axes[n]) for n, a in feeds.arrays.items()}
        few = run_session(session, None, part)
    for name, array, smaller in zip(outputs, whole, few, strict=True):
        real = _is_real(array)
        if not (real if output is None else name == output):
            continue
        if not real:
            raise NotTrainable(f"{model.label}: {_no_numbers(name, array)}{_reals(outputs, whole)}")
        axis = _counting(array, smaller, feeds.batch)
        if axis is None:
            raise NotTrainable(f"{model.label}: no axis of the output {name!r} counts examples")
        together = {
            n: [run[n] if axes[n] is None else np.moveaxis(run[n], axes[n] or 0, 0) for run in feeds.runs()]
            for n in axes
        }
        return Interface(
            inputs={n: arrays[0] if axes[n] is None else np.concatenate(arrays) for n, arrays in together.items()},
            axes=axes,
            fixed=None if feeds.batch_is_free else feeds.batch,
            answer=name,
            others=tuple(other for other in outputs if other != name),
            shape=tuple(size for place, size in enumerate(array.shape) if place != axis),
            axis=axis,
        )
    raise NotTrainable(f"{model.label}: none of its outputs holds real numbers")


def _is_real(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind not in "biuOSU"


def _no_numbers(name: str, array: Any) -> str:
    """What an output holds that cannot be trained."""
    kind = array.dtype.kind if isinstance(array, np.ndarray) else ""
    held = {"i": "integers", "u": "integers", "b": "truth values"}
    return f"the output {name!r} holds {held.get(kind, 'no real numbers')}, through which no gradient comes back"


def _reals(outputs: Sequence[str], arrays: Sequence[Any]) -> str:
    """Which of the outputs can be trained."""
    reals = [name for name, array in zip(outputs, arrays, strict=True) if _is_real(array)]
    return f"; --target-output {' or '.join(reals)}" if reals else ""


def _counting(array: np.ndarray, smaller: np.ndarray | None, batch: int) -> int | None:
    """The axis that grows with the batch, or the first that is as long."""
    for axis, size in enumerate(array.shape):
        grows = smaller is None or (smaller.ndim == array.ndim and smaller.shape[axis] == FEW)
        if size == batch and grows:
            return axis
    return None
