"""Advice on findings: code that sets just the parameter that is meant, in the words of whoever made the file."""

from __future__ import annotations

import ast
import math
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper

from initaudit.advising.parameters import expression
from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.findings import Reader
from initaudit.options import read_ignores
from tests.networks import he, mlp, model, normal, trained_like

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto

    from initaudit.findings import Finding


def found(
    proto: ModelProto, code: str, *, producer: str = "pytorch", context: str = "fresh", probe: str = "none"
) -> list[Finding]:
    """The findings of this rule."""
    proto.producer_name = producer
    return [f for f in audit(proto, Config(context=context, probe=probe)).findings if f.code == code]


def advised(finding: Finding) -> Mapping[str, str]:
    """Code by reader."""
    return {a.reader.value: a.code for a in finding.advice}


@pytest.mark.parametrize(
    ("path", "python"),
    [
        ("layers.3.weight", "model.layers[3].weight"),
        ("0.weight", "model[0].weight"),
        ("encoder.layer.0.mlp.2.bias", "model.encoder.layer[0].mlp[2].bias"),
        ("blocks.class.weight", 'model.get_parameter("blocks.class.weight")'),
    ],
)
def test_numbers_in_a_path_index_a_list_of_modules(path: str, python: str) -> None:
    """What is no name in Python is looked up instead."""
    assert expression(path) == python
    ast.parse(python)


def small(activation: str = "Relu") -> ModelProto:
    """A network of which the second layer is a hundredth of He's scale."""
    return mlp([64, 64, 64, 10], activation, change={"fc1.weight": lambda w: w / 100})


@pytest.mark.parametrize(
    ("activation", "torch", "keras"),
    [
        ("Relu", 'nn.init.kaiming_normal_(model.fc1.weight, nonlinearity="relu")', 'kernel_initializer="he_normal"'),
        ("Tanh", "nn.init.xavier_uniform_(model.fc1.weight)", 'kernel_initializer="glorot_uniform"'),
        (
            "Selu",
            'nn.init.kaiming_normal_(model.fc1.weight, nonlinearity="linear")',
            'kernel_initializer="lecun_normal"',
        ),
    ],
)
def test_a_layer_is_initialised_by_the_scheme_that_fits_its_activation(activation: str, torch: str, keras: str) -> None:
    """By its name in each framework, at the parameter that the exporter kept the name of."""
    (finding,) = found(small(activation), "INI101")

    code = advised(finding)
    assert code["pytorch"] == torch
    assert code["keras"] == keras
    ast.parse(code["pytorch"])
    ast.parse(f"Dense({code['keras']})")


@pytest.mark.parametrize(
    ("producer", "first"), [("pytorch", Reader.PYTORCH), ("tf2onnx", Reader.KERAS), ("keras2onnx", Reader.KERAS)]
)
def test_the_reader_who_has_what_made_the_file_comes_first(producer: str, first: Reader) -> None:
    """And after that whoever has nothing but the file."""
    (finding,) = found(small(), "INI101", producer=producer)

    assert [a.reader for a in finding.advice][:2] == [first, Reader.ONNX]
    assert {a.reader for a in finding.advice} == set(Reader)


def test_a_keras_layer_is_called_as_the_model_calls_it() -> None:
    """The last step of the path in the file, never the name of a node."""
    name = "StatefulPartitionedCall/model/dense_4/MatMul/ReadVariableOp:0"
    weights = np.random.default_rng(0).normal(0, 0.001, (64, 64)).astype(np.float32)
    proto = model(
        [
            helper.make_node("MatMul", ["x", name], ["z"], "StatefulPartitionedCall/model/dense_4/MatMul"),
            helper.make_node("Relu", ["z"], ["y"]),
        ],
        {"x": ["N", 64]},
        ["y"],
        {name: weights},
    )
    (finding,) = found(proto, "INI101", producer="tf2onnx")

    assert finding.advice[0].text == "Give the layer dense_4 this argument:"
    assert finding.advice[0].code == 'kernel_initializer="he_normal"'


def transposed(name: str, bias: str) -> ModelProto:
    """A linear layer as PyTorch exports one for inputs of three axes: [in, out] under another name."""
    rng = np.random.default_rng(0)
    tensors = {name: rng.normal(0, 0.001, (32, 64)).astype(np.float32), bias: np.zeros(64, np.float32)}
    nodes = [
        helper.make_node("MatMul", ["x", name], ["p"], "/mlp/mlp.0/MatMul"),
        helper.make_node("Add", [bias, "p"], ["z"], "/mlp/mlp.0/Add"),
        helper.make_node("Relu", ["z"], ["y"]),
    ]
    return model(nodes, {"x": ["N", 7, 32]}, ["y"], tensors)


def test_a_name_that_the_exporter_lost_is_that_of_the_module() -> None:
    """torch.nn.Linear calls its parameter `weight`, and stores it [out, in]."""
    (finding,) = found(transposed("onnx::MatMul_12", "mlp.0.bias"), "INI101")

    assert advised(finding)["pytorch"] == 'nn.init.kaiming_normal_(model.mlp[0].weight, nonlinearity="relu")'


