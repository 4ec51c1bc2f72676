"""Names that a person recognises, recovered where the exporter lost them, and stable."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper, numpy_helper

from initaudit.model.parameter_names import module_of
from tests.extracting import extract, only_layer
from tests.networks import model


@pytest.mark.parametrize(
    ("tensor", "module"),
    [
        ("encoder.layer.0.attention.self.query.weight", "encoder.layer.0.attention.self.query"),
        ("fc.weight_quantized", "fc"),
        ("model/dense_1/kernel/Read/ReadVariableOp:0", "model.dense_1"),
        ("model/dense_1/MatMul/ReadVariableOp:0", "model.dense_1"),
        ("0.parametrizations.weight.original1", "0"),
        ("rnn.weight_ih_l0_reverse", "rnn"),
        ("embeddings.position_embeddings", "embeddings.position_embeddings"),
        ("onnx::MatMul_280", None),
        ("val_59", None),
        ("193", None),
        ("/layer/Constant_output_0", None),
    ],
)
def test_module_of_a_tensor(tensor, module):
    """The role at the end goes; names that only count say nothing."""
    assert module_of(tensor) == module


def product(node: str = "", weight: str = "onnx::MatMul_7", bias: str = "onnx::Add_8", metadata: dict | None = None):
    first = helper.make_node("MatMul", ["x", weight], ["m"], node)
    for key, value in (metadata or {}).items():
        entry = first.metadata_props.add()
        entry.key, entry.value = key, value
    nodes = [first, helper.make_node("Add", ["m", bias], ["y"])]
    tensors = {weight: np.ones((3, 2), np.float32), bias: np.ones(2, np.float32)}
    return model(nodes, {"x": ["N", 3]}, ["y"], tensors)


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        ({"weight": "fc1.weight"}, "fc1"),
        ({"bias": "query.bias"}, "query"),
        ({"node": "/encoder/layer.0/attention/self/query/MatMul"}, "encoder.layer.0.attention.self.query"),
        ({"node": "/blocks/blocks.0/proj/MatMul"}, "blocks.0.proj"),
        ({"node": "node_MatMul_3", "metadata": {"pkg.torch.onnx.name_scopes": "['', 'head', 'linear']"}}, "head"),
        (
            {"node": "node_MatMul_3", "metadata": {"namespace": ": Net/up.0: torch.nn.Linear/linear: aten.linear"}},
            "up.0",
        ),
        ({}, "MatMul"),
    ],
)
def test_titles_are_recovered(arguments, title):
    """From the weight, the bias beside it, the scope of the node or its metadata, in this order."""
    assert only_layer(product(**arguments)).title == title


def test_broken_metadata_is_no_name():
    """Metadata is untrusted: what does not parse is ignored."""
    layer = only_layer(product("node_MatMul_3", metadata={"pkg.torch.onnx.name_scopes": "__import__('os')("}))

    assert layer.title == "node_MatMul_3"


def test_counted_node_names_give_way_to_recovered_ones():
    """`node_MatMul_12` changes with every export, the module path does not; names that say something stay."""
    assert only_layer(product("node_MatMul_12", weight="fc.weight")).name == "fc"
    assert only_layer(product("/fc/MatMul", weight="fc.weight")).name == "/fc/MatMul"


def test_unnamed_nodes_get_unique_names():
    """Names are unique even where nothing is named."""
    nodes = [helper.make_node("MatMul", [v, f"{i}"], [o]) for i, (v, o) in enumerate([("x", "h"), ("h", "y")])]
    tensors = {"0": np.ones((3, 3), np.float32), "1": np.full((3, 3), 2, np.float32)}

    names = [layer.name for layer in extract(model(nodes, {"x": ["N", 3]}, ["y"], tensors)).layers]

    assert names == ["MatMul", "MatMul#2"]


def test_a_shared_tensor_does_not_name_its_other_users():
    """An exporter merges equal values: the scope of the node says more than the name of what it borrowed."""
    nodes = [
        helper.make_node("LayerNormalization", ["x", "block.0.norm.weight"], ["h"], "/block.0/norm/LayerNormalization"),
        helper.make_node("LayerNormalization", ["h", "block.0.norm.weight"], ["y"], "/block.1/norm/LayerNormalization"),
    ]
    tensors = {"block.0.norm.weight": np.ones(4, np.float32)}

    layers = extract(model(nodes, {"x": ["N", 4]}, ["y"], tensors)).layers

    assert [layer.title for layer in layers] == ["block.0.norm", "block.1.norm"]


def numbered_chain(first: int, *, opset: int, prefix: str = "MatMul", weights: float = 1.0):
    """Three products as an exporter writes them that numbers nodes and tensors from `first` on."""
    values = ["x", "a", "b", "y"]
    nodes = [
        helper.make_node("MatMul", [values[i], f"onnx::MatMul_{first + i}"], [values[i + 1]], f"{prefix}_{first + i}")
        for i in range(3)
    ]
    tensors = {f"onnx::MatMul_{first + i}": np.full((4, 4), weights, np.float32) for i in range(3)}
    return model(nodes, {"x": ["N", 4]}, ["y"], tensors, opset=opset)


def test_lasting_names_outlive_another_export_and_another_training():
    """Numbers of nodes, the opset and the values say nothing of which layer is meant; its place among those alike does."""
    once = extract(numbered_chain(7, opset=17)).layers
    again = extract(numbered_chain(31, opset=20, prefix="node_MatMul", weights=2.0)).layers

    assert [layer.lasting_name for layer in once] == ["linear 4->4", "linear 4->4#2", "linear 4->4#3"]
    assert [layer.lasting_name for layer in again] == [layer.lasting_name for layer in once]


def test_a_fingerprint_means_one_layer_in_every_export():
    """Of unnamed layers that share a fault each has its own fingerprint, and keeps it when another is mended."""
    import initaudit

    def prints(proto):
        found = initaudit.audit(proto, probe="none", context="fresh", select=("INI003",)).findings
        return [finding.fingerprint for finding in found]

    sick, mended = numbered_chain(7, opset=17, weights=0.0), numbered_chain(31, opset=20, weights=0.0)
    ones = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    mended.graph.initializer[0].CopyFrom(numpy_helper.from_array(ones, mended.graph.initializer[0].name))

    assert len(set(prints(sick))) == 3
    assert prints(mended) == prints(sick)[1:]
