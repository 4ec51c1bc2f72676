"""One look at everything that a file says of itself, before anything else reads it: what comes behind may rely on it.

Refused are names and words that are no text, operators without the inputs that they need, attributes of another type than the operator has, branches
that give less than their If (onnxruntime refuses all of these), tensors that hold less than they promise, and references to external data that lead
out of the model's folder, wherever in the message they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import onnx
from onnx import AttributeProto, TensorProto

from initaudit.errors import InvalidModel
from initaudit.model.attribute_values import TYPES, check_values, is_of_runtime
from initaudit.model.bodies import bodies_of
from initaudit.model.external import check_external
from initaudit.model.graph import DEFAULT_DOMAINS
from initaudit.model.stored import tensors_of
from initaudit.model.tensors import check_held

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto

_Option = onnx.defs.OpSchema.FormalParameterOption

NEWEST_VERSION = (1 << 31) - 1
"""Largest version of an operator set: onnx and onnxruntime count them in 32 bits."""
_FORGOTTEN = frozenset({"consumed_inputs"})
"""Attributes that the first operator set demands and nothing reads: files of it leave them out, and run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schema:
    """What ONNX demands of a node."""

    least: int = 0
    """Inputs that it must have, in this version or in the newest; an omitted one in the middle counts."""
    most: int = 0
    """Inputs that ONNX knows, in this version and in the newest; a list has no end."""
    omissible: frozenset[int] = frozenset()
    """Positions of those that may be omitted, in this version or in the newest."""
    types: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of the attributes, in this version and in the newest: files mix them, which does no harm."""
    required: frozenset[str] = frozenset()


_ANYTHING = _Schema()
"""Of an operator that ONNX does not define."""


@dataclass(frozen=True, slots=True)
class Opset:
    """Which operators a graph may use."""

    versions: Mapping[str, int]
    functions: frozenset[tuple[str, str]]
    """Domain and name of the model's own functions."""

    def of_function(self, function: FunctionProto) -> Opset:
        """Those that its body may use."""
        return Opset({**self.versions, **versions(function.opset_import)}, self.functions)

    def schema(self, node: NodeProto) -> _Schema:
        """What ONNX demands of a node."""
        domain = "" if node.domain in DEFAULT_DOMAINS else node.domain
        if (node.domain, node.op_type) in self.functions:
            return _ANYTHING
        return _schema_of(node.op_type, domain, self.versions.get(domain, 0))


def check_model(model: ModelProto, folder: Path | None) -> None:
    """Raises InvalidModel or ExternalDataError, each naming the place."""
    _check_text("the model", (model.producer_name, model.producer_version, model.domain))
    _check_text("the model's metadata", (text for entry in model.metadata_props for text in (entry.key, entry.value)))
    _check_text("an operator set", (entry.domain for entry in model.opset_import))
    for entry in (*model.opset_import, *(entry for function in model.functions for entry in function.opset_import)):
        if not 0 < entry.version <= NEWEST_VERSION:
            raise InvalidModel(
                f"operator set {entry.domain!r:.100} has the version {entry.version}, which there cannot be"
            )
    opset = opset_of(model)
    _check_graph(model.graph, opset, folder)
    for function in model.functions:
        where = f"function {function.name!r:.100}"
        _check_text(where, (function.name, function.domain, function.overload, *function.input, *function.output))
        _check_text(where, (*function.attribute, *(entry.domain for entry in function.opset_import)))
        _check_attributes(where, function.attribute_proto, {}, opset, folder)
        _check_nodes(function.node, opset.of_function(function), folder)
    for training in model.training_info:
        for graph in (training.initialization, training.algorithm):
            _check_graph(graph, opset, folder)


def check_bound(node: NodeProto, attributes: Mapping[str, AttributeProto], opset: Opset) -> None:
    """The same for a node of a function that is called: inputs as the call leaves them, `attributes` as it gives them. Raises InvalidModel."""
    where, schema = _place(node), opset.schema(node)
    _check_given(where, node, attributes, schema)
    for attribute in attributes.values():
        _check_type(where, attribute, schema.types)
        _check_words(where, attribute, schema.types)
        check_values(where, node.domain, attribute)


def opset_of(model: ModelProto) -> Opset:
    """Which operators its main graph may use."""
    return Opset(versions(model.opset_import), frozenset((f.domain, f.name) for f in model.functions))


def versions(imports: Iterable[OperatorSetIdProto]) -> dict[str, int]:
    """Versions of the operator sets by domain; the standard one is the empty string."""
    return {"" if entry.domain in DEFAULT_DOMAINS else entry.domain: entry.version for entry in imports}


def _check_graph(graph: GraphProto, opset: Opset, folder: Path | None) -> None:
    where = f"graph {graph.name!r:.100}"
    _check_text(where, (graph.name,))
    for tensor in graph.initializer:
        _check_tensor(where, tensor, folder)
    for sparse in graph.sparse_initializer:
        _check_tensor(where, sparse.values, folder)
        _check_tensor(where, sparse.indices, folder)
    for info in (*graph.input, *graph.output, *graph.value_info):
        shape = info.type.tensor_type.shape
        _check_text(where, (info.name, *(d.dim_param for d in shape.dim if d.HasField("dim_param"))))
    _check_nodes(graph.node, opset, folder)


