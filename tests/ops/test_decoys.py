"""Constants that operators multiply by and nobody learned; and learned ones that only look odd."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from initaudit.ops import decoys
from tests.extracting import extract, only_layer
from tests.networks import model

rng = np.random.default_rng(11)


def sinusoids(rows: int, width: int, *, interleaved: bool) -> np.ndarray:
    angles = np.arange(rows)[:, None] / 10000 ** (np.arange(width // 2)[None, :] * 2 / width)
    pair = [np.sin(angles), np.cos(angles)]
    return (np.stack(pair, -1).reshape(rows, width) if interleaved else np.concatenate(pair, 1)).astype(np.float32)


def fourier_basis(taps: int) -> np.ndarray:
    angles = 2 * np.pi * np.arange(taps // 2 + 1)[:, None] * np.arange(taps)[None, :] / taps
    return np.concatenate([np.cos(angles), -np.sin(angles)]).astype(np.float32) * np.hanning(taps).astype(np.float32)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_sinusoidal_tables_are_recognised(interleaved, dtype):
    """Positions of the original transformer and tables of rotary embeddings, in any column order, in half precision too."""
    assert decoys.is_sinusoidal(sinusoids(64, 32, interleaved=interleaved).astype(dtype))


@pytest.mark.parametrize("draw", [lambda s: rng.normal(0, 0.02, s), lambda s: rng.uniform(-1, 1, s), np.zeros, np.ones])
def test_learned_tables_are_no_sinusoids(draw):
    """Small, bounded and constant tables are none."""
    assert not decoys.is_sinusoidal(np.asarray(draw((64, 32)), np.float32))


def test_a_fourier_basis_is_recognised_and_random_filters_are_not():
    """All energy of each row at one frequency."""
    assert decoys.is_fourier_basis(fourier_basis(256))
    assert not decoys.is_fourier_basis(rng.normal(size=(258, 256)))


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.array([[0, 1, 0], [0, 1, 0], [1, 0, 0]]), True),
        (np.eye(4), False),
        (np.zeros((4, 4)), False),
        (np.ones((4, 4)), False),
        (np.sign(rng.normal(size=(8, 8))), False),
    ],
)
def test_selections_are_zeros_and_ones_but_no_initialisation(matrix, expected):
    """Identity, zeros and ones are what people initialise with; signs without zeros are binarised weights."""
    assert decoys.is_selection(matrix.astype(np.float32)) is expected


def test_a_dirac_kernel_is_no_selection():
    """torch.nn.init.dirac_ makes a convolution the identity."""
    kernel = np.zeros((4, 4, 3, 3), np.float32)
    kernel[range(4), range(4), 1, 1] = 1

    assert not decoys.is_selection(kernel)


def test_the_adjacency_matrix_of_a_graph_is_recognised():
    """Symmetric, non-negative, sparse; a symmetric random weight is none."""
    edges = np.triu(rng.uniform(size=(12, 12)) < 0.2, 1)
    adjacency = (edges | edges.T).astype(np.float64) + np.eye(12)
    degree = adjacency.sum(1) ** -0.5
    weight = rng.normal(size=(12, 12))

    assert decoys.is_adjacency((degree[:, None] * adjacency * degree).astype(np.float32))
    assert not decoys.is_adjacency(weight + weight.T)


def test_random_features_are_marked_untrainable():
    """A product whose output goes into both sine and cosine is a fixed projection; into sine alone it is a layer (SIREN)."""

    def features(*functions: str):
        nodes = [helper.make_node("MatMul", ["x", "w"], ["p"], "projection")]
        nodes += [helper.make_node(f, ["p"], [f"y{i}"]) for i, f in enumerate(functions)]
        outputs = [f"y{i}" for i in range(len(functions))]
        return model(nodes, {"x": ["N", 3]}, outputs, {"w": rng.normal(size=(3, 16)).astype(np.float32)})

    assert only_layer(features("Sin", "Cos")).untrainable is not None
    assert only_layer(features("Sin")).untrainable is None


def test_a_predicted_phase_is_learned():
    """A vocoder's last layer goes into sine and cosine, behind other layers."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "body"),
        helper.make_node("MatMul", ["h", "v"], ["p"], "phase"),
        helper.make_node("Sin", ["p"], ["y0"]),
        helper.make_node("Cos", ["p"], ["y1"]),
    ]
    tensors = {n: rng.normal(size=(4, 4)).astype(np.float32) for n in "wv"}

    layers = extract(model(nodes, {"x": ["N", 4]}, ["y0", "y1"], tensors)).layers

    assert [layer.untrainable for layer in layers] == [None, None]


def test_a_sinusoidal_position_table_is_listed_as_untrainable():
    """It is looked up like an embedding, and nobody learns it."""
    proto = model(
        [helper.make_node("Gather", ["table", "ids"], ["y"], "positions")],
        {},
        ["y"],
        {"table": sinusoids(64, 32, interleaved=True)},
    )
    proto.graph.input.append(helper.make_tensor_value_info("ids", TensorProto.INT64, ["N"]))

    layer = only_layer(proto)

    assert layer.untrainable is not None
    assert "sines" in layer.untrainable


def test_rotary_tables_and_causal_masks_are_no_parameters():
    """What is multiplied by cosines and added as a mask is listed with the reason and not counted."""
    cosines = np.cos(np.arange(8)[:, None] / 100 ** (np.arange(4)[None] / 4)).astype(np.float32)
    mask = np.triu(np.full((8, 8), -np.inf, np.float32), 1)
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Mul", ["r", "cosines"], ["m"]),
        helper.make_node("Relu", ["s"], ["t"]),
        helper.make_node("Add", ["t", "mask"], ["y2"]),
        helper.make_node("Relu", ["m"], ["y"]),
    ]
    tensors = {"cosines": cosines, "mask": mask}

    extraction = extract(model(nodes, {"x": ["N", 8, 4], "s": ["N", 8, 8]}, ["y", "y2"], tensors))

    assert extraction.layers == ()
    assert extraction.parameters == 0
    assert {s.initializer: s.reason for s in extraction.skipped} == {
        "cosines": "table of sines and cosines",
        "mask": "mask of zeros and minus infinity",
    }


def test_a_detection_heads_anchors_are_no_parameters():
    """Thousands of boxes that scale the outputs of a head are a table."""
    nodes = [helper.make_node("Sigmoid", ["x"], ["s"]), helper.make_node("Mul", ["s", "boxes"], ["y"])]
    boxes = rng.uniform(size=(1, 500, 2)).astype(np.float32)

    extraction = extract(model(nodes, {"x": ["N", 500, 2]}, ["y"], {"boxes": boxes}))

    assert extraction.parameters == 0
    assert "anchors" in extraction.skipped[0].reason


def test_slopes_of_alibi_are_no_parameters():
    """A geometric progression multiplies positions."""
    slopes = (2.0 ** -np.arange(1, 9)).astype(np.float32).reshape(8, 1)
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Mul", ["r", "slopes"], ["y"])]

    extraction = extract(model(nodes, {"x": ["N", 8, 5]}, ["y"], {"slopes": slopes}))

    assert extraction.layers == ()
    assert "geometric" in extraction.skipped[0].reason
