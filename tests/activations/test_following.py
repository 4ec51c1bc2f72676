"""What a layer's output meets first, whatever stands on the way."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from initaudit.activations import follow
from initaudit.model.load import load_model
from tests.activations.behind import behind, graph_of, number

SHAPE = "s = Constant <value_ints = [0, 2, 3]> ()"
HALVES = "n = Constant <value_ints = [3, 3]> () a, b = Split <axis = 1> (h, n)"


@pytest.mark.parametrize(
    ("body", "feeds"),
    [
        ("y = Identity(h)", ("output",)),
        ("y = MatMul(h, v)", ("layer",)),
        ("t = Transpose(h) y = MatMul(h, t)", ("attention",)),
        ("t = MatMul(x, w2) y = Mul(h, t)", ("gate",)),
        ("t = MatMul(x, w2) y = Add(h, t)", ("residual_add",)),
        ("y = Softmax(h)", ("softmax",)),
        ("y = LogSoftmax(h)", ("softmax",)),
        ("e = Exp(h) t = ReduceSum(e, axes) y = Div(e, t)", ("softmax",)),
        ("m = ReduceMax(h, axes) d = Sub(h, m) e = Exp(d) t = ReduceSum(e, axes) y = Div(e, t)", ("softmax",)),
        ("p = Relu(h) q = MatMul(h, v) y = Concat <axis = 1> (p, q)", ("relu", "layer")),
        ("y = ArgMax(h)", ("other",)),
        ("t = Shape(h) y = Cast <to = 1> (t)", ()),
    ],
)
def test_what_consumes_the_output_first(body: str, feeds: tuple[str, ...]) -> None:
    """One entry for each thing met."""
    following = behind(body, w2=np.ones((8, 6), np.float32), axes=np.array([1]))

    assert following.feeds == feeds


@pytest.mark.parametrize(
    "way",
    [
        "p = Identity(h)",
        "p = Cast <to = 10> (h)",
        f"{SHAPE} p = Reshape(h, s)",
        "p = Transpose(h)",
        "p = Dropout(h)",
        "p = Mul(h, gamma)",
        "p = Add(h, beta)",
        f"{number('c', 8)} p = Div(h, c)",
        "q = Neg(h) p = Neg(q)",
        "p = GlobalAveragePool(h)",
        "p = ReduceMean(h, axes)",
        "p = Slice(h, zero, axes)",
        "q = MatMul(x, w2) p = Concat <axis = 1> (h, q)",
        f"{number('c', 0.1)} q = QuantizeLinear(h, c) p = DequantizeLinear(q, c)",
        "d = Shape(h) e = Cast <to = 1> (d) f = ReduceMax(e) p = Mul(h, f)",
        "q, s, z = DynamicQuantizeLinear(h) i = Cast <to = 1> (q) p = Mul(i, s)",
    ],
)
def test_linear_steps_are_passed_through(way: str) -> None:
    """What moves, scales, pools or shifts does not hide the activation behind it."""
    constants = {"axes": np.array([1]), "zero": np.array([0]), "w2": np.ones((8, 6), np.float32)}
    following = behind(f"{way} y = Tanh(p)", opset=19, **constants)

    assert following.activation == "tanh"
    assert following.feeds == ("tanh",)


NORMS = {
    "batch_norm": "y0 = BatchNormalization(h, gamma, beta, beta, gamma)",
    "layer_norm": "y0 = LayerNormalization(h, gamma, beta)",
    "instance_norm": "y0 = InstanceNormalization(h, gamma, beta)",
    "rms_norm": f"{number('two', 2)} {number('eps', 1e-5)} p = Pow(h, two) m = ReduceMean(p, axes) e = Add(m, eps) "
    "r = Sqrt(e) q = Div(h, r) y0 = Mul(q, gamma)",
    "group_norm": f"{SHAPE} r = Reshape(h, s) i = InstanceNormalization(r, ones, zeros) t = Shape(h) y0 = Reshape(i, t)",
    "l2_norm": "n = ReduceL2(h, axes) y0 = Div(h, n)",
}
RESPONSE_NORM = (
    "t = Constant <value_ints = [1, 1, 0, 6]> () f = Constant <value_ints = [0, 6]> () p = Mul(h, h) u = Reshape(p, t) "
    "a = AveragePool <kernel_shape = [1, 3], pads = [0, 1, 0, 1]> (u) r = Reshape(a, f) "
    f"{number('k', 1e-4)} {number('one', 1)} {number('b', 0.75)} m = Mul(r, k) e = Add(m, one) q = Pow(e, b) y0 = Div(h, q)"
)
LAYER_NORM = (
    f"{number('two', 2)} {number('eps', 1e-5)} m = ReduceMean(h, axes) d = Sub(h, m) p = Pow(d, two) u = ReduceMean(p, axes) "
    "e = Add(u, eps) r = Sqrt(e) q = Div(d, r) g = Mul(q, gamma) y0 = Add(g, beta)"
)
MOMENT_NORM = (
    f"{number('eps', 1e-5)} m = ReduceMean(h, axes) p = Mul(h, h) u = ReduceMean(p, axes) o = Mul(m, m) a = Sub(u, o) "
    "e = Add(a, eps) r = Sqrt(e) d = Sub(h, m) y0 = Div(d, r)"
)
RECIPROCAL_NORM = (
    f"{number('eps', 1e-5)} o = Cast <to = 1> (h) p = Mul(o, o) m = ReduceMean(p, axes) e = Add(eps, m) "
    "r = Sqrt(e) i = Reciprocal(r) q = Mul(o, i) y0 = Mul(gamma, q)"
)


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        *NORMS.items(),
        ("local_response_norm", RESPONSE_NORM),
        ("layer_norm", LAYER_NORM),
        ("layer_norm", MOMENT_NORM),
        ("rms_norm", RECIPROCAL_NORM),
    ],
    ids=[
        *NORMS,
        "local_response_norm written out",
        "layer_norm written out",
        "layer_norm from raw moments",
        "rms_norm with a reciprocal",
    ],
)
def test_a_normalisation_between_layer_and_activation(name: str, norm: str) -> None:
    """The norm is met first; the activation behind it is still the layer's, and starts behind the norm."""
    constants = {"axes": np.array([-1]), "ones": np.ones(2, np.float32), "zeros": np.zeros(2, np.float32)}
    following = behind(f"{norm} y = Relu(y0)", **constants)

    assert following.normalized_by == name
    assert following.activation == "relu"
    assert following.feeds == (f"norm:{name}",)
    assert following.normalized_before_use
    assert following.preactivation.name == "y0"


