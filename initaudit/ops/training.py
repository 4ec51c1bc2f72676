"""Optimisers inside a training graph: moments and rates are state of the training, not of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.op import Found, NotALayer, Operator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants


class Optimiser(Operator):
    """Operators that update weights (ai.onnx.preview.training and onnxruntime's own)."""

    types = (
        *(f"ai.onnx.preview.training:{name}" for name in ("Adam", "Adagrad", "Momentum")),
        *(
            f"com.microsoft:{name}"
            for name in (
                "AdamOptimizer", "AdamWOptimizer", "LambOptimizer", "SGDOptimizer", "SGDOptimizerV2",
                "InPlaceAccumulator", "InPlaceAccumulatorV2", "MixedPrecisionScale",
            )
        ),
    )  # fmt: skip

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """All constants that only the optimiser reads; a weight that a layer uses stays the layer's."""
        for value in node.inputs:
            constant = constants.get(value)
            if constant is not None and constant.size > 1:
                yield NotALayer(operand=constant, reason=f"state of an optimiser ({node.op_type})")
