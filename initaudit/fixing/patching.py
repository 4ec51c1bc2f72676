"""Writing a parsed model with new values in its stored tensors into a file; nothing else changes.

The TensorProto is patched in place, so whatever onnx writes and other tools drop (training_info, sparse initializers,
metadata) stays as it was. External data is copied once into one new file beside the output, with the new values in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto

from initaudit.errors import FixRefused, InvalidModel
from initaudit.files import atomic_file
from initaudit.fixing.generations import ALIGNMENT, first_line, free_name, remove_earlier
from initaudit.redrawing.positions import set_values

if TYPE_CHECKING:
    from initaudit.model.load import Model
    from initaudit.model.tensors import Tensor


def write_model(
    model: Model, output: Path, changed: Mapping[int, np.ndarray], *, touched: Mapping[int, Tensor]
) -> list[Path]:
    """Write the model with `changed` values (by id of the Tensor in `touched`) to `output`; gives the files written.

    A model with external data gets one new data file beside it, and the one of an earlier run is removed. Nothing appears at `output` unless
    all succeeds. Raises FixRefused or UsageError.
    """
    external = _external_protos(model)
    inline = {key for key, tensor in touched.items() if id(tensor.proto) not in external}
    for key in inline:
        set_values(touched[key], changed[key])
    if not external:
        _write_proto(model, output)
        return [output]
    if output.is_symlink():
        raise FixRefused(
            f"{output}: is a link, and the weights lie in files beside what it leads to; give that file instead"
        )
    by_proto = {id(touched[key].proto): key for key in touched if key not in inline}
    data = free_name(output)
    with atomic_file(data, like=model.path) as stream:
        stream.write(first_line(output, _replaced(model, output, external)))
        for proto, tensor in external.values():
            stream.write(b"\0" * (-stream.tell() % ALIGNMENT))
            offset = stream.tell()
            new = by_proto.get(id(proto))
            if new is None:
                _copy_range(tensor, stream)
            else:
                dtype = onnx.helper.tensor_dtype_to_np_dtype(proto.data_type)
                stream.write(np.ascontiguousarray(changed[new].reshape(tensor.shape).astype(dtype)).tobytes())
            _relocate(proto, data.name, offset, stream.tell() - offset)
    try:
        _write_proto(model, output)
    except BaseException:
        data.unlink(missing_ok=True)
        raise
    remove_earlier(output, data)
    return [output, data]


def _replaced(model: Model, output: Path, external: Mapping[int, tuple[TensorProto, Tensor]]) -> set[Path]:
    """Data files that nobody needs once `output` is written: those of the model that it replaces, where they are called after it."""
    if model.path is None or not output.exists() or not model.path.samefile(output):
        return set()
    files = {source.path for _, tensor in external.values() if (source := tensor.external()) is not None}
    return {path for path in files if path.parent == output.resolve().parent and path.name.startswith(output.stem)}


def _external_protos(model: Model) -> dict[int, tuple[TensorProto, Tensor]]:
    found: dict[int, tuple[TensorProto, Tensor]] = {}
    for _, tensor in model.graph.tensors():
        proto = tensor.proto
        if isinstance(proto, TensorProto) and proto.data_location == TensorProto.EXTERNAL:
            found[id(proto)] = (proto, tensor)
    return found


def _copy_range(tensor: Tensor, stream: Any) -> None:
    source = tensor.external()
    assert source is not None
    with source.path.open("rb") as file:
        file.seek(source.offset)
        remaining = source.length
        while remaining:
            block = file.read(min(remaining, 1 << 24))
            if not block:
                raise InvalidModel(f"tensor {tensor.name!r}: external data ended early while it was copied")
            stream.write(block)
            remaining -= len(block)


def _relocate(proto: TensorProto, location: str, offset: int, length: int) -> None:
    del proto.external_data[:]
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        entry = proto.external_data.add()
        entry.key, entry.value = key, value


def _write_proto(model: Model, output: Path) -> None:
    try:
        raw = model.proto.SerializeToString()
    except ValueError as error:
        raise FixRefused(f"{output}: the model is larger than a protobuf may be (2 GB)") from error
    with atomic_file(output, like=model.path) as stream:
        stream.write(raw)


def copy_unchanged(model: Model, output: Path) -> list[Path]:
    """The same bytes at `output`; external data is copied along."""
    if model.path is not None and not _external_protos(model):
        with model.path.open("rb") as source, atomic_file(output, like=model.path) as stream:
            shutil.copyfileobj(source, stream)
        return [output]
    return write_model(model, output, {}, touched={})