@pytest.mark.parametrize("name", ["mul_3", "/Mul_output_0"])
def test_what_was_computed_is_no_parameter(name: str) -> None:
    """Setting a parameter of that name would do nothing, so nothing is said to PyTorch."""
    (finding,) = found(transposed(name, "mlp.0.bias"), "INI101")

    assert "pytorch" not in advised(finding)


def lstm(bias: float) -> ModelProto:
    """torch.nn.LSTM(8, 16) as it is exported, its biases at one value."""
    rng = np.random.default_rng(0)
    tensors = {
        "onnx::LSTM_1": rng.normal(0, math.sqrt(2 / 24), (1, 64, 8)).astype(np.float32),
        "onnx::LSTM_2": np.stack(
            [np.concatenate([np.linalg.qr(rng.normal(size=(16, 16)))[0] for _ in range(4)])]
        ).astype(np.float32),
        "onnx::LSTM_3": np.full((1, 128), bias, np.float32),
    }
    node = helper.make_node("LSTM", ["x", *tensors], ["y", "h"], "/rnn/LSTM", hidden_size=16)
    return model([node], {"x": [5, "N", 8]}, ["h"], tensors)


def test_the_gates_of_a_cell_stand_in_the_order_of_torch() -> None:
    """Input, forget, cell, output there; input, output, forget, cell in ONNX. Two biases add up."""
    (finding,) = found(lstm(0.0), "INI301")

    code = advised(finding)
    assert code["pytorch"].split("\n") == [
        "nn.init.ones_(model.rnn.bias_ih_l0[16:32])",
        "nn.init.zeros_(model.rnn.bias_hh_l0[16:32])",
    ]
    assert code["keras"] == "unit_forget_bias=True"


def test_lists_of_modules_are_written_as_loops() -> None:
    """Ten layers alike take a few lines; the last of them feeds no activation."""
    rng = np.random.default_rng(0)
    proto = mlp([32] * 12, draw=normal(0.01))
    del rng
    for tensor in proto.graph.initializer:
        tensor.name = tensor.name.replace("fc", "layers.")
    for node in proto.graph.node:
        for i, value in enumerate(node.input):
            node.input[i] = value.replace("fc", "layers.")
    (finding,) = found(proto, "INI401", probe="full")

    assert advised(finding)["pytorch"].split("\n") == [
        "for i in range(10):",
        '    nn.init.kaiming_normal_(model.layers[i].weight, nonlinearity="relu")',
        "nn.init.xavier_uniform_(model.layers[10].weight)",
    ]


def test_commands_are_quoted_for_the_shell() -> None:
    """A name with blanks and quotes is one word of it, and the layer that the command means."""
    proto = small()
    proto.graph.node[2].name = "it's [1] layer"
    (finding,) = found(proto, "INI101")

    words = shlex.split(advised(finding)["onnx"])
    assert words[:2] == ["initaudit", "fix"]
    assert words[words.index("--layers") + 1] == finding.layer == "it's [1] layer"


def test_what_training_left_behind_is_to_be_loaded_or_accepted_with_a_reason() -> None:
    """The keys that the checkpoint lacks tell; the command ignores this finding alone, with room for the reason."""
    proto = mlp([64, 64, 64, 10], draw=trained_like, change={"fc1.weight": lambda w: w * 0})
    (finding,) = found(proto, "INI003", context="trained")

    code = advised(finding)
    assert "fc1.weight" in finding.advice[0].text
    assert "load_state_dict" in code["pytorch"]
    ast.parse(code["pytorch"])
    (ignore,) = read_ignores(shlex.split(code["onnx"])[-1])
    assert ignore.applies(finding)
    assert not ignore.applies(replace(finding, layer="/fc2/Gemm", subject="fc2", initializer="fc2.weight"))


def test_no_new_draw_is_advised_where_it_would_not_help() -> None:
    """Sixty layers of eight units learn from no initialisation."""
    proto = mlp([8] * 60 + [4], "Relu", normal(0.01))
    report = audit(proto, Config(context="fresh"))

    assert report.verdict.obstacle is not None
    assert not report.verdict.obstacle.fix_helps
    assert not [a.code for f in report.findings for a in f.advice]


def test_notes_that_need_no_action_have_a_command_that_acts() -> None:
    """`fix` leaves what is information alone unless its rule is asked for."""
    proto = mlp([64, 64, 10], draw=lambda shape, rng: he(shape, rng) / math.sqrt(2))
    notes = [f for f in found(proto, "INI103") if f.advice]

    assert notes
    assert all("--select INI103" in advised(f)["onnx"] for f in notes)


def test_a_sound_start_needs_no_advice() -> None:
    """A head may start at zero."""
    (finding,) = found(mlp([64, 64, 10], change={"fc1.weight": lambda w: w * 0}), "INI003", probe="full")

    assert finding.severity == "info"
    assert finding.advice == ()