def test_a_bias_is_part_of_the_output() -> None:
    """A vector added behind the product is the layer's bias, on either side of the Add."""
    for call in ("Add(h, beta)", "Add(beta, h)"):
        following = behind(f"p = {call} y = Relu(p)")

        assert following.output.name == "p"
        assert following.bias is not None
        assert following.bias.name == "beta"
        assert following.preactivation.name == "p"


def test_a_bias_behind_an_integer_product() -> None:
    """Dynamic quantisation casts and scales between product and bias."""
    graph = graph_of(
        "q, s, z = DynamicQuantizeLinear(x) h = MatMulInteger(q, codes, z) c = Cast <to = 1> (h) m = Mul(s, scale) "
        "f = Mul(c, m) p = Add(f, beta) y = Relu(p)",
        codes=np.ones((8, 6), np.int8),
        scale=np.array(0.1, np.float32),
    )

    following = follow(graph.values["h"])

    assert following.output.name == "p"
    assert following.activation == "relu"


def test_a_bias_inside_a_fused_activation() -> None:
    """BiasGelu adds the bias of the product in front of it."""
    following = behind("y = com.microsoft.BiasGelu(h, beta)")

    assert following.activation == "gelu"
    assert following.bias is not None
    assert following.bias.name == "beta"


def test_a_table_of_positions_is_no_bias() -> None:
    """A constant with more than one long axis is a learned addend, not a bias per unit."""
    following = behind("p = Add(h, positions) y = Relu(p)", positions=np.ones((5, 6), np.float32))

    assert following.bias is None
    assert following.activation == "relu"


