"""Two messages are one network where they say and store the same, wherever the values lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from initaudit.model.identity import identity_of
from initaudit.model.load import load_model
from tests.networks import mlp, save

WIDE = [32, 160, 160, 4]


def test_where_the_values_lie_makes_no_other_network(tmp_path: Path) -> None:
    """In raw bytes, in a field of floats, or in a file beside the model; nor does metadata. Of a Constant as of an initializer."""
    proto = mlp(WIDE)
    ones = numpy_helper.from_array(np.ones(4, np.float32), "ones")
    proto.graph.node.add().CopyFrom(helper.make_node("Constant", [], ["c"], value=ones))
    expected = identity_of(load_model(proto))
    typed = onnx.ModelProto.FromString(proto.SerializeToString())
    for tensor in (*typed.graph.initializer, typed.graph.node[-1].attribute[0].t):
        values = np.frombuffer(tensor.raw_data, np.float32)
        tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.FLOAT, tensor.dims, values))
    typed.metadata_props.add(key="k", value="v")
    outside = onnx.ModelProto.FromString(proto.SerializeToString())
    onnx.save(outside, tmp_path / "outside.onnx", save_as_external_data=True, size_threshold=0)

    identities = {identity_of(load_model(source)) for source in (typed, tmp_path / "outside.onnx")}

    assert identities == {expected}


@pytest.mark.parametrize("change", ["value", "name", "node", "constant", "complex", "text", "opset"])
def test_whatever_else_differs_does(change: str, tmp_path: Path) -> None:
    """One bit of a weight, the name of a tensor, an attribute of a node, a value that no weight can be, the version of the operators."""
    proto = mlp([8, 8, 4])
    beside = {
        "constant": helper.make_tensor("constant", TensorProto.FLOAT, [2], [1, 2]),
        "complex": helper.make_tensor("complex", TensorProto.COMPLEX64, [2], [1j, 2j]),
        "text": helper.make_tensor("text", TensorProto.STRING, [2], [b"one", b"two"]),
    }
    proto.graph.initializer.extend([beside["complex"], beside["text"]])
    proto.graph.node.add().CopyFrom(helper.make_node("Constant", [], ["c"], value=beside["constant"]))
    before = identity_of(load_model(proto))
    tensor, node = proto.graph.initializer[0], proto.graph.node[0]
    if change == "value":
        tensor.raw_data = bytes([tensor.raw_data[0] ^ 1]) + tensor.raw_data[1:]
    elif change == "name":
        tensor.name = node.input[1] = "other"
    elif change == "constant":
        proto.graph.node[-1].attribute[0].t.float_data[1] = 3
    elif change == "complex":
        proto.graph.initializer[-2].float_data[1] = 3
    elif change == "text":
        proto.graph.initializer[-1].string_data[1] = b"three"
    elif change == "opset":
        proto.opset_import[0].version += 1
    else:
        node.attribute.append(helper.make_attribute("alpha", 2.0))
    path = save(proto, tmp_path / "m.onnx")

    assert identity_of(load_model(path)) != before
