"""What a file says of itself is checked once, before anything else reads it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from initaudit.errors import ExternalDataError, InvalidModel
from initaudit.model.load import load_model

WEIGHT = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")


def network(*nodes: onnx.NodeProto, opset: int = 17) -> onnx.ModelProto:
    """A model from `x` [N, 4] to `y` with the weight `w` [4, 4]."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "g", [x], [y], [WEIGHT])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def tensor_of(size: int, *, holds: int) -> TensorProto:
    """A tensor of floats that holds other values than as many as it says."""
    return TensorProto(name="v", data_type=TensorProto.FLOAT, dims=[size], raw_data=bytes(4 * holds))


def branch(*outputs: str) -> onnx.GraphProto:
    """A body of an If without nodes."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    return helper.make_graph([], "body", [], infos)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (helper.make_node("MatMul", ["x"], ["y"], name="m"), r"node 'm' \(MatMul\): 2 inputs are needed, 1 are there"),
        (helper.make_node("Where", ["x"], ["y"]), r"node 'y' \(Where\): 3 inputs are needed"),
        (helper.make_node("Cast", ["x"], ["y"], name="c"), r"node 'c' \(Cast\): the attribute 'to' is missing"),
        (
            helper.make_node("Concat", ["x", "x"], ["y"], name="c", axis=[1, 2]),
            r"node 'c' \(Concat\): attribute 'axis' is of type INTS, not INT",
        ),
        (
            helper.make_node("MatMul", ["x", ""], ["y"], name="m"),
            r"node 'm' \(MatMul\): input 2 is needed, and is left out",
        ),
        (helper.make_node("", ["x", "w"], ["y"], name="n"), r"node 'n' \(\): it has no operator"),
        (
            helper.make_node("Mean", ["x", "", "x"], ["y"], name="m"),
            r"node 'm' \(Mean\): input 2 is needed, and is left out",
        ),
        (
            helper.make_node("Conv", ["x", "w"], ["y"], name="c", auto_pad=b"\xff"),
            r"node 'c' \(Conv\): b'\\xff' is not valid UTF-8",
        ),
        (
            helper.make_node("Conv", ["x", "w"], ["y"], name="c", strides=[1, 0]),
            r"node 'c' \(Conv\): attribute 'strides' is \[1, 0\], not positive",
        ),
        (
            helper.make_node("MatMulNBits", ["x", "w"], ["y"], name="m", domain="com.microsoft", block_size=-1),
            r"node 'm' \(MatMulNBits\): attribute 'block_size' is -1, not 0 or more",
        ),
        (
            helper.make_node("FusedConv", ["x", "w"], ["y"], name="c", domain="com.microsoft", strides=2),
            r"node 'c' \(FusedConv\): attribute 'strides' is of type INT, not INTS",
        ),
        (
            helper.make_node("Transpose", ["x"], ["y"], name="t", perm=[0, 2]),
            r"node 't' \(Transpose\): attribute 'perm' is \[0, 2\], not a permutation of the axes",
        ),
        (
            helper.make_node("Strange", ["x"], ["y"], domain="other", values=tensor_of(4, holds=3)),
            r"tensor 'v': holds 12 bytes, shape \[4\] needs 16",
        ),
        (
            helper.make_node("If", ["x"], ["y", "z"], name="i", then_branch=branch("a", "b"), else_branch=branch("a")),
            r"node 'i' \(If\): else_branch gives 1 values, the node has 2 outputs",
        ),
    ],
)
def test_an_operator_that_onnx_does_not_allow_is_refused(node: onnx.NodeProto, says: str):
    """Too few inputs, a missing attribute, one of another type or of impossible values, damaged tensors: the message names the node."""
    with pytest.raises(InvalidModel, match=says):
        load_model(network(node))


def test_the_version_of_the_operator_set_counts():
    """Clip has one input up to opset 10 and attributes for its bounds; an operator that a later set brings is not judged by it."""
    old = helper.make_node("Clip", ["x"], ["y"], min=0.0, max=6.0)
    unknown = helper.make_node("Gelu", ["x"], ["y"])

    assert load_model(network(old, opset=6)).graph.nodes
    assert load_model(network(unknown, opset=17)).graph.nodes


def test_an_input_may_be_left_out_where_one_version_of_the_operator_allows_it():
    """Scan has its lengths first up to opset 8; the bias of Gemm can be omitted from opset 11 on."""
    step = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["b"])],
        "step",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
    )
    scan = helper.make_node("Scan", ["", "x"], ["y"], num_scan_inputs=1, body=step)
    gemm = helper.make_node("Gemm", ["x", "w", ""], ["y"])

    assert load_model(network(scan, opset=8)).graph.nodes
    assert load_model(network(gemm, opset=9)).graph.nodes


def test_a_tensor_beside_the_model_has_a_shape_too(tmp_path):
    """Whatever the file holds, there are not less than no values along an axis."""
    tensor = TensorProto(name="e", data_type=TensorProto.FLOAT, dims=[-4, -4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights")
    (tmp_path / "weights").write_bytes(bytes(64))
    proto = network(helper.make_node("MatMul", ["x", "w"], ["y"]))
    proto.graph.initializer.append(tensor)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())

    with pytest.raises(InvalidModel, match=r"tensor 'e': negative dimension in shape \[-4, -4\]"):
        load_model(tmp_path / "m.onnx")


def test_a_function_of_the_model_is_not_judged_as_the_operator_of_its_name():
    """A function may be called like an operator of its domain and take what it likes."""
    call = helper.make_node("Where", ["x"], ["y"], domain="mine")
    inner = helper.make_node("Relu", ["a"], ["b"])
    proto = network(call)
    proto.functions.append(helper.make_function("mine", "Where", ["a"], ["b"], [inner], [helper.make_opsetid("", 17)]))

    assert [node.op_type for node in load_model(proto).graph.nodes] == ["Relu", "Identity"]


@pytest.mark.parametrize(
    ("inputs", "attributes", "says"),
    [
        (["x", ""], {"s": [1, 1]}, r"node 'c' \(Conv\): input 2 is needed, and is left out"),
        (["x", "w"], {"s": [1, 0]}, r"node 'c' \(Conv\): attribute 'strides' is \[1, 0\], not positive"),
        (["x", "w"], {"s": 1}, r"node 'c' \(Conv\): attribute 'strides' is of type INT, not INTS"),
        (["x", "w"], {"s": [1, 1], "p": b"\xff"}, r"node 'c' \(Conv\): b'\\xff' is not valid UTF-8"),
    ],
)
def test_what_a_call_gives_the_operators_of_a_function_is_checked(inputs: list[str], attributes: dict, says: str):
    """A function can leave inputs and attributes to its calls; its operators get no others than elsewhere."""
    inner = helper.make_node("Conv", ["a", "k"], ["b"], name="c")
    inner.attribute.add(name="strides", ref_attr_name="s", type=onnx.AttributeProto.INTS)
    inner.attribute.add(name="auto_pad", ref_attr_name="p")
    proto = network(helper.make_node("F", ["x", "w"], ["y"], domain="mine", s=[1, 1], p="VALID"))
    imports = [helper.make_opsetid("", 17)]
    proto.functions.append(helper.make_function("mine", "F", ["a", "k"], ["b"], [inner], imports, ["s", "p"]))
    assert load_model(proto).graph.nodes

    proto.graph.node[0].CopyFrom(helper.make_node("F", inputs, ["y"], domain="mine", **attributes))

    with pytest.raises(InvalidModel, match=says):
        load_model(proto)


def test_the_operators_of_a_function_are_those_of_its_own_version():
    """Squeeze has an attribute for its axes up to opset 12, whatever the model around the function imports."""
    inner = helper.make_node("Squeeze", ["a"], ["b"])
    inner.attribute.add(name="axes", ref_attr_name="s", type=onnx.AttributeProto.INTS)
    proto = network(helper.make_node("F", ["x"], ["y"], domain="mine", s=[0]))
    proto.functions.append(
        helper.make_function("mine", "F", ["a"], ["b"], [inner], [helper.make_opsetid("", 11)], ["s"])
    )
    assert load_model(proto).graph.nodes

    proto.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("s", 0))

    with pytest.raises(InvalidModel, match="attribute 'axes' is of type INT, not INTS"):
        load_model(proto)


@pytest.mark.parametrize("where", ["input", "name", "domain", "producer"])
def test_a_name_that_is_no_text_is_refused(where: str):
    """Protobuf checks no text for UTF-8 when it reads; bytes would turn up wherever a name is used."""
    marked = {"input": b"xxxx", "name": b"nnnn", "domain": b"dddd", "producer": b"pppp"}[where]
    node = helper.make_node("Relu", ["xxxx"], ["y"], name="nnnn", domain="dddd")
    proto = network(node)
    proto.graph.input[0].name = "xxxx"
    proto.producer_name = "pppp"

    raw = proto.SerializeToString().replace(marked, b"\xff\xfe\xff\xfe")

    with pytest.raises(InvalidModel, match="is not valid UTF-8"):
        load_model(raw)


@pytest.mark.parametrize("place", ["initializer", "constant", "constant_of_shape", "function", "training"])
@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "a" * 300])
def test_external_data_outside_the_folder_is_refused_wherever_it_stands(tmp_path, place: str, location: str):
    """Whatever reads the file later, onnxruntime or onnx, sees no reference that leads elsewhere."""
    (tmp_path / "secret.bin").write_bytes(b"\0" * 64)
    folder = tmp_path / "models"
    folder.mkdir()
    tensor = TensorProto(name="e", data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    proto = network(helper.make_node("MatMul", ["x", "w"], ["y"]))
    made = helper.make_node("Constant", [], ["e"], value=tensor)
    if place == "initializer":
        proto.graph.initializer.append(tensor)
    elif place == "constant":
        proto.graph.node.append(made)
    elif place == "constant_of_shape":
        proto.graph.node.append(helper.make_node("ConstantOfShape", ["w"], ["e"], value=tensor))
    elif place == "function":
        proto.functions.append(helper.make_function("f", "F", [], ["e"], [made], [helper.make_opsetid("", 17)]))
    else:
        proto.training_info.add().algorithm.initializer.append(tensor)
    (folder / "m.onnx").write_bytes(proto.SerializeToString())

    with pytest.raises(ExternalDataError, match="tensor 'e': external location"):
        load_model(folder / "m.onnx")


def test_an_operator_of_a_stranger_may_have_any_values():
    """No stride of zero is wrong, and no bytes are, where ONNX does not say what they mean."""
    node = helper.make_node("Strange", ["x", ""], ["y"], domain="other", strides=[0], mode=b"\xff")

    assert load_model(network(node)).graph.nodes