def test_glu_multiplies_one_half_by_the_sigmoid_of_the_other() -> None:
    """Split, Sigmoid, Mul, as exporters write torch's glu."""
    following = behind(f"{HALVES} p = Sigmoid(b) y = Mul(a, p)")

    assert following.activation == "glu"
    assert following.postactivation is not None
    assert following.postactivation.name == "y"


def test_parts_of_a_gated_unit_are_followed_alone() -> None:
    """SwiGLU: one half is bent and gates, the other is multiplied as it is."""
    graph = graph_of(f"h = MatMul(x, w) {HALVES} p = Sigmoid(b) q = Mul(b, p) y = Mul(a, q)")
    whole, left, right = (follow(graph.values[name]) for name in ("h", "a", "b"))

    assert (left.activation, left.feeds) == (None, ("gate",))
    assert (right.activation, right.feeds) == ("silu", ("silu",))
    assert whole.activation == "silu"
    assert set(whole.feeds) == {"gate", "silu"}


def test_a_sigmoid_of_another_layer_is_a_gate() -> None:
    """a·sigmoid(b) with b from elsewhere: the first is gated, the second is bent."""
    graph = graph_of("h = MatMul(x, w) g = MatMul(x, w) p = Sigmoid(g) y = Mul(h, p)")

    assert follow(graph.values["h"]).activation is None
    assert follow(graph.values["h"]).feeds == ("gate",)
    assert follow(graph.values["g"]).activation == "sigmoid"


def test_a_bilinear_form_is_one_layer() -> None:
    """x' W y + b: the product with the second signal belongs to the layer, because the bias comes behind it."""
    following = behind("t = Transpose(x) p = MatMul(t, h) q = Add(p, beta) y = Relu(q)")

    assert following.activation == "relu"
    assert following.feeds == ("relu",)


def test_maxout_takes_the_larger_half() -> None:
    """Goodfellow et al. 2013."""
    assert behind(f"{HALVES} y = Max(a, b)").activation == "maxout"


def test_rotary_embedding_leads_to_attention() -> None:
    """The rotated halves of a query add up to a query again."""
    following = behind(
        f"{HALVES} m = Neg(b) r = Concat <axis = 1> (m, a) c = Cos(x) s = Sin(x) p = Mul(h, c) q = Mul(r, s) "
        "u = Add(p, q) t = Transpose(u) y = MatMul(u, t)"
    )

    assert following.feeds == ("attention",)
    assert following.activation is None


def test_the_last_layer_of_a_residual_branch() -> None:
    """It is added to what the branch started from; the first layer of the branch is not the last."""
    graph = graph_of("p = MatMul(x, w) q = Relu(p) h = MatMul(q, v) y = Add(h, x)")

    last, first = follow(graph.values["h"]), follow(graph.values["p"])

    assert last.ends_residual_branch
    assert last.feeds == ("residual_add",)
    assert not first.ends_residual_branch


def test_a_projection_shortcut_is_no_branch() -> None:
    """The shortcut has a weight of its own; the branch beside it still ends in the sum."""
    graph = graph_of(
        "s = MatMul(x, w) p = MatMul(x, w) q = Relu(p) h = MatMul(q, u) y = Add(h, s)", u=np.eye(6, dtype=np.float32)
    )

    assert follow(graph.values["h"]).ends_residual_branch
    assert not follow(graph.values["s"]).ends_residual_branch


def test_parallel_branches_both_end_in_the_skip() -> None:
    """Attention and feed-forward of a parallel block are summed before the skip is added."""
    graph = graph_of(
        "p = MatMul(x, m) q = Tanh(x) h = MatMul(q, m) s = Add(h, p) y = Add(s, x)", m=np.eye(8, dtype=np.float32)
    )

    assert follow(graph.values["h"]).ends_residual_branch
    assert follow(graph.values["p"]).ends_residual_branch


def test_the_first_factor_of_a_low_rank_branch() -> None:
    """Two linear layers in a row in front of the sum: only the second ends the branch."""
    graph = graph_of("h = MatMul(x, w) q = MatMul(h, v) y = Add(q, x)")

    assert not follow(graph.values["h"]).ends_residual_branch
    assert follow(graph.values["q"]).ends_residual_branch