def _check_nodes(nodes: Iterable[NodeProto], opset: Opset, folder: Path | None) -> None:
    for node in nodes:
        where = _place(node)
        _check_text(where, (node.name, node.op_type, node.domain, node.overload, *node.input, *node.output))
        if not node.op_type:
            raise InvalidModel(f"{where}: it has no operator")
        for entry in node.metadata_props:
            _check_text(where, (entry.key, entry.value))
        schema = opset.schema(node)
        _check_given(where, node, (a.name for a in node.attribute), schema)
        _check_attributes(where, node.attribute, schema.types, opset, folder)
        for attribute in node.attribute:
            check_values(where, node.domain, attribute)
        if node.op_type == "If" and node.domain in DEFAULT_DOMAINS:
            for branch, body in ((a.name, body) for a in node.attribute for body in bodies_of(a)):
                if len(body.output) < len(node.output):
                    given = f"{branch} gives {len(body.output)} values"
                    raise InvalidModel(f"{where}: {given:.100}, the node has {len(node.output)} outputs")


def _place(node: NodeProto) -> str:
    return f"node {node.name or next(iter(node.output), '')!r:.100} ({node.op_type!s:.50})"


def _check_given(where: str, node: NodeProto, attributes: Iterable[str], schema: _Schema) -> None:
    if len(node.input) < schema.least:
        raise InvalidModel(f"{where}: {schema.least} inputs are needed, {len(node.input)} are there")
    for position, name in enumerate(node.input):
        if not name and position < schema.most and position not in schema.omissible:
            raise InvalidModel(f"{where}: input {position + 1} is needed, and is left out")
    if schema.required and (missing := schema.required.difference(attributes)):
        raise InvalidModel(f"{where}: the attribute {min(missing)!r} is missing")


def _check_attributes(
    where: str,
    attributes: Iterable[AttributeProto],
    types: Mapping[str, tuple[int, ...]],
    opset: Opset,
    folder: Path | None,
) -> None:
    for attribute in attributes:
        _check_text(where, (attribute.name, attribute.ref_attr_name))
        if attribute.type == AttributeProto.UNDEFINED and not attribute.ref_attr_name:
            raise InvalidModel(f"{where}: attribute {attribute.name!r:.100} has no type")
        if attribute.type != AttributeProto.UNDEFINED:
            _check_type(where, attribute, types)
        _check_words(where, attribute, types)
        for tensor in tensors_of(attribute):
            _check_tensor(where, tensor, folder)
        for body in bodies_of(attribute):
            _check_graph(body, opset, folder)


def _check_type(where: str, attribute: AttributeProto, types: Mapping[str, tuple[int, ...]]) -> None:
    wanted = types.get(attribute.name, (attribute.type,))
    if attribute.type not in wanted:
        names = (AttributeProto.AttributeType.Name(code) for code in (attribute.type, wanted[0]))
        msg = "{}: attribute {!r:.100} is of type {}, not {}".format(where, attribute.name, *names)
        raise InvalidModel(msg)


def _check_tensor(where: str, tensor: TensorProto, folder: Path | None) -> None:
    _check_text(where, (tensor.name,))
    if tensor.data_location == TensorProto.EXTERNAL:
        _check_text(where, (text for entry in tensor.external_data for text in (entry.key, entry.value)))
        check_external(tensor, folder)
    check_held(tensor, tensor.name)


def _check_words(where: str, attribute: AttributeProto, types: Mapping[str, tuple[int, ...]]) -> None:
    if attribute.name not in types:  # of an operator that ONNX does not define; it may hold bytes
        return
    for word in (attribute.s, *attribute.strings):
        try:
            word.decode()
        except UnicodeDecodeError:
            raise InvalidModel(f"{where}: {word!r:.100} is not valid UTF-8") from None


def _check_text(where: str, texts: Iterable[str]) -> None:
    """Protobuf gives bytes in place of a text that is no UTF-8."""
    for text in texts:
        if not isinstance(text, str):
            raise InvalidModel(f"{where}: {text!r:.100} is not valid UTF-8")


@lru_cache(maxsize=1024)
def _schema_of(op_type: str, domain: str, version: int) -> _Schema:
    try:
        newest = onnx.defs.get_schema(op_type, domain=domain)
    except onnx.defs.SchemaError:
        return _Schema(types=TYPES) if is_of_runtime(domain) else _ANYTHING
    try:
        schema = onnx.defs.get_schema(op_type, max_inclusive_version=version, domain=domain)
    except onnx.defs.SchemaError:  # older than the operator
        schema = newest
    types, later = _types(schema), _types(newest)
    return _Schema(
        least=min(schema.min_input, newest.min_input),
        most=min(schema.max_input, newest.max_input),
        omissible=frozenset(
            i for s in (schema, newest) for i, p in enumerate(s.inputs) if p.option == _Option.Optional
        ),
        types={name: (code, later.get(name, code)) for name, code in types.items()},
        required=frozenset(name for name, a in schema.attributes.items() if a.required and name not in _FORGOTTEN),
    )


def _types(schema: onnx.defs.OpSchema) -> dict[str, int]:
    codes = AttributeProto.AttributeType
    return {name: codes.Value(str(a.type).rpartition(".")[2]) for name, a in schema.attributes.items()}
