"""Ports: the inputs of a model that need values, as the file declares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from initaudit.errors import ProbeError, UsageError
from initaudit.probe.inputs.data import check_shape
from initaudit.probe.inputs.values import dtype_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from onnx import ModelProto, ValueInfoProto


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A graph input as the file declares it."""

    name: str
    dtype: np.dtype[Any]
    dims: tuple[int | str | None, ...]


def ports_of(model: ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> list[Port]:
    """The inputs without initializer; `shapes` gives the rank where the file does not. Raises ProbeError."""
    constants = {t.name for t in model.graph.initializer} | {t.values.name for t in model.graph.sparse_initializer}
    return [_port(info, shapes) for info in model.graph.input if info.name not in constants]


def check_shapes(shapes: Mapping[str, tuple[int, ...]], ports: list[Port]) -> None:
    """Raises UsageError where a shape is of an input that there is not, or contradicts what the file declares."""
    known = {port.name: port.dims for port in ports}
    for name, shape in shapes.items():
        if name not in known:
            raise UsageError(f"--input-shape: the model has no input {name!r}; it has {', '.join(known) or 'none'}")
        check_shape(name, shape, known[name], "--input-shape")


def misfits(model: ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The inputs whose shape the model cannot have, and why; no reason where it has no such input."""
    wrong: dict[str, str] = {}
    inputs = {info.name: info for info in model.graph.input}
    for name, shape in shapes.items():
        try:
            if name not in inputs:
                wrong[name] = ""
            else:
                check_shapes({name: shape}, [_port(inputs[name], shapes)])
        except UsageError as error:
            wrong[name] = str(error)
        except ProbeError:
            continue  # the probe says what cannot be fed
    return wrong


def _port(info: ValueInfoProto, shapes: Mapping[str, tuple[int, ...]]) -> Port:
    """Raises ProbeError for what is no dense tensor of known rank and type."""
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        what = (kind or "value of unknown type").removesuffix("_type").replace("_", " ")
        raise ProbeError(f"input {info.name!r} is a {what}; only tensors can be fed")
    tensor = info.type.tensor_type
    dtype = dtype_of(tensor.elem_type)
    if dtype is None:
        raise ProbeError(f"input {info.name!r} has element type {tensor.elem_type}, which cannot be fed")
    if not tensor.HasField("shape") and info.name in shapes:
        return Port(name=info.name, dtype=dtype, dims=(None,) * len(shapes[info.name]))
    if not tensor.HasField("shape"):
        raise ProbeError(f"input {info.name!r} has no declared rank; give its shape with --input-shape")
    dims: list[int | str | None] = [
        d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in tensor.shape.dim
    ]
    return Port(name=info.name, dtype=dtype, dims=tuple(dims))
