"""Every scheme draws in every kind of layer what its closed form says, and the audit recognises it as just drawn."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from initaudit.errors import FixRefused
from initaudit.extraction.extract import extract_layers
from initaudit.initialisation.spelling import scheme_of
from initaudit.initialisation.targets import target_for
from initaudit.measuring.measure import facts_of
from initaudit.model.load import load_model
from initaudit.redrawing.draw import values_of
from initaudit.stats.provenance import recognise
from initaudit.stats.weigh import weigh
from tests.networks import model

if TYPE_CHECKING:
    from initaudit.extraction.layer import Layer

NAMED = [
    *(f"{name}_{law}" for name in ("xavier", "he", "lecun") for law in ("uniform", "normal", "truncated_normal")),
    *(f"he_{law}:fan_out" for law in ("uniform", "normal", "truncated_normal")),
    "variance_scaling:2,fan_in,normal",
    "variance_scaling:1,fan_avg,truncated_normal",
    "kaiming_normal:fan_in,0.2",
    "torch_default",
    "normal:1",
    "normal:0.02",
    "truncated_normal:0.02",
    "uniform:0.08",
    "gpt2_residual:12",
]
"""Laws of known scale."""
OWN = ["normal:0.3", "uniform:0.37", "variance_scaling:1.7,fan_avg,uniform"]
"""Laws of a scale that nobody else uses."""


def all_kinds() -> ModelProto:
    """A layer of every kind."""
    shapes = {
        "conv": (32, 16, 3, 3), "grouped": (64, 8, 3, 3), "depthwise": (128, 1, 3, 3), "transposed": (128, 16, 3, 3),
        "table": (100, 48), "dense": (48, 96), "gru.W": (1, 192, 96), "gru.R": (1, 192, 64),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "conv"], ["a"], "conv"),
        node("Conv", ["a", "grouped"], ["b"], "grouped", group=4),
        node("Conv", ["b", "depthwise"], ["c"], "depthwise", group=64),
        node("ConvTranspose", ["c", "transposed"], ["d"], "transposed", strides=[2, 2]),
        node("Gather", ["table", "ids"], ["e"], "table"),
        node("MatMul", ["e", "dense"], ["f"], "dense"),
        node("GRU", ["f", "gru.W", "gru.R"], ["g"], "gru", hidden_size=64),
    ]
    ones = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    proto = model(nodes, {"image": ["N", 16, 8, 8], "ids": ["T", "N"]}, ["d", "g"], ones)
    proto.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    return proto


@cache
def layers() -> dict[str, Layer]:
    return {layer.name: layer for layer in extract_layers(load_model(all_kinds())).layers}


KINDS = ["conv", "grouped", "depthwise", "transposed", "table", "dense", "gru[W gate:reset]", "gru[R gate:hidden]"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [*NAMED, *OWN])
def test_what_is_drawn_has_its_law_and_is_known_for_it(text: str, kind: str) -> None:
    """The std within five standard errors, nothing beyond the bound, and provenance: untrained, of this distribution and scale."""
    layer, scheme = layers()[kind], scheme_of(text)
    std, bound = scheme.std(layer.fan_in, layer.fan_out), scheme.bound(layer.fan_in, layer.fan_out)

    drawn = values_of(scheme, layer, seed=3).astype(np.float32)
    view = layer.weight
    stats = weigh(drawn, unit_axes=view.unit_axes, input_axes=view.input_axes, groups=layer.groups)
    found = recognise(stats, facts_of(layer, target_for(layer)))

    assert drawn.std() == pytest.approx(std, rel=5 / np.sqrt(2 * drawn.size))
    assert np.abs(drawn).max() <= bound * (1 + 1e-6)
    assert found.untrained is True, found.why
    assert found.distribution == scheme.distribution
    assert text not in NAMED or found.std == pytest.approx(std, rel=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_an_orthogonal_draw_has_singular_values_of_its_gain(kind: str) -> None:
    """Of the matrix of units by inputs, and provenance knows it."""
    layer = layers()[kind]

    drawn = values_of(scheme_of("orthogonal:1.5"), layer, seed=0)
    view = layer.weight
    matrix = drawn.transpose(*view.unit_axes, *view.input_axes).reshape(
        np.prod([view.shape[a] for a in view.unit_axes]), -1
    )
    stats = weigh(drawn.astype(np.float32), unit_axes=view.unit_axes, input_axes=view.input_axes, groups=layer.groups)
    found = recognise(stats, facts_of(layer, target_for(layer)))

    assert np.linalg.svd(matrix, compute_uv=False) == pytest.approx(1.5)
    assert (found.law, found.untrained) == ("orthogonal", True)
    assert found.std == pytest.approx(drawn.std(), rel=0.01)


def test_a_draw_depends_on_the_seed_the_layer_and_nothing_else() -> None:
    """What the layer holds does not matter, so that any scheme can be tried without a file."""
    scheme, layer = scheme_of("he_normal"), layers()["dense"]

    one, again, other = (values_of(scheme, layer, seed) for seed in (1, 1, 2))

    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert values_of(scheme, layer, 1, gain=3.0) == pytest.approx(3.0 * one)
    assert (values_of(scheme_of("constant:-0.1"), layer, 0) == -0.1).all()


def test_a_layer_without_fans_takes_what_needs_none() -> None:
    """The scale of a norm can be ones, and cannot be He's."""
    tensors = {"scale": np.full(8, 3.0, np.float32)}
    proto = model(
        [helper.make_node("LayerNormalization", ["x", "scale"], ["y"], "norm")], {"x": ["N", 8]}, ["y"], tensors
    )
    layer = extract_layers(load_model(proto)).layers[0]

    assert (values_of(scheme_of("ones"), layer, 0) == 1).all()
    with pytest.raises(FixRefused, match="no fans"):
        values_of(scheme_of("he_normal"), layer, 0)
