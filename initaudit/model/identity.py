"""What makes two messages the same network: all that they say and store, wherever the values lie, but for their metadata."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from initaudit.errors import UnsupportedWeight
from initaudit.model.digest import raw
from initaudit.model.stored import VALUE_FIELDS, clear_values, stored_tensors
from initaudit.model.tensors import tensor_from_proto

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from google.protobuf.message import Message
    from onnx import ModelProto

    from initaudit.model.load import Model

M = TypeVar("M", bound="Message")


def identity_of(model: Model) -> str:
    """A SHA-256 of the network. Raises InvalidModel or ExternalDataError where values are missing."""
    digest = hashlib.sha256()
    for tensor in stored_tensors(model.proto):
        try:
            digest.update(digest_of(tensor_from_proto(tensor, name=tensor.name, folder=model.folder).array()))
        except UnsupportedWeight:
            digest.update(hashlib.sha256(tensor.SerializeToString(deterministic=True)).digest())
    digest.update(_bare(model.proto).SerializeToString(deterministic=True))
    return digest.hexdigest()


def _bare(proto: ModelProto) -> ModelProto:
    """The message without values and metadata. Those of its initializers, nearly all that it holds, are not copied."""
    bare = _without(proto, ("graph", "metadata_props"))
    bare.graph.MergeFrom(_without(proto.graph, ("initializer",)))
    bare.graph.initializer.extend(_without(tensor, VALUE_FIELDS) for tensor in proto.graph.initializer)
    for tensor in stored_tensors(bare):
        clear_values(tensor)
    return bare


def _without(message: M, names: Collection[str]) -> M:
    """A copy of a message but for some of its fields."""
    return type(message)(**{field.name: value for field, value in message.ListFields() if field.name not in names})


def digest_of(values: np.ndarray) -> bytes:
    """The SHA-256 of an array's type, shape and values."""
    digest = hashlib.sha256(f"{values.dtype.name} {values.shape}".encode())
    digest.update(raw(values))
    return digest.digest()
