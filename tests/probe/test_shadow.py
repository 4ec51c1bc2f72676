"""Models that onnxruntime's CPU provider cannot run as they are give the numbers they stand for all the same."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from initaudit.errors import ProbeError
from initaudit.probe.adapt import adapt, default_opset
from initaudit.probe.inputs import InputOptions
from initaudit.probe.job import prepare
from initaudit.probe.session import NoKernelError, open_session, run_session

BF16, F16, F8 = TensorProto.BFLOAT16, TensorProto.FLOAT16, TensorProto.FLOAT8E4M3FN


def build(nodes, inputs, output, initializers, *, opset=17, ir_version=8, domains=()):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(values, name) for name, values in initializers.items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


def weights(seed, *shape):
    return (np.random.default_rng(seed).standard_normal(shape) / np.sqrt(shape[0])).astype(ml_dtypes.bfloat16)


def test_bfloat16_network_computes_what_its_stored_weights_say():
    """Gemm, MatMul and LayerNormalization in bfloat16: the shadow gives numpy's float32 result for the stored values."""
    w1, w2, b = weights(0, 12, 20), weights(1, 20, 8), weights(2, 20)
    scale = np.full(8, 1.5, ml_dtypes.bfloat16)
    model = build(
        [
            helper.make_node("Gemm", ["x", "w1", "b"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "w2"], ["z"]),
            helper.make_node("LayerNormalization", ["z", "scale"], ["y"]),
        ],
        [("x", BF16, ["batch", 12])],
        BF16,
        {"w1": w1, "w2": w2, "b": b, "scale": scale},
    )
    with pytest.raises(NoKernelError):
        open_session(model, None)

    model, feeds, notes = prepare(model, None, InputOptions())
    (y,) = run_session(open_session(model, None), None, feeds.arrays)

    x = feeds.arrays["x"]
    z = np.maximum(x @ w1.astype(np.float32) + b.astype(np.float32), 0) @ w2.astype(np.float32)
    expected = 1.5 * (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + 1e-5)
    assert x.dtype == np.float32
    assert np.abs(y - expected).max() < 1e-4
    assert notes == ["computed in float32: onnxruntime lacks CPU kernels for bfloat16"]


def test_stored_weights_are_not_copied():
    """The weights stay in their stored type behind a Cast: a bfloat16 model of many GB must not double before it runs."""
    model = build([helper.make_node("MatMul", ["x", "w"], ["y"])], [("x", BF16, [2, 4])], BF16, {"w": weights(0, 4, 4)})

    adapt(model)

    (stored,) = model.graph.initializer
    cast = model.graph.node[0]
    assert stored.data_type == BF16
    assert (cast.op_type, list(cast.input), list(cast.output)) == ("Cast", [stored.name], ["w"])


def test_casts_and_constants_inside_bodies_are_converted():
    """Cast, Constant and ConstantOfShape in the branches of an If follow their surroundings into float32."""

    def branch(name, value):
        constant = numpy_helper.from_array(np.array([value], ml_dtypes.bfloat16), "c")
        return helper.make_graph(
            [
                helper.make_node("Constant", [], [f"{name}c"], value=constant),
                helper.make_node("Cast", ["x"], [f"{name}x"], to=BF16),
                helper.make_node("MatMul", [f"{name}x", "w"], [f"{name}m"]),
                helper.make_node("Mul", [f"{name}m", f"{name}c"], [f"{name}o"]),
            ],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}o", BF16, None)],
        )

    w = weights(3, 6, 5)
    model = build(
        [helper.make_node("If", ["flag"], ["y"], then_branch=branch("t", 3.0), else_branch=branch("e", -2.0))],
        [("x", TensorProto.FLOAT, ["b", 6]), ("flag", TensorProto.BOOL, [])],
        BF16,
        {"w": w},
    )

    model, feeds, _ = prepare(model, None, InputOptions())
    (y,) = run_session(open_session(model, None), None, feeds.arrays)

    assert not feeds.arrays["flag"]
    assert np.abs(y - -2.0 * (feeds.arrays["x"] @ w.astype(np.float32))).max() < 1e-4


def test_external_bfloat16_weights_stay_in_their_file(tmp_path):
    """External data is read by onnxruntime itself, from the file it lies in."""
    w = weights(4, 6, 5)
    (tmp_path / "w.bin").write_bytes(b"\0" * 4096 + w.tobytes())
    model = build([helper.make_node("MatMul", ["x", "w"], ["y"])], [("x", BF16, ["b", 6])], BF16, {"w": w})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", "offset": "4096", "length": str(w.nbytes)}.items():
        tensor.external_data.add(key=key, value=value)

    model, feeds, _ = prepare(model, tmp_path, InputOptions())
    (y,) = run_session(open_session(model, tmp_path), None, feeds.arrays)

    assert np.abs(y - feeds.arrays["x"] @ w.astype(np.float32)).max() < 1e-4


def test_float16_runs_as_it_is():
    """float16 has kernels, or onnxruntime casts by itself: its rounding is part of the network and is kept."""
    model = build([helper.make_node("Tanh", ["x"], ["y"])], [("x", F16, ["b", 3])], F16, {})

    _, feeds, notes = prepare(model, None, InputOptions())

    assert feeds.arrays["x"].dtype == np.float16
    assert notes == []


