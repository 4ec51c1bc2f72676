"""Tables of transformers that tell nothing of what is looked up: rows that are equal, or lost beside others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import initaudit
from initaudit.auditor import audit
from initaudit.config import Config
from tests.networks import save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WIDTH, TOKENS, LENGTH = 16, 60, 8
UNPROBED = {context: Config(context=context, probe="none") for context in ("fresh", "trained")}


def embedded(
    edit: Callable[[dict[str, np.ndarray]], None] = lambda _: None,
    *,
    added: bool = False,
    factor: float = 1.0,
    scaling: str = "Mul",
) -> onnx.ModelProto:
    """token * factor + position (token / factor where the scaling is a Div) in front of a norm and a layer; positions are looked up, or `added` as they are."""
    rng = np.random.default_rng(0)
    tensors = {
        "tok.weight": rng.normal(0, 0.02, (TOKENS, WIDTH)),
        "pos.weight": rng.normal(0, 0.02, (LENGTH, WIDTH)),
        "ln.weight": rng.normal(1, 0.1, WIDTH),
        "ln.bias": rng.normal(0, 0.1, WIDTH),
        "fc.weight": rng.normal(0, 0.25, (WIDTH, 10)),
        "factor": np.float64(factor),
    }
    edit(tensors)
    stored = [numpy_helper.from_array(np.asarray(a, np.float32), name) for name, a in tensors.items()]
    stored.append(numpy_helper.from_array(np.arange(LENGTH), "places"))
    nodes = [
        helper.make_node("Gather", ["tok.weight", "ids"], ["tokens"], "tok"),
        helper.make_node(scaling, ["tokens", "factor"], ["scaled"]),
        helper.make_node("Gather", ["pos.weight", "places"], ["positions"], "pos"),
        helper.make_node("Add", ["scaled", "pos.weight" if added else "positions"], ["sum"], "pos_add"),
        helper.make_node("LayerNormalization", ["sum", "ln.weight", "ln.bias"], ["normed"], "ln"),
        helper.make_node("MatMul", ["normed", "fc.weight"], ["y"], "fc"),
    ]
    if added:
        del nodes[2]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", LENGTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        stored,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def times(name: str, factor: float) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda tensors: tensors.update({name: tensors[name] * factor})


def constant(name: str) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda tensors: tensors.update({name: np.full_like(tensors[name], 0.02)})


def same_rows(name: str) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda tensors: tensors.update({name: np.tile(tensors[name][:1], (len(tensors[name]), 1))})


def codes(proto: onnx.ModelProto, context: str = "trained") -> set[tuple[str, str, str | None]]:
    found = audit(proto, UNPROBED[context]).active
    return {(f.code, f.severity.value, f.initializer) for f in found if f.code in ("INI002", "INI102")}


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("context", ["fresh", "trained"])
def test_positions_that_drown_the_tokens_are_an_error(context: str, added: bool) -> None:
    """A thousand times as large, of what a norm lets through a millionth is left to the tokens."""
    proto = embedded(times("pos.weight", 1000.0), added=added)

    assert codes(proto, context) == {("INI102", "error", "pos.weight")}


@pytest.mark.parametrize(
    ("edit", "factor"),
    [
        (lambda _: None, 1.0),
        (times("tok.weight", 50.0), math.sqrt(WIDTH)),
        (times("pos.weight", 50.0), 1.0),
        (times("pos.weight", 1000.0), 1000.0),
    ],
    ids=["alike", "N(0, 1) times sqrt(d)", "positions of N(0, 1)", "both large"],
)
def test_starts_in_use_drown_nothing(edit: Callable[[dict[str, np.ndarray]], None], factor: float) -> None:
    """N(0, 1) beside N(0, 0.02), and tokens multiplied by the root of the width."""
    assert codes(embedded(edit, factor=factor), "fresh") == set()


def test_a_divisor_in_front_of_the_sum_counts() -> None:
    """Tokens divided by a thousandth are as large as positions a thousand times theirs."""
    divided = embedded(times("pos.weight", 1000.0), factor=0.001, scaling="Div")

    assert codes(divided, "fresh") == set()
    assert codes(embedded(times("pos.weight", 1000.0), factor=0.001), "fresh") == {("INI102", "error", "pos.weight")}


def test_a_norm_that_adds_its_inputs_itself_is_a_sum() -> None:
    """Optimised transformers hold the Add in it."""
    proto = embedded(times("pos.weight", 1000.0))
    (added,) = (node for node in proto.graph.node if node.op_type == "Add")
    (norm,) = (node for node in proto.graph.node if node.op_type == "LayerNormalization")
    fused = helper.make_node(
        "SkipLayerNormalization", [*added.input, *norm.input[1:]], norm.output, "ln", domain="com.microsoft"
    )
    proto.graph.node.remove(added)
    norm.CopyFrom(fused)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))

    assert codes(proto) == {("INI102", "error", "pos.weight")}


@pytest.mark.parametrize("rows", [constant, same_rows])
def test_rows_that_are_equal_tell_nothing(rows: Callable[[str], Callable[[dict[str, np.ndarray]], None]]) -> None:
    """Whichever the values are; a table of two rows may be segments that the network does not need."""
    two = embedded(lambda tensors: tensors.update({"tok.weight": np.full((2, WIDTH), 0.3)}))

    assert codes(embedded(rows("tok.weight"))) == {("INI002", "error", "tok.weight")}
    assert codes(two) == set()


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("pos.weight", times("pos.weight", 1000.0)),
        ("tok.weight", constant("tok.weight")),
        ("tok.weight", same_rows("tok.weight")),
    ],
    ids=["drowning", "constant", "equal rows"],
)
def test_a_fix_draws_the_table_as_large_as_the_one_beside_it(
    name: str, edit: Callable[[dict[str, np.ndarray]], None], tmp_path: Path
) -> None:
    """And nothing else."""
    path, out = save(embedded(edit), tmp_path / "m.onnx"), tmp_path / "out.onnx"

    result = initaudit.fix(path, out, config=UNPROBED["fresh"])
    (before, after) = ({t.name: numpy_helper.to_array(t) for t in onnx.load(p).graph.initializer} for p in (path, out))

    assert {n for n in before if not np.array_equal(before[n], after[n])} == {name}
    assert after[name].std() == pytest.approx(0.02, rel=0.2)
    assert [change.scheme for change in result.changes] == ["normal, like the table beside it"]
    assert result.now.verdict.status == "pass"
