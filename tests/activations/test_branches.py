"""What a skip connection goes past: everything between its split and the sum where it returns, and nothing else."""

from __future__ import annotations

import time

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from initaudit.activations import values_in_branches
from initaudit.model.load import load_model
from tests.activations.behind import graph_of

SQUARE = np.eye(8, dtype=np.float32)


def bypassed(body: str, **constants: np.ndarray) -> set[str]:
    """Names of the values in residual branches of a graph with input x [N, 8], weights m [8, 8], w [8, 6] and v [6, 8]."""
    return {value.name for value in values_in_branches(graph_of(body, m=SQUARE, **constants))}


@pytest.mark.parametrize(
    ("body", "inside"),
    [
        ("a = MatMul(x, w) b = Relu(a) h = MatMul(b, v) y = Add(h, x)", "a b h"),
        ("a = MatMul(x, w) h = MatMul(a, v) y = Add(x, h)", "a h"),
        ("a = MatMul(x, m) b = Relu(a) y = Add(b, x)", "a b"),
        ("a = MatMul(x, m) g = Sigmoid(a) c = MatMul(x, m) h = Mul(c, g) y = Add(h, x)", "a g c h"),
        ("n = LayerNormalization(x, o, o) a = MatMul(n, m) b = Tanh(a) h = MatMul(b, m) y = Add(h, x)", "n a b h"),
        ("q = MatMul(x, m) t = Transpose(q) s = MatMul(q, t) p = Softmax(s) c = MatMul(x, m) u = MatMul(p, c) y = Add(u, x)",
         "q t s p c u"),
        ("a = MatMul(x, m) b = Tanh(a) h = MatMul(b, m) c = MatMul(x, m) s = Add(h, c) y = Add(s, x)", "a b h c s"),
        ("a = MatMul(x, m) b = Relu(a) h = MatMul(b, m) y = com.microsoft.SkipLayerNormalization(h, x, o, o)", "a b h"),
    ],
    ids=["plain", "low-rank", "ends-in-relu", "gated", "pre-norm", "attention", "parallel", "fused-norm"],
)  # fmt: skip
def test_everything_between_split_and_sum_lies_in_the_branch(body: str, inside: str) -> None:
    """Whatever stands in it, norms, activations, gates and products included."""
    assert bypassed(body, o=np.ones(8, np.float32)) == set(inside.split())


def test_layers_before_and_behind_a_block_lie_in_no_branch() -> None:
    """The stem feeds the skip and the branch alike; the head reads their sum."""
    inside = bypassed(
        "s = MatMul(x, m) t = Relu(s) a = MatMul(t, m) b = Relu(a) h = MatMul(b, m) z = Add(h, t) y = MatMul(z, m)"
    )

    assert inside == {"a", "b", "h"}


def test_a_projection_on_the_skip_is_not_bypassed_itself() -> None:
    """The stream has no other way than the projection and the branch."""
    inside = bypassed("s = MatMul(x, m) a = MatMul(x, m) b = Relu(a) h = MatMul(b, m) y = Add(h, s)")

    assert inside == {"a", "b", "h"}


def test_what_only_feeds_into_a_branch_does_not_lie_in_it() -> None:
    """A condition computed from another signal does not come from the split."""
    inside = bypassed(
        "t = MatMul(x, m) r = Exp(t) e = MatMul(r, m) s = Sin(x) a = MatMul(s, m) c = Mul(a, e) h = MatMul(c, m) y = Add(h, s)"
    )

    assert inside == {"a", "c", "h"}


def test_branches_within_branches() -> None:
    """A long skip goes past whole blocks, their sums included."""
    inside = bypassed("a = MatMul(x, m) b = Relu(a) c = MatMul(b, m) d = Add(c, b) h = MatMul(d, m) y = Add(h, x)")

    assert inside == {"a", "b", "c", "d", "h"}


@pytest.mark.parametrize(
    "body",
    [
        "a = MatMul(x, m) b = Relu(a) y = MatMul(b, m)",
        "a = MatMul(x, m) y = Mul(a, x)",
        "a = Tanh(x) b = MatMul(a, m) t = Constant <value_floats = [1.0]> () q = Exp(t) y = Add(b, q)",
        "p = MatMul(x, m) q = Tanh(p) h = MatMul(q, m) c = MatMul(x, m) s = Add(h, c) y = Sigmoid(s)",
        "a = MatMul(x, m) y = Add(a, a)",
    ],
    ids=["chain", "product", "constant", "recurrent-cell", "doubled"],
)
def test_where_no_skip_returns_there_is_no_branch(body: str) -> None:
    """Chains, products and the sums of recurrent cells have no way past their layers."""
    assert bypassed(body) == set()


def test_the_branch_in_a_fused_convolution() -> None:
    """FusedConv adds the skip itself: what comes before it lies in the branch that it ends."""
    inside = bypassed(
        'c = Conv <kernel_shape = [1], pads = [0, 0]> (x, k) r = Relu(c) y = com.microsoft.FusedConv <activation = "Relu"> (r, k, , x)',
        k=np.ones((4, 4, 1), np.float32),
    )

    assert inside == {"c", "r"}


def blocks(count: int, *, skip_to_start: bool) -> object:
    """A stack of residual blocks x + V relu(W x), or one whose blocks all get the first stream again."""
    nodes, stream = [], "x"
    for i in range(count):
        nodes += [
            helper.make_node("MatMul", [stream, "w"], [f"a{i}"]),
            helper.make_node("Relu", [f"a{i}"], [f"b{i}"]),
            helper.make_node("MatMul", [f"b{i}", "w"], [f"h{i}"]),
            helper.make_node("Add", ["x" if skip_to_start else stream, f"h{i}"], [f"s{i}"]),
        ]
        stream = f"s{i}"
    graph = helper.make_graph(
        nodes,
        "deep",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])],
        [helper.make_tensor_value_info(stream, TensorProto.FLOAT, ["N", 8])],
        [numpy_helper.from_array(SQUARE, "w")],
    )
    return load_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])).graph


@pytest.mark.parametrize("skip_to_start", [False, True], ids=["stacked", "first-stream-again"])
def test_the_time_grows_with_the_number_of_blocks_and_not_with_its_square(skip_to_start: bool) -> None:
    """Eight times the blocks take eight times as long; the square would be 64."""
    small, large = blocks(100, skip_to_start=skip_to_start), blocks(800, skip_to_start=skip_to_start)

    def seconds(graph: object) -> float:
        start = time.process_time()
        values_in_branches(graph)
        return time.process_time() - start

    assert min(seconds(large) for _ in range(3)) < 24 * min(seconds(small) for _ in range(3))
