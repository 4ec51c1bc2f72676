"""What the converter is given."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from initaudit.model.load import load_model
from initaudit.racing.rewriting import DOMAIN, rewritten
from tests.networks import mlp, model


def names_in(proto: onnx.ModelProto) -> set[str]:
    """Of all values and nodes."""
    graph = proto.graph
    named = {*(t.name for t in graph.initializer), *(n.name for n in graph.node), *(i.name for i in graph.input)}
    return (
        named | {name for node in graph.node for name in (*node.input, *node.output)} | {o.name for o in graph.output}
    )


def test_no_name_of_the_file_is_left_and_the_values_are_the_same():
    """Names become Python source in the converter; what the network computes does not depend on them."""
    hostile = "w'); import os #"
    network = mlp([6, 5, 3])
    network.graph.initializer[0].name = network.graph.node[0].input[1] = hostile
    inputs = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
    before = onnxruntime.InferenceSession(network.SerializeToString()).run(None, {network.graph.input[0].name: inputs})[
        0
    ]

    found = rewritten(load_model(network), network.graph.output[0].name, classes=True)
    after = onnxruntime.InferenceSession(found.proto.SerializeToString()).run(
        None, {found.proto.graph.input[0].name: inputs}
    )[0]

    assert all(name.isalnum() for name in names_in(found.proto))
    assert found.names[hostile].isalnum()
    assert (after == before).all()


def test_every_number_is_of_single_precision_and_every_constant_a_tensor():
    """A half-precision network trains in float32; what a Constant holds is found by its name."""
    half = numpy_helper.from_array(np.ones((4, 3), np.float16), "k")
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Constant", [], ["w"], value=half),
        helper.make_node("MatMul", ["h", "w"], ["m"]),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]

    found = rewritten(load_model(model(nodes, {"x": ("N", 4)}, ["y"], {})), "y", classes=False).proto

    assert [node.op_type for node in found.graph.node] == ["Cast", "MatMul", "Cast"]
    assert [tensor.data_type for tensor in found.graph.initializer] == [TensorProto.FLOAT]
    assert [node.attribute[0].i for node in found.graph.node if node.op_type == "Cast"] == [TensorProto.FLOAT] * 2


def test_a_softmax_at_the_end_is_left_to_the_loss():
    """Of classes; of numbers to be met it stays. Other outputs, and what only they need, go."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Softmax", ["m"], ["y"]),
        helper.make_node("MatMul", ["x", "v"], ["other"]),
    ]
    weights = {"w": np.ones((4, 3), np.float32), "v": np.ones((4, 2), np.float32)}
    network = load_model(model(nodes, {"x": ("N", 4)}, ["y", "other"], weights))

    classes, numbers = (rewritten(network, "y", classes=kind) for kind in (True, False))

    assert classes.squashed == ("Softmax", -1)
    assert [node.op_type for node in classes.proto.graph.node] == ["MatMul"]
    assert numbers.squashed is None
    assert [node.op_type for node in numbers.proto.graph.node] == ["MatMul", "Softmax"]
    assert set(numbers.names) == {"w"}


def test_what_behaves_otherwise_in_training_is_done_here():
    """The domain says so."""
    ones = {name: np.ones(4, np.float32) for name in ("scale", "bias", "mean", "variance")}
    network = model([helper.make_node("BatchNormalization", ["x", *ones], ["y"])], {"x": ("N", 4)}, ["y"], ones)

    (node,) = rewritten(load_model(network), "y", classes=False).proto.graph.node

    assert node.domain == DOMAIN
