"""The twin: the network as it would be with its weights drawn as recommended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from initaudit.errors import ProbeError
from initaudit.extraction.extract import extract_layers
from initaudit.measuring.measure import measure
from initaudit.model.load import load_model
from initaudit.probe.plan import ProbeOptions
from initaudit.redrawing import twin as module
from initaudit.redrawing.twin import to_redraw, twin_of
from tests.networks import he, mlp, normal


def weighed(source: object) -> tuple:
    """A model, and its layers without signals."""
    found = load_model(source)
    return found, measure(extract_layers(found).layers)[0]


def names(layers: tuple, *, centre: bool = False) -> list[str]:
    return [choice.audit.layer.name for choice in to_redraw(layers, centre=centre)]


def test_only_what_is_off_its_target_is_drawn_anew() -> None:
    """A layer three times too large, and one with a random bias."""
    _, layers = weighed(
        mlp(
            (64, 64, 64, 64, 64),
            change={
                "fc1.weight": lambda w: 3 * w,
                "fc2.bias": lambda b: b + np.linspace(-1, 1, len(b)),
                "fc3.weight": lambda w: w / 2**0.5,
            },
        )
    )

    assert names(layers) == ["/fc1/Gemm", "/fc2/Gemm"]


def test_a_head_of_zeros_is_deliberate() -> None:
    """The answers then start at zero, and the head learns first."""
    _, layers = weighed(mlp((64, 64, 64), change={"fc1.weight": np.zeros_like}))

    assert names(layers) == []


def test_behind_activations_that_are_mostly_mean_weights_are_centred_where_asked_for() -> None:
    """Xavier before sigmoid is at its target; centred weights are what helps where it does not learn."""
    _, layers = weighed(mlp((64, 64, 64, 64), "Sigmoid", lambda shape, rng: rng.normal(0, 0.125, shape)))

    assert names(layers) == []
    assert names(layers, centre=True) == ["/fc1/Gemm", "/fc2/Gemm"]


@pytest.mark.parametrize("stored", ["in memory", "in a file", "outside"])
def test_the_twin_has_the_recommended_scale_and_its_own_signal(stored: str, tmp_path: Path) -> None:
    """Wherever the weights are stored: each layer is within sampling error of its target, and the signal keeps its size."""
    proto = mlp((64, 96, 96, 96), draw=normal(0.01))
    source: object = proto
    if stored != "in memory":
        source = tmp_path / "m.onnx"
        onnx.save(proto, source, save_as_external_data=stored == "outside", location="m.data", size_threshold=0)
    found, layers = weighed(source)

    twin = twin_of(found, to_redraw(layers, centre=False), ProbeOptions())

    assert [audit.ratio for audit in twin] == pytest.approx([1.0] * 3, abs=0.05)
    assert all(audit.signal.weight_gradient > 0 for audit in twin)
    assert 0.2 < twin[-1].signal.mean_square < 5
    assert layers[0].ratio < 0.1


def test_large_networks_have_no_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be held in memory several times."""
    monkeypatch.setattr(module, "MOST_PARAMETERS", 1000)
    found, layers = weighed(mlp((64, 64, 64), draw=normal(0.01)))

    with pytest.raises(ProbeError, match="more than 1,000 weights"):
        twin_of(found, to_redraw(layers, centre=False), ProbeOptions())


def test_computed_weights_cannot_be_drawn() -> None:
    """Half of the weights are stored twice as large as they are used: nothing says how to store others."""
    proto = mlp((64, 64), draw=he)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.01), "small"))
    proto.graph.node.insert(0, onnx.helper.make_node("Mul", ["fc0.weight", "small"], ["w"]))
    proto.graph.node[1].input[1] = "w"
    found, layers = weighed(proto)

    with pytest.raises(ProbeError, match="computed"):
        twin_of(found, to_redraw(layers, centre=False), ProbeOptions())
