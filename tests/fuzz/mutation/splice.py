"""Two models made one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import ModelProto

if TYPE_CHECKING:
    import random

LISTS = ("node", "initializer", "sparse_initializer", "value_info", "input", "output", "quantization_annotation")


def splice(model: ModelProto, other: ModelProto, rng: random.Random) -> None:
    """The graph of the other behind, beside or over that of the model, which is changed; with equal names or with its own."""
    second = ModelProto()
    second.CopyFrom(other)
    match rng.randrange(4):
        case 0:
            model.MergeFrom(second)
        case 1:
            _join(model, _prefixed(second), rng)
        case 2:
            _join(model, second, rng)
        case _:  # only some of its parts
            for name in rng.sample(LISTS, rng.randrange(1, 4)):
                getattr(model.graph, name).extend(getattr(second.graph, name))
    model.functions.extend(second.functions)
    known = {entry.domain for entry in model.opset_import}
    model.opset_import.extend(entry for entry in second.opset_import if entry.domain not in known)


def _prefixed(model: ModelProto) -> ModelProto:
    """With other names for everything in the main graph; bodies lose what they read outside of themselves."""
    graph = model.graph
    for entry in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        entry.name = f"other/{entry.name}"
    for node in graph.node:
        node.name = f"other/{node.name}"
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                names[at] = f"other/{name}" if name else ""
    return model


def _join(model: ModelProto, second: ModelProto, rng: random.Random) -> None:
    """The output of the one as the input of the other, or both beside each other."""
    if model.graph.output and second.graph.input and rng.random() < 0.7:
        old, new = second.graph.input[0].name, model.graph.output[0].name
        for node in second.graph.node:
            for at, name in enumerate(node.input):
                if name == old:
                    node.input[at] = new
        del second.graph.input[0]
    for name in LISTS:
        getattr(model.graph, name).extend(getattr(second.graph, name))
