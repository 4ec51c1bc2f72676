"""A copy that the exporter stored once is drawn apart; a tied weight stays one."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from initaudit.config import Config
from initaudit.fixing.fixer import fix
from initaudit.fixing.options import FixOptions
from tests.extracting import run
from tests.networks import he, model


def hidden_twice(*, copied: bool, matrix: bool = False) -> onnx.ModelProto:
    """Two hidden layers of one stored weight: two modules of equal values as torch's older exporter writes them, or one module used twice.

    With `matrix` the weight was transposed by the exporter, which names it by a number and puts an Identity in front of it in both cases.
    """
    rng = np.random.default_rng(7)
    weight = "onnx::MatMul_24" if matrix else "a.weight"
    tensors = {weight: he((40, 40), rng), "a.bias": rng.uniform(-0.1, 0.1, 40), "o.weight": he((40, 10), rng)}
    nodes = []
    weights, biases = [weight, weight], ["a.bias", "a.bias"]
    if copied or matrix:
        weights[1] = "onnx::MatMul_25" if matrix else "b.weight"
        nodes.append(helper.make_node("Identity", [weight], [weights[1]]))
    if copied:
        biases[1] = "b.bias"
        nodes.append(helper.make_node("Identity", ["a.bias"], ["b.bias"]))
    value = "x"
    for name, w, b in zip("ab", weights, biases, strict=True):
        nodes += [
            helper.make_node("MatMul", [value, w], [f"{name}.z"], f"/{name}/MatMul"),
            helper.make_node("Add", [b, f"{name}.z"], [f"{name}.s"], f"/{name}/Add"),
            helper.make_node("Relu", [f"{name}.s"], [f"{name}.h"], f"/{name}/Relu"),
        ]
        value = f"{name}.h"
    nodes.append(helper.make_node("MatMul", [value, "o.weight"], ["y"], "/o/MatMul"))
    return model(nodes, {"x": ["N", 40]}, ["y"], {n: np.asarray(a, np.float32) for n, a in tensors.items()})


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("copied", [False, True])
def test_copies_are_drawn_apart_and_tied_weights_together(tmp_path, copied: bool, matrix: bool) -> None:
    """Each of two parameters gets its own values, biases included; one parameter with two uses keeps one tensor."""
    written = tmp_path / "out.onnx"

    result = fix(
        hidden_twice(copied=copied, matrix=matrix), written, Config(probe="none"), FixOptions(every=True, force=True)
    )

    run(onnx.load(written), {"x": np.ones((2, 40), np.float32)}, ["y"])
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(written).graph.initializer}
    names = [change.initializer for change in result.changes]
    assert len(names) == len(set(names)) == (3 if copied else 2)
    if copied:
        assert not np.array_equal(stored[names[0]], stored[names[1]])
        assert not stored["a.bias"].any()
        assert not stored["b.bias"].any()


def test_a_copy_that_is_not_chosen_keeps_its_values(tmp_path) -> None:
    """What is written into one parameter must not change another one."""
    before = hidden_twice(copied=True)
    written = tmp_path / "out.onnx"

    fix(before, written, Config(probe="none"), FixOptions(layers=("/a/MatMul",), force=True))

    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(written).graph.initializer}
    start = {t.name: numpy_helper.to_array(t) for t in before.graph.initializer}
    assert np.array_equal(stored["b.weight"], start["a.weight"])
    assert np.array_equal(stored["b.bias"], start["a.bias"])
    assert not np.array_equal(stored["a.weight"], start["a.weight"])
