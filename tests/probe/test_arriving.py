"""The vectors that arrive at a layer are those that its weights are multiplied with."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from initaudit.probe.arriving import Kernel, arriving, rows_in
from tests.networks import model

EVERY = 10**6
"""More vectors than there are."""


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 1], "pads": [1, 0, 2, 1]},
        {"dilations": [2, 2], "pads": [2, 2, 2, 2]},
        {"strides": [2, 1], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 1], "auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID"},
        {"group": 2, "pads": [1, 1, 1, 1]},
    ],
    ids=str,
)
def test_patches_times_the_kernel_are_the_convolution(attributes: dict[str, object]):
    """Whatever strides, paddings, dilations and groups: as onnxruntime computes it."""
    groups = attributes.get("group", 1)
    rng = np.random.default_rng(0)
    image = rng.standard_normal((3, 4, 7, 8)).astype(np.float32)
    weight = rng.standard_normal((6, 4 // groups, 3, 2)).astype(np.float32)
    proto = model([helper.make_node("Conv", ["x", "w"], ["y"], **attributes)], {"x": image.shape}, ["y"], {"w": weight})
    expected = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": image})[0]
    kernel = Kernel(
        shape=(3, 2),
        strides=tuple(attributes.get("strides", (1, 1))),
        dilations=tuple(attributes.get("dilations", (1, 1))),
        pads=tuple(attributes.get("pads", (0, 0, 0, 0))),
        auto_pad=attributes.get("auto_pad", "NOTSET"),
    )

    patches = arriving([image], kernel, EVERY, rng).reshape(-1, groups, 4 // groups * 6)
    outputs = np.einsum("pgi,gui->pgu", patches, weight.reshape(groups, 6 // groups, -1)).reshape(len(patches), 6)

    assert len(patches) == rows_in(image.shape, kernel)
    assert outputs == pytest.approx(np.moveaxis(expected, 1, -1).reshape(-1, 6), abs=1e-4)


def test_vectors_of_a_sequence_are_drawn_over_all_positions_and_runs():
    """As many of each run; each is one of those that there are."""
    runs = [np.arange(60.0).reshape(4, 5, 3) + 100 * i for i in range(2)]

    taken = arriving(runs, None, 8, np.random.default_rng(0))[:, :, 0]

    assert taken.shape == (8, 3)
    assert (taken[:4] < 100).all()
    assert {tuple(row) for row in taken} <= {tuple(row) for run in runs for row in run.reshape(-1, 3)}
