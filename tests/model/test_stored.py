"""Every tensor that a model file holds is seen, wherever in the message it stands."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, helper, numpy_helper

from initaudit.model.stored import stored_tensors, tensors_of


def tensor(name: str):
    """A tensor of one value."""
    return numpy_helper.from_array(np.ones(1, np.float32), name)


def sparse(name: str):
    """A sparse tensor, whose parts are called after it."""
    indices = numpy_helper.from_array(np.zeros(1, np.int64), f"{name}.indices")
    return helper.make_sparse_tensor(tensor(f"{name}.values"), indices, [4])


def names(tensors):
    """Of the messages."""
    return [found.name for found in tensors]


def test_an_attribute_holds_tensors_in_four_ways():
    """One or several, dense or sparse; of a sparse one both parts."""
    one, several = helper.make_attribute("a", tensor("t")), helper.make_attribute("a", [tensor("t"), tensor("u")])
    lone, many = helper.make_attribute("a", sparse("s")), helper.make_attribute("a", [sparse("s"), sparse("r")])

    assert names(tensors_of(one)) == ["t"]
    assert names(tensors_of(several)) == ["t", "u"]
    assert names(tensors_of(lone)) == ["s.values", "s.indices"]
    assert names(tensors_of(many)) == ["s.values", "s.indices", "r.values", "r.indices"]


def test_a_model_holds_tensors_in_graphs_bodies_functions_and_training():
    """In the order of the file's fields."""
    body = helper.make_graph([], "then", [], [], [tensor("body")])
    node = helper.make_node("If", ["c"], ["y"], then_branch=body)
    constant = helper.make_node("Constant", [], ["k"], sparse_value=sparse("of_function"))
    proto = helper.make_model(helper.make_graph([node], "g", [], [], [tensor("main")]))
    proto.functions.append(helper.make_function("mine", "F", [], ["k"], [constant], [helper.make_opsetid("", 17)]))
    proto.training_info.add().algorithm.CopyFrom(GraphProto(name="step", initializer=[tensor("training")]))

    assert names(stored_tensors(proto)) == [
        "main",
        "body",
        "training",
        "of_function.values",
        "of_function.indices",
    ]
