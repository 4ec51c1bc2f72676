"""The probe without its process, for tests of what it measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx import ModelProto

from initaudit.extraction.extract import extract_layers
from initaudit.model.load import load_model
from initaudit.probe.branches import take_branches
from initaudit.probe.flatten import flatten
from initaudit.probe.inputs import InputOptions, make_feeds
from initaudit.probe.measure import measure
from initaudit.probe.plan import ProbeOptions, make_plans
from initaudit.probe.runs import single_runs
from initaudit.probe.signal import Signal

if TYPE_CHECKING:
    import numpy as np

    from initaudit.extraction.layer import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """Layers, signals in their order, and the inputs that were fed, one per entry."""

    layers: Sequence[Layer]
    signals: Sequence[Signal]
    feeds: Sequence[dict[str, np.ndarray]]
    answer: dict


def probed(
    proto: ModelProto,
    *,
    mode: str = "full",
    batch: int | None = None,
    seed: int = 0,
    spectrum: str = "natural",
    factors: bool = False,
) -> Probed:
    """Probe a model given as a message; `factors` adds the scales of norms and the like."""
    model = load_model(proto)
    layers = extract_layers(model).layers
    options = ProbeOptions(mode=mode, batch=batch, seed=seed, input_spectrum=spectrum).to_json()
    flat = ModelProto()
    flat.CopyFrom(proto)
    flat = flatten(flat)
    plan = make_plans(model.graph, layers)[0]
    take_branches(flat, plan.branches)
    feeds = make_feeds(flat, None, InputOptions.from_json(options))
    answer = measure(flat, None, feeds, plan.to_json(), options)
    known = [layer for layer in layers if layer.name in answer["signals"] and (layer.kind.is_drawn or factors)]
    return Probed(
        layers=known,
        signals=[Signal.from_json(answer["signals"][layer.name]) for layer in known],
        feeds=[dict(feed) for feed in single_runs(feeds).feeds],
        answer=answer,
    )
