"""Writing a model with new values in its stored tensors into a file; nothing else changes.

What the file holds is taken from it piece by piece, so that whatever other tools drop (training_info, sparse initializers, metadata, fields of later
versions) stays as it was, and weights pass from file to file without being held. External data is copied once into one new file beside the output, with
the new values in it.
"""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto

from initaudit.errors import FixRefused, InvalidModel
from initaudit.files import atomic_file
from initaudit.fixing.copying import copy_range, put
from initaudit.fixing.external_data import places_of, write_data
from initaudit.fixing.generations import free_name, is_data_of, remove_earlier
from initaudit.fixing.lazily import Lazily
from initaudit.fixing.splicing import WITHIN, Range, length_of, pieces_of
from initaudit.model.digest import raw
from initaudit.model.load import version_of
from initaudit.model.outline import MalformedError
from initaudit.model.stored import stored_tensors
from initaudit.redrawing.positions import set_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.fixing.splicing import Piece
    from initaudit.model.external import ExternalRange
    from initaudit.model.load import Model
    from initaudit.model.tensors import Tensor


def write_model(
    model: Model, output: Path, changed: Mapping[int, np.ndarray], *, touched: Mapping[int, Tensor]
) -> list[Path]:
    """Write the model with `changed` values (by id of the Tensor in `touched`) to `output`; gives the files written.

    A model with external data gets one new data file beside it, and the one of an earlier run is removed. Nothing appears at `output` unless
    all succeeds. Raises FixRefused, InvalidModel, ExternalDataError or UsageError.
    """
    places = places_of(_outside(model), model.folder)
    outside = {id(proto) for proto, _ in places}
    initializers = list(model.proto.graph.initializer)  # held: a wrapper that nobody holds leaves its id to another
    main = set(map(id, initializers))
    make: dict[int, Callable[[], np.ndarray]] = {}
    for key, tensor in touched.items():
        if id(tensor.proto) in outside or (model.path is not None and id(tensor.proto) in main):
            make[id(tensor.proto)] = partial(_new, tensor, changed, key)
        else:
            set_values(tensor, changed[key])
    values = Lazily(make)
    if not places:
        _write_message(model, output, values)
        return [output]
    if output.is_symlink():
        raise FixRefused(
            f"{output}: is a link, and the weights lie in files beside what it leads to; give that file instead"
        )
    data = free_name(output)
    replaced = _replaced(model, output, places)
    try:
        write_data(data, output, places, values, replaced=replaced, like=model.path)
        _write_message(model, output, {key: values[key] for key in values if key not in outside})
    except BaseException:
        data.unlink(missing_ok=True)
        raise
    remove_earlier(output, data)
    return [output, data]


def stored(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    """The values as the tensor stores them: in its own shape and type, rounded once."""
    assert isinstance(tensor.proto, TensorProto)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.proto.data_type)
    return values.reshape(tensor.shape).astype(dtype, copy=False)


def _new(tensor: Tensor, changed: Mapping[int, np.ndarray], key: int) -> np.ndarray:
    return stored(tensor, changed[key])


def _outside(model: Model) -> list[TensorProto]:
    """Messages whose values lie in other files, wherever in the model they stand."""
    own = None if model.path is None else model.path.resolve().name
    initializers = list(model.proto.graph.initializer) if model.mapped else []  # held, as above
    mapped = set(map(id, initializers))
    found = []
    for tensor in stored_tensors(model.proto):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        if own is None or all(e.key != "location" or os.path.normpath(e.value) != own for e in tensor.external_data):
            found.append(tensor)
        elif id(tensor) not in mapped:
            raise FixRefused(f"{model.label}: tensor {tensor.name!r:.100}: {WITHIN}")
    return found


def _replaced(model: Model, output: Path, places: Sequence[tuple[TensorProto, ExternalRange]]) -> set[Path]:
    """Data files that nobody needs once `output` is written: those of the model that it replaces, where they are called after it."""
    if model.path is None or not output.exists() or not model.path.samefile(output):
        return set()
    files = {place.path for _, place in places}
    return {path for path in files if path.parent == output.resolve().parent and is_data_of(output, path.name)}


def _write_message(model: Model, output: Path, values: Mapping[int, np.ndarray]) -> None:
    """The .onnx file: pieces of the one that the model came from, or the message where it came from memory."""
    if model.path is None:
        try:
            whole = model.proto.SerializeToString()
        except ValueError as error:
            raise FixRefused(f"{output}: the model is larger than a protobuf may be (2 GB)") from error
        _write_pieces(output, [whole], None, model)
        return
    with ExitStack() as opened:
        source = opened.enter_context(model.path.open("rb", buffering=0))
        _check_unchanged(model, source.fileno())
        file = opened.enter_context(mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ))
        location = model.path.resolve().name if model.mapped else None
        try:
            pieces = pieces_of(model.proto, file, values, location=location)
        except MalformedError:
            pieces = None
        if pieces is None:  # protobuf has read it as a whole
            pieces = [_with_values(model, values)]
        _write_pieces(output, pieces, source.fileno(), model)


def _with_values(model: Model, values: Mapping[int, np.ndarray]) -> bytes:
    whole = onnx.ModelProto()
    whole.CopyFrom(model.proto)
    for ours, written in zip(model.proto.graph.initializer, whole.graph.initializer, strict=True):
        if id(ours) in values:
            written.CopyFrom(onnx.numpy_helper.from_array(values[id(ours)], ours.name))
    return whole.SerializeToString()


def _write_pieces(output: Path, pieces: Sequence[Piece], source: int | None, model: Model) -> None:
    with atomic_file(output, like=model.path) as stream:
        target, offset = stream.fileno(), 0
        for piece in pieces:
            if isinstance(piece, Range):
                assert source is not None
                copy_range(source, piece.start, piece.stop - piece.start, target, offset)
            else:
                put(target, raw(piece) if isinstance(piece, np.ndarray) else piece, offset)
            offset += length_of(piece)
        if source is not None:
            _check_unchanged(model, source)


def _check_unchanged(model: Model, source: int) -> None:
    """Raises InvalidModel where the file is no longer the one that was read."""
    if version_of(os.fstat(source)) != model.version:
        raise InvalidModel(f"{model.path}: the file changed while it was being fixed")


def copy_unchanged(model: Model, output: Path) -> list[Path]:
    """The same bytes at `output`; external data is copied along."""
    if model.path is not None and not _outside(model):
        with model.path.open("rb") as source, atomic_file(output, like=model.path) as stream:
            shutil.copyfileobj(source, stream)
        return [output]
    return write_model(model, output, {}, touched={})
