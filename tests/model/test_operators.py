"""The operator table: one row says what each operator does, and no part of the program contradicts it."""

from __future__ import annotations

import onnx
import pytest

from initaudit.activations.elementwise import CONTRIB_OPERATORS, OPERATORS
from initaudit.extraction.find import operators
from initaudit.model.operators import TABLE, UNKNOWN, AxisMap, OperatorSpec, Use, Values, operator_spec

NO_DATA_PASSES = {"Loop", "Scan", "NonMaxSuppression"}
"""Operators that keep constants without being a layer: bodies are walked by themselves, boxes end the signal."""
NO_NETWORK = ("ai.onnx.ml:", "ai.onnx.preview.training:", "com.microsoft:AdamOptimizer", "com.microsoft:AdamWOptimizer",
              "com.microsoft:LambOptimizer", "com.microsoft:SGDOptimizer", "com.microsoft:InPlaceAccumulator",
              "com.microsoft:MixedPrecisionScale")  # fmt: skip
"""Classic models, whose coefficients are attributes, and the steps of an optimiser."""


def spec(name: str) -> OperatorSpec:
    """The row of an operator as families name it: `op_type` or `domain:op_type`."""
    domain, _, op_type = name.rpartition(":")
    return operator_spec(op_type, domain)


def test_every_operator_that_owns_weights_has_a_row():
    """Else a layer in front of it would feed nothing that is known, and count as the head."""
    missing = {n for n in operators() if spec(n) == UNKNOWN and not n.startswith(NO_NETWORK)} - NO_DATA_PASSES

    assert not missing


def test_elementwise_operators_keep_or_broadcast_the_axes():
    """What is computed element by element leaves every axis where it was."""
    maps = {name: operator_spec(name).axis_map for name in (*OPERATORS, *CONTRIB_OPERATORS)}

    assert {name for name, of in maps.items() if of not in (AxisMap.SAME, AxisMap.BROADCAST)} == set()


def test_positions_are_inputs_that_the_operator_has():
    """Weights, factors and addends of the operators that onnx defines are inputs of theirs."""
    positions = {
        name: (*row.weights, *(row.operands or ()) * (row.use is Use.PRODUCT), *(row.data or ()))
        for name, row in TABLE.items()
        if onnx.defs.has(name)
    }

    beyond = {n for n, of in positions.items() if max(of, default=0) >= max(onnx.defs.get_schema(n).max_input, 1)}
    assert len(positions) > 100
    assert beyond == set()


def test_what_keeps_values_passes_the_signal_on():
    """An operator that only arranges values is linear for the walk behind a layer."""
    uses = {name: row.use for name, row in TABLE.items() if row.values is Values.KEPT}

    assert uses
    assert {name for name, use in uses.items() if use is not Use.PASS} == set()


def test_an_operator_of_a_domain_goes_before_the_one_of_its_name():
    """com.microsoft's Attention projects its input with weights of its own; the standard one has none."""
    assert operator_spec("Attention", "com.microsoft").weights
    assert not operator_spec("Attention").weights
    assert operator_spec("Conv", "com.microsoft.nchwc") == operator_spec("Conv")
    assert operator_spec("Conv9", "nowhere") == UNKNOWN


@pytest.mark.parametrize("name", ["QuantizeLinear", "QLinearConv", "QLinearMatMul", "MatMulInteger", "ConvInteger"])
def test_integer_operators_round(name):
    """A small change of their input changes nothing, or jumps: no gradient can be measured through them."""
    assert operator_spec(name).rounds
    assert not operator_spec("DequantizeLinear").rounds
