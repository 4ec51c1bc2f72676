"""Which outputs of a model are the same whatever it is fed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import ProbeError
from initaudit.probe.session import open_session, run_session, trial_options

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

    from initaudit.probe.runs import Runs

RUNS = 4
"""Inputs that are compared. A judgement: an output that depends on its input without showing it in four of them hardly does."""


def constant_outputs(model: ModelProto, folder: Path | None, runs: Runs) -> list[str]:
    """Names of the outputs that are alike to the last bit for several inputs; none where the model cannot be run on two."""
    names = [output.name for output in model.graph.output]
    try:
        session = open_session(model, folder, trial_options())
        answers = [run_session(session, names, feed) for feed in islice(runs.feeds, RUNS)]
    except ProbeError:
        return []
    if len(answers) < 2:
        return []
    first, *others = answers
    return [name for i, name in enumerate(names) if all(_alike(first[i], other[i]) for other in others)]


def _alike(a: object, b: object) -> bool:
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype.kind == "f" and np.array_equal(a, b)
