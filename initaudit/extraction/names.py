"""Names of layers: one that is unique, one that a person recognises, and one that survives a re-export.

Exporters lose names: torch's writes `onnx::MatMul_280` or `val_59` for a transposed weight and `node_MatMul_12` for its node.
What is left is the name of the bias beside it, the scope in the node's name, or the module path in the node's metadata.
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from initaudit.model.parameter_names import module_of
from initaudit.model.unique import distinct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from initaudit.model.graph import Node
    from initaudit.op import LayerSpec


class LayerNames(NamedTuple):
    """What one layer is called."""

    name: str
    """Unique in the model."""
    title: str
    """What a person recognises; several layers may share it."""
    lasting: str
    """Unique in the model and the same in the next export: made of names that somebody gave, else of kind, fans and place among the
    layers that are alike in these."""


def name_layers(specs: Sequence[tuple[Node, LayerSpec]]) -> list[LayerNames]:
    """The names of each layer, in order."""
    uses = Counter(id(t) for _, spec in specs for t in spec.operand.tensors[:1])
    shared_biases = Counter(
        id(t) for _, s in specs for c in s.auxiliary if c.role == "bias" for t in c.operand.tensors[:1]
    )
    named, given = [], []
    for node, spec in specs:
        weight = spec.operand.tensors[0]
        own = spec.part is not None or uses[id(weight)] == 1
        title = next(_titles(node, spec, own=own, shared_biases=shared_biases), None)
        base, counted = node.name, not node.name or _is_counted(node)
        if counted:
            base = title or base or node.op_type
        part = " ".join(p for p in (spec.role, spec.part) if p)
        label = f"[{part}]" if part else ""
        named.append((base, label, title or base))
        alike = f"{spec.kind.value} {spec.fan_in}->{spec.fan_out}"
        given.append((title or (alike if counted else base), label))
    names = distinct([(base, label) for base, label, _ in named])
    return [
        LayerNames(name, f"{title}{label}", lasting)
        for name, lasting, (_, label, title) in zip(names, distinct(given), named, strict=True)
    ]


def _is_counted(node: Node) -> bool:
    """Whether a node's name is its operator and a number, e.g. `node_MatMul_12`, `MatMul_31`."""
    plain = node.name.lower().rstrip("0123456789").rstrip("_")
    return node.name.startswith("node_") or plain == node.op_type.lower()


def _titles(node: Node, spec: LayerSpec, *, own: bool, shared_biases: Counter[int]) -> Iterator[str]:
    """Candidates, best first. The name of a tensor that several nodes use says nothing of this one, so its scope goes before it."""
    weight = spec.operand.tensors[0].name
    stored, scope = module_of(weight), scope_of(node)
    if own and stored:
        yield stored
    for constant in spec.auxiliary:
        tensors = constant.operand.tensors
        if constant.role == "bias" and len(tensors) == 1 and shared_biases[id(tensors[0])] == 1:
            beside = module_of(tensors[0].name)
            if beside:
                yield beside
    if scope:
        yield scope
    if stored:
        yield stored


def scope_of(node: Node) -> str | None:
    """Module path of a node: from torch's metadata, else from a name like `/encoder/layer.0/query/MatMul`."""
    scopes = node.metadata.get("pkg.torch.onnx.name_scopes")
    if scopes:
        try:
            path = [str(s) for s in ast.literal_eval(scopes)]
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            path = []
        if len(path) >= 2 and path[-2]:
            return path[-2]
    namespace = node.metadata.get("namespace")
    if namespace:
        modules = [part.split(":")[0].strip() for part in namespace.split("/")[:-1]]
        if modules and modules[-1]:
            return modules[-1]
    if "/" in node.name:
        parts = [p for p in node.name.split("/") if p][:-1]  # the last is the operator
        # torch repeats the container in the names of its children: /blocks/blocks.0/conv
        kept = [p for i, p in enumerate(parts) if i + 1 == len(parts) or not parts[i + 1].startswith(f"{p}.")]
        return ".".join(kept) or None
    return None
