"""Which outputs of a model are the same whatever it is fed."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import ProbeError
from initaudit.probe.session import open_session, run_session, trial_options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnx import ModelProto

    from initaudit.probe.observed import Observed
    from initaudit.probe.runs import Runs

RUNS = 4
"""Inputs that are compared. A judgement: an output that depends on its input without showing it in four of them hardly does."""


def constant_outputs(model: ModelProto, folder: Path | None, runs: Runs, known: Mapping[str, Observed]) -> list[str]:
    """Names of the outputs that are alike to the last bit for several inputs; none where there are no two.

    `known` are values that were looked at in the same runs: the model runs again only for outputs of which they do not tell.
    """
    if len(runs.feeds) < 2:
        return []
    varies = {output.name: _varies(known.get(output.name)) for output in model.graph.output}
    open_ones = [name for name, told in varies.items() if told is None]
    alike = {name for name, told in varies.items() if told is False}.union(_compared(model, folder, runs, open_ones))
    return [name for name in varies if name in alike]


def _varies(value: Observed | None) -> bool | None:
    """Whether it was not the same in each of the first runs; None where the elements that were looked at do not tell."""
    if value is None or value.dtype.kind != "f":
        return None
    if any((sample[1:RUNS] != sample[:1]).any() for sample in value.samples.values()):
        return True
    whole = value.samples.get(None)
    return False if whole is not None and whole.shape[1] == math.prod(value.shape) else None


def _compared(model: ModelProto, folder: Path | None, runs: Runs, names: list[str]) -> list[str]:
    """Those of the outputs that are alike in the first runs; none where the model cannot be run."""
    if not names:
        return []
    first, *others = islice(runs.feeds, RUNS)
    try:
        session = open_session(model, folder, trial_options())
        expected = dict(zip(names, run_session(session, names, first), strict=True))
        for feed in others:
            answers = zip(names, run_session(session, names, feed), strict=True)
            names = [name for name, answer in answers if _alike(expected[name], answer)]
            if not names:
                break
    except ProbeError:
        return []
    return names


def _alike(a: object, b: object) -> bool:
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype.kind == "f" and np.array_equal(a, b)
