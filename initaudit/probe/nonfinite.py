"""Which node makes the first NaN or infinity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, TensorProto, helper

from initaudit.probe.instrument import PREFIX, GraphEditor, tap_options
from initaudit.probe.segments import Network

if TYPE_CHECKING:
    from pathlib import Path


def first_nonfinite(
    model: ModelProto, folder: Path | None, feed: Mapping[str, np.ndarray], values: list[str]
) -> str | None:
    """The node that makes NaN or infinity from finite values, found by going back from the first bad one of `values`.

    Infinities that the file stores on purpose (attention masks) are constants, at which the way back ends.

    Args:
        model: flattened and runnable; it is changed.
        folder: where its external data lies.
        feed: inputs of one run.
        values: values of the network in topological order, some of them not finite.

    Returns:
        Its name (operator and first output, where it has none), or None where no node can be blamed.
    """
    network = Network(model)
    bad = _not_finite(model, folder, feed, _floats(model, folder, network))
    value = next((v for v in values if v in bad), None)
    if value is None:
        return None
    while True:
        node, read = network.nodes[network.position[value]]
        source = next((v for v in read if v in bad), None)
        if source is None:
            return node.name or f"{node.op_type} that gives {value}"
        value = source


def _floats(model: ModelProto, folder: Path | None, network: Network) -> list[str]:
    """Values made from the data that are floating-point tensors, as onnxruntime's own type inference says."""
    from initaudit.probe.session import open_session

    probe = ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    names = [name for node, _ in network.nodes for name in node.output if name]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = open_session(probe, folder)
    floats = ("tensor(float)", "tensor(float16)", "tensor(double)")
    return [output.name for output in session.get_outputs() if output.type in floats]


def _not_finite(
    model: ModelProto, folder: Path | None, feed: Mapping[str, np.ndarray], names: list[str]
) -> frozenset[str]:
    """Those of the values `names` that hold an element which is not finite: the only ones with v - v != 0 somewhere."""
    from initaudit.probe.session import open_session, run_session

    editor = GraphEditor(model)
    results = {name: f"{PREFIX}finite/{name}" for name in names}
    for name, result in results.items():
        floats, zero = (f"{PREFIX}{what}/{name}" for what in ("cast", "zero"))
        editor.behind(
            name,
            helper.make_node("Cast", [name], [floats], to=TensorProto.FLOAT),
            helper.make_node("Sub", [floats, floats], [zero]),
            helper.make_node("ReduceSum", [zero], [result], keepdims=0),
        )
        editor.output(result)
    session = open_session(editor.finish(), folder, tap_options())
    answers = run_session(session, list(results.values()), feed)
    return frozenset(name for name, total in zip(results, answers, strict=True) if not np.isfinite(total))