def test_type_without_any_kernel_becomes_float32():
    """Where an operator has no kernel for a type, and onnxruntime says so, the shadow is tried."""
    w = np.array([[1.0, -2.0], [0.5, 4.0]], ml_dtypes.float8_e5m2)
    model = build(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [("x", TensorProto.FLOAT8E5M2, ["b", 2])],
        TensorProto.FLOAT8E5M2,
        {"w": w},
        opset=19,
    )

    model, feeds, notes = prepare(model, None, InputOptions())
    (y,) = run_session(open_session(model, None), None, feeds.arrays)

    assert notes == ["computed in float32: onnxruntime lacks CPU kernels for float8e5m2"]
    assert np.abs(y - feeds.arrays["x"] @ w.astype(np.float32)).max() < 1e-5


def test_float8_behind_dequantize_stays_float8():
    """A quantised weight keeps its stored type; only arithmetic types change."""
    w = np.array([[1.0, -2.0], [0.5, 4.0]], ml_dtypes.float8_e4m3fn)
    model = build(
        [
            helper.make_node("DequantizeLinear", ["w", "s"], ["wf"]),
            helper.make_node("MatMul", ["x", "wf"], ["y"]),
        ],
        [("x", BF16, ["b", 2])],
        BF16,
        {"w": w, "s": np.array(0.25, ml_dtypes.bfloat16)},
        opset=19,
    )

    model, feeds, _ = prepare(model, None, InputOptions())
    (y,) = run_session(open_session(model, None), None, feeds.arrays)

    assert np.abs(y - feeds.arrays["x"] @ (0.25 * w.astype(np.float32))).max() < 1e-5


def test_newer_ir_version_is_lowered():
    """The IR version says nothing about meaning; a model from the future runs if its operators are known."""
    model = build([helper.make_node("Tanh", ["x"], ["y"])], [("x", 1, ["b", 3])], 1, {}, ir_version=99)

    model, _, notes = prepare(model, None, InputOptions())

    assert "IR version 99" in notes[0]
    assert open_session(model, None)


def test_old_opset_is_converted():
    """Opset 4 had no numpy broadcasting: Add with its `broadcast` attribute becomes today's Add."""
    w, b = np.full((3, 2), 0.5, np.float32), np.array([1.0, 2.0], np.float32)
    model = build(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"], broadcast=1)],
        [("x", 1, ["b0", 3]), ("w", 1, [3, 2]), ("b", 1, [2])],
        1,
        {"w": w, "b": b},
        opset=4,
        ir_version=3,
    )

    model, feeds, notes = prepare(model, None, InputOptions())
    (y,) = run_session(open_session(model, None), None, feeds.arrays)

    assert "converted from opset 4" in notes[0]
    assert list(feeds.arrays) == ["x"]
    assert np.abs(y - (feeds.arrays["x"] @ w + b)).max() < 1e-5


def test_opset_22_without_a_kernel_is_read_as_21():
    """RandomNormal has a CPU kernel under its old number only; nothing but the number has changed."""
    nodes = [
        helper.make_node("RandomNormal", [], ["n"], shape=[3]),
        helper.make_node("Add", ["x", "n"], ["y"]),
    ]
    model = build(nodes, [("x", 1, ["b", 3])], 1, {}, opset=22, ir_version=10)

    model, _, notes = prepare(model, None, InputOptions())

    assert default_opset(model) == 21
    assert "read as opset 21" in notes[0]


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_dilated_same_padding_keeps_the_size_and_the_values(mode):
    """SAME padding of a dilated convolution, which the CPU kernel refuses: the output equals the sum over taps."""
    w = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 4)
    model = build(
        [helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=mode, kernel_shape=[4], dilations=[3])],
        [("x", 1, [1, 1, 20])],
        1,
        {"w": w},
    )

    model, feeds, _ = prepare(model, None, InputOptions())
    (y,) = run_session(open_session(model, None), None, feeds.arrays)

    low, high = (4, 5) if mode == "SAME_UPPER" else (5, 4)
    padded = np.pad(feeds.arrays["x"][0, 0], (low, high))
    expected = sum(w[0, 0, k] * padded[3 * k : 3 * k + 20] for k in range(4))
    assert np.abs(y[0, 0] - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"opset": 999}, "the model uses opset 999 of ai.onnx, onnxruntime knows up to"),
        ({"op": "Frob"}, "knows no operator Frob in opset 17 at node 'n7'"),
        (
            {"op": "Frob", "domain": "my.ops"},
            "knows no operator Frob of domain 'my.ops' at node 'n7': a custom operator",
        ),
    ],
)
def test_what_cannot_run_says_why(change, reason):
    """The reason names the opset, or the operator and the node, that onnxruntime does not know."""
    domain = change.get("domain", "")
    node = helper.make_node(change.get("op", "Tanh"), ["x"], ["y"], name="n7", domain=domain)
    model = build(
        [node], [("x", 1, ["b", 3])], 1, {}, opset=change.get("opset", 17), domains=(domain,) if domain else ()
    )

    with pytest.raises(ProbeError, match=reason):
        prepare(model, None, InputOptions())


def test_model_without_tricky_types_is_left_alone():
    """A float32 model of a current opset is not touched."""
    model = build([helper.make_node("Tanh", ["x"], ["y"])], [("x", 1, ["b", 3])], 1, {})
    before = model.SerializeToString(deterministic=True)

    adapted, notes = adapt(onnx.ModelProto.FromString(before))

    assert adapted.SerializeToString(deterministic=True) == before
    assert notes == []
