"""Attributes of every type: those that an operator has, others, and references to those of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import AttributeProto, NodeProto, TypeProto, helper

from tests.fuzz.mutation.tensors import any_shape, any_sparse, any_tensor
from tests.fuzz.mutation.values import NUMBERS, REALS, TEXTS

if TYPE_CHECKING:
    import random

USUAL = (
    "axis",
    "axes",
    "perm",
    "to",
    "alpha",
    "value",
    "value_floats",
    "group",
    "kernel_shape",
    "pads",
    "strides",
    "dilations",
    "transB",
)
USUAL += (
    "hidden_size",
    "direction",
    "layout",
    "block_size",
    "num_heads",
    "keepdims",
    "mode",
    "equation",
    "body",
    "then_branch",
    "split",
)
USUAL += (
    "num_scan_inputs",
    "K",
    "N",
    "bits",
    "epsilon",
    "allowzero",
    "auto_pad",
    "output_shape",
    "activations",
    "qkv_hidden_sizes",
)
WORDS = (
    b"",
    b"SAME_UPPER",
    b"VALID",
    b"reverse",
    b"bidirectional",
    b"constant",
    b"reflect",
    b"ij,jk->ik",
    b"...",
    b"i->ii",
    b"\xff\xfe",
    b"Tanh",
)


def any_attribute(rng: random.Random, name: str, kind: int | None = None) -> AttributeProto:  # noqa: C901  one case a type
    """An attribute with a value of the given type, or of any."""
    made = AttributeProto(name=name)
    made.type = rng.choice(AttributeProto.AttributeType.values()) if kind is None else kind
    codes = AttributeProto
    many = range(rng.choice((0, 1, 2, 2, 4, 20)))
    small = (0, 1, -1, 2, 3, 4)
    match made.type:
        case codes.FLOAT:
            made.f = rng.choice(REALS)
        case codes.INT:
            made.i = rng.choice(small if rng.random() < 0.6 else (*NUMBERS, *onnx.TensorProto.DataType.values()))
        case codes.STRING:
            made.s = rng.choice(WORDS)
        case codes.TENSOR:
            made.t.CopyFrom(any_tensor(rng, "t"))
        case codes.GRAPH:
            made.g.CopyFrom(any_body(rng))
        case codes.SPARSE_TENSOR:
            made.sparse_tensor.CopyFrom(any_sparse(rng))
        case codes.TYPE_PROTO:
            made.tp.CopyFrom(any_type(rng))
        case codes.FLOATS:
            made.floats.extend(rng.choice(REALS) for _ in many)
        case codes.INTS:
            made.ints.extend(rng.choice(small if rng.random() < 0.8 else NUMBERS) for _ in many)
        case codes.STRINGS:
            made.strings.extend(rng.choice(WORDS) for _ in many)
        case codes.TENSORS:
            made.tensors.extend(any_tensor(rng, "t") for _ in many)
        case codes.GRAPHS:
            made.graphs.extend(any_body(rng) for _ in range(2))
        case codes.SPARSE_TENSORS:
            made.sparse_tensors.extend(any_sparse(rng) for _ in range(2))
        case codes.TYPE_PROTOS:
            made.type_protos.extend(any_type(rng) for _ in range(2))
    return made


def any_body(rng: random.Random) -> onnx.GraphProto:
    """A small body that reads what is outside, or what it is given."""
    inputs = [helper.make_tensor_value_info(f"i{n}", rng.choice((1, 7, 9)), None) for n in range(rng.randrange(4))]
    node = helper.make_node(rng.choice(("MatMul", "Add", "Identity")), [rng.choice(("x", "i0", "w")), "bw"], ["bo"])
    outputs = [helper.make_tensor_value_info("bo", 1, None) for _ in range(rng.choice((0, 1, 1, 2)))]
    return helper.make_graph([node], rng.choice(TEXTS), inputs, outputs, [any_tensor(rng, "bw", (4, 4))])


def any_type(rng: random.Random, depth: int = 0) -> TypeProto:
    """A tensor's type, or one of the others, nested."""
    made = TypeProto(denotation=rng.choice(("", "IMAGE", "\u202e")))
    match rng.randrange(6) if depth < 3 else 0:
        case 1:
            made.sequence_type.elem_type.CopyFrom(any_type(rng, depth + 1))
        case 2:
            made.optional_type.elem_type.CopyFrom(any_type(rng, depth + 1))
        case 3:
            made.map_type.key_type = rng.choice((7, 8, 99))
            made.map_type.value_type.CopyFrom(any_type(rng, depth + 1))
        case 4:
            made.sparse_tensor_type.elem_type = 1
            _dims(made.sparse_tensor_type.shape, rng)
        case _:
            made.tensor_type.elem_type = rng.choice((0, 1, 1, 1, 7, 8, 9, 10, 16, 99))
            if rng.random() < 0.8:
                _dims(made.tensor_type.shape, rng)
    return made


def _dims(shape: Any, rng: random.Random) -> None:
    shape.SetInParent()
    for size in any_shape(rng):
        dim = shape.dim.add()
        if rng.random() < 0.3:
            dim.dim_param = rng.choice(TEXTS)
        elif rng.random() < 0.9:
            dim.dim_value = size


def schema_of(node: NodeProto) -> Any:
    """What ONNX says of the newest version of an operator; None of one that it does not define."""
    try:
        return onnx.defs.get_schema(node.op_type, domain=node.domain)
    except (onnx.defs.SchemaError, TypeError):
        return None


def type_code(attribute: Any) -> int:
    """Of an attribute in a schema."""
    return AttributeProto.AttributeType.Value(str(attribute.type).rpartition(".")[2])


def mutate_attributes(node: NodeProto, rng: random.Random) -> None:
    """Give a node an attribute that its operator has, of its type or of another, or one of another operator; or take one away."""
    if node.attribute and rng.random() < 0.2:
        del node.attribute[rng.randrange(len(node.attribute))]
        return
    schema = schema_of(node)
    known = {name: type_code(a) for name, a in schema.attributes.items()} if schema is not None else {}
    name = rng.choice(sorted(known)) if known and rng.random() < 0.8 else rng.choice(USUAL)
    kind = known.get(name) if rng.random() < 0.9 else None
    made = any_attribute(rng, name, kind)
    if rng.random() < 0.05:
        made.ref_attr_name = rng.choice(("alpha", "axis", ""))
    for at in reversed([i for i, a in enumerate(node.attribute) if a.name == name]):
        if rng.random() < 0.9:
            del node.attribute[at]
    node.attribute.append(made)