def test_a_branch_may_end_in_its_own_excitation() -> None:
    """x + h sigmoid(W h): zero weights behind h leave the skip. A gate from elsewhere is a second signal, and no end."""
    layers = "p = MatMul(x, w) q = Relu(p) h = MatMul(q, v)"
    squeeze = "e = MatMul({source}, m) s = Sigmoid(e) r = Mul(h, s) y = Add(r, x)"
    eye = np.eye(8, dtype=np.float32)
    excited = graph_of(f"{layers} {squeeze.format(source='h')}", m=eye)
    gated = graph_of(f"{layers} {squeeze.format(source='x')}", m=eye)

    assert follow(excited.values["h"]).ends_residual_branch
    assert not follow(gated.values["h"]).ends_residual_branch


def test_a_sum_of_two_inputs_is_no_residual() -> None:
    """Embeddings of words and positions are added without one being the origin of the other."""
    graph = graph_of("p = Tanh(x) h = MatMul(p, w) t = Constant <value_floats = [1.0]> () q = Exp(t) y = Add(h, q)")

    assert not follow(graph.values["h"]).ends_residual_branch


def test_a_norm_behind_the_sum_removes_the_scale_in_a_post_norm_block() -> None:
    """The skip is normalised too, so the norm sees a sum of comparable parts."""
    graph = graph_of(
        "p = MatMul(x, m) h = MatMul(p, m) s = Add(h, x) y = LayerNormalization(s, g, g)",
        m=np.eye(8, dtype=np.float32), g=np.ones(8, np.float32),
    )  # fmt: skip

    assert follow(graph.values["h"]).normalized_before_use


def test_the_stream_of_a_pre_norm_block_keeps_the_scale() -> None:
    """The skip is normalised only for the branch: what the branch adds counts against the stream."""
    graph = graph_of(
        "n = LayerNormalization(x, g, g) h = MatMul(n, m) s = Add(h, x) y = LayerNormalization(s, g, g)",
        m=np.eye(8, dtype=np.float32), g=np.ones(8, np.float32),
    )  # fmt: skip

    assert not follow(graph.values["h"]).normalized_before_use


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ("y = Identity(h)", True),
        ("y = Softmax(h)", True),
        ("y = Sigmoid(h)", True),
        ("p = Softmax(h) y = ArgMax(p)", True),
        (
            "p = Softmax(h) s = Constant <value_float = 0.004> () q = QuantizeLinear(p, s) y = DequantizeLinear(q, s)",
            True,
        ),
        ("y = Relu(h)", False),
        ("y = MatMul(h, v)", False),
        ("p = Tanh(h) y = MatMul(p, v)", False),
    ],
)
def test_the_head_gives_the_output(body: str, head: bool) -> None:
    """Only linear steps, softmax and link functions stand between a head and the output."""
    assert behind(body).is_head is head


def test_an_activation_behind_the_boundary_of_an_if() -> None:
    """The product inside a branch of If is the output of the If, and is bent outside."""
    w = numpy_helper.from_array(np.ones((8, 6), np.float32), "w")
    branches = {
        key: helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], [f"h_{key}"])], key, [],
            [helper.make_tensor_value_info(f"h_{key}", onnx.TensorProto.FLOAT, None)],
        )
        for key in ("then_branch", "else_branch")
    }  # fmt: skip
    nodes = [helper.make_node("If", ["c"], ["o"], **branches), helper.make_node("Relu", ["o"], ["y"])]
    inputs = [
        helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, []),
        helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 8]),
    ]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, [output], [w]))
    body = next(n for n in load_model(model).graph.nodes if n.op_type == "If").subgraphs["then_branch"]

    assert follow(body.outputs[0]).activation == "relu"


def test_a_sum_inside_a_fused_convolution() -> None:
    """FusedConv with a fourth input adds it before the activation: the product meets a sum first."""
    graph = graph_of(
        'y = com.microsoft.FusedConv <activation = "Relu"> (x, kernel, , x)', kernel=np.ones((4, 2, 3), np.float32)
    )

    following = follow(graph.values["y"])

    assert following.activation is None
    assert following.feeds == ("residual_add",)
    assert following.ends_residual_branch


