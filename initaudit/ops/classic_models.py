"""Models of classical machine learning (domain ai.onnx.ml): their parameters are attributes, and no layer of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from onnx import AttributeProto

from initaudit.op import Found, NotALayer, Operator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants


class ClassicModel(Operator):
    """Linear models, support vector machines and tree ensembles."""

    _kinds: ClassVar[dict[str, str]] = {
        "LinearClassifier": "a linear model", "LinearRegressor": "a linear model", "SVMClassifier": "a support vector machine",
        "SVMRegressor": "a support vector machine", "TreeEnsembleClassifier": "a tree ensemble",
        "TreeEnsembleRegressor": "a tree ensemble", "TreeEnsemble": "a tree ensemble",
    }  # fmt: skip
    types = tuple(f"ai.onnx.ml:{name}" for name in _kinds)

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """One line per model, with the number of coefficients."""
        del constants  # the coefficients are attributes
        count = sum(
            len(a.floats) if a.type == AttributeProto.FLOATS else 0
            for name, a in node.attributes.items()
            if name != "nodes_hitrates"
        )
        output = node.outputs[0]
        yield NotALayer(
            name=node.name or (output.name if output is not None else node.op_type),
            parameters=count,
            reason=f"{self._kinds[node.op_type]} ({node.op_type}): its coefficients are attributes, not the weights of a layer",
        )
