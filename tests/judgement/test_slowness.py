"""Slowness: against the same network as it is recommended to start."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from initaudit import auditor
from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.errors import ProbeError
from initaudit.judgement import slowness as module
from initaudit.judgement.slowness import Slowness
from initaudit.probe.probe import NO_TIME
from tests.networks import he, mlp, normal, trained_like

if TYPE_CHECKING:
    from onnx import ModelProto

WIDTHS = (64, *(96,) * 3, 10)


def scaled(factor: float) -> Callable[[tuple[int, ...], np.random.Generator], np.ndarray]:
    """He's standard deviation times `factor`; the recommendation for the layer before the outputs is near Xavier's."""
    return lambda shape, rng: (
        factor * (he(shape, rng) if shape[0] > 10 else rng.normal(0, (2 / sum(shape)) ** 0.5, shape))
    )


def slow(proto: object, **options: object) -> Slowness:
    """How a model compares with its recommended start."""
    return audit(proto, Config(**{"context": "fresh", **options})).verdict.slowness


def refused(*_: object, **__: object) -> None:
    raise AssertionError("a second network was probed")


def test_a_network_at_its_recommended_start_costs_no_second_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is its own twin: the factor is exactly 1."""
    monkeypatch.setattr(module, "twin_of", refused)

    found = slow(mlp(WIDTHS, draw=scaled(1.0)))

    assert found == Slowness(factor=1.0, why="every drawn layer starts as recommended")


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_weights_off_their_scale_cost_steps(factor: float) -> None:
    """A third of He's standard deviation, and three times as much."""
    found = slow(mlp(WIDTHS, draw=scaled(factor)))

    assert found.factor is not None
    assert found.factor > 1.5
    assert found.scheme == "he_normal"
    assert "4 layers" in found.why


def test_a_weight_with_several_uses_is_one_layer_that_is_drawn() -> None:
    """As in what `fix` changes: of four layers two share their weights."""
    proto = mlp((32, 32, 32, 32, 10), draw=scaled(0.3))
    first, *others = [node for node in proto.graph.node if node.op_type == "Gemm"][:3]
    for node in others[:1]:
        node.input[1] = first.input[1]

    assert "3 layers" in slow(proto).why


def test_the_further_off_the_slower() -> None:
    """The factor grows from 0.5 to 0.2 of He's standard deviation."""
    factors = [slow(mlp(WIDTHS, draw=scaled(scale))).factor or 0.0 for scale in (0.5, 0.35, 0.2)]

    assert factors == sorted(factors)
    assert factors[-1] > 1.5 * factors[0]


def test_the_model_stays_as_it_is() -> None:
    """The recommended start is drawn into a copy."""
    proto = mlp(WIDTHS, draw=scaled(0.3))
    before = proto.SerializeToString()

    slow(proto)

    assert proto.SerializeToString() == before


@pytest.mark.parametrize(
    ("proto", "options", "why"),
    [
        (mlp(WIDTHS, draw=trained_like), {"context": "trained"}, "the network is trained"),
        (mlp(WIDTHS, draw=scaled(0.3)), {"probe": "none"}, "trainability was not measured"),
        (mlp(WIDTHS, draw=scaled(0.3)), {"probe": "forward"}, "trainability was not measured"),
        (mlp(WIDTHS, draw=lambda shape, rng: np.zeros(shape)), {}, "the network is not expected to learn at all"),
    ],
    ids=["trained", "not probed", "forward only", "zeros"],
)
def test_where_it_is_not_known_the_reason_is_said(proto: object, options: dict[str, str], why: str) -> None:
    """None, never a guess."""
    found = slow(proto, **options)

    assert found.factor is None
    assert found.why.startswith(why)


def test_a_recommended_start_that_cannot_be_probed_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit stands; the factor is missing, with the reason."""

    def fails(*_: object, **__: object) -> None:
        raise ProbeError("took more than 3 s")

    monkeypatch.setattr(module, "twin_of", fails)

    report = audit(mlp(WIDTHS, draw=scaled(0.3)), Config(context="fresh"))

    assert report.verdict.trainability is not None
    assert report.verdict.slowness.factor is None
    assert "took more than 3 s" in report.verdict.slowness.why


def test_a_start_that_would_not_learn_is_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sigmoids in a row each drawn for itself, say, which no steps get off the ground: what does learn is no multiple of that."""
    lost = audit(mlp(WIDTHS, draw=normal(1e-4)), Config(context="fresh")).audit
    assert lost is not None
    monkeypatch.setattr(module, "twin_of", lambda *_, **__: lost.layers)

    found = slow(mlp(WIDTHS, draw=scaled(1.5)))

    assert found.factor is None
    assert found.why == "drawn layer by layer as recommended, the network is not expected to learn"


@pytest.mark.parametrize(
    "proto", [mlp(WIDTHS, draw=scaled(0.3)), mlp([4] * 24 + [4], draw=normal(0.01))], ids=["slow", "lost"]
)
def test_without_time_there_is_no_second_probe_and_the_report_says_so(
    proto: ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit is that of both probes together; whether the recommended start is for the pace or for what is in the way."""
    monkeypatch.setattr(auditor, "time", SimpleNamespace(monotonic=lambda: time.monotonic() - 1e6))

    report = audit(proto, Config(context="fresh"))

    found = report.audit.probe
    assert report.verdict.slowness.factor is None
    assert (found.status, found.interrupted) == ("partial", True)
    assert found.reason == f"the recommended start was not measured: {NO_TIME}"
    assert any(f.code == "INI902" and NO_TIME in f.message for f in report.findings)