def test_a_fused_skip_and_norm() -> None:
    """SkipLayerNormalization adds the skip and the layer's bias, then normalises."""
    graph = graph_of(
        "h = MatMul(x, m) y = com.microsoft.SkipLayerNormalization(h, x, g, g, b)",
        m=np.eye(8, dtype=np.float32), g=np.ones(8, np.float32), b=np.ones(8, np.float32),
    )  # fmt: skip

    following = follow(graph.values["h"])

    assert following.feeds == ("residual_add",)
    assert following.ends_residual_branch
    assert following.bias is not None
    assert following.bias.name == "b"


def test_the_activation_behind_a_long_chain_of_scales_is_found() -> None:
    """However far it is, where nothing else happens on the way; normalisations on it are no hindrance."""
    for step in ("Mul(h{}, gamma)", "LayerNormalization(h{}, gamma)"):
        chain = " ".join(f"h{i + 1} = {step.format(i)}" for i in range(500))

        following = behind(f"h0 = Identity(h) {chain} y = Relu(h500)", gamma=np.linspace(0.9, 1.1, 6, dtype=np.float32))

        assert following.activation == "relu"
        assert (following.normalized_by == "layer_norm") == step.startswith("Layer")


def test_a_long_way_that_branches_ends() -> None:
    """The walk is bounded: a graph made to exhaust it gives no activation instead of a crash."""
    chain = " ".join(f"h{i + 1} = Concat <axis = 1> (h{i}, h{i})" for i in range(500))

    following = behind(f"h0 = Identity(h) {chain} y = Relu(h500)")

    assert following.activation is None


def test_several_activations_of_one_output() -> None:
    """Each is met; the first one gives the name."""
    following = behind("p = Sin(h) q = Cos(h) y = Concat <axis = 1> (p, q)")

    assert following.feeds == ("sin", "cos")
    assert following.activation == "sin"


def test_an_unnamed_function_beside_other_uses_is_not_the_activation() -> None:
    """An output that is also used as it is has not gone through the exponential."""
    following = behind("p = Exp(h) y = Concat <axis = 1> (p, h)")

    assert following.activation is None
    assert set(following.feeds) == {"other", "output"}


def test_a_router_is_no_head() -> None:
    """Its softmax weighs experts: what leaves the model is their product."""
    graph = graph_of("h = MatMul(x, w) p = Softmax(h) g = MatMul(x, w) y = Mul(p, g)")

    assert not follow(graph.values["h"]).is_head


def test_averaged_classifiers_are_heads() -> None:
    """The mean of two linear outputs is still linear."""
    graph = graph_of("h = MatMul(x, w) g = Tanh(x) e = MatMul(g, w) y = Add(h, e)")

    assert follow(graph.values["h"]).is_head


def test_the_sum_in_a_recurrent_cell_is_no_residual() -> None:
    """W x + U h in front of a sigmoid looks like a branch with a projected skip, and is none."""
    graph = graph_of(
        "p = MatMul(x, w) q = Tanh(p) h = MatMul(q, u) s = Add(h, p2) p2 = MatMul(x, w) y = Sigmoid(s)",
        u=np.eye(6, dtype=np.float32),
    )

    assert not follow(graph.values["h"]).ends_residual_branch


def test_a_constant_tensor_of_one_number_is_a_scalar() -> None:
    """Exporters store torch.zeros_like(x) in full."""
    following = behind("p = Greater(h, zeros) y = Where(p, h, zeros)", zeros=np.zeros((4, 6), np.float32))

    assert following.activation == "relu"


def test_what_leaves_the_model_in_between_is_met_as_it_is() -> None:
    """The sigmoid of a gate that is an output too is more than a step of SiLU."""
    text = (
        '<ir_version: 9, opset_import: ["" : 20]> g (float[N,8] x) => (float[N,6] y, float[N,6] p) '
        "{ h = MatMul(x, w) p = Sigmoid(h) y = Mul(h, p) }"
    )
    model = parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((8, 6), np.float32), "w"))

    following = follow(load_model(model).graph.values["h"])

    assert following.activation == "sigmoid"
