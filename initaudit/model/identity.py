"""What makes two messages the same network: all that they say and store, wherever the values lie, but for their metadata."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from initaudit.errors import UnsupportedWeight
from initaudit.model.stored import clear_values, stored_tensors
from initaudit.model.tensors import tensor_from_proto

if TYPE_CHECKING:
    from initaudit.model.load import Model


def identity_of(model: Model) -> str:
    """A SHA-256 of the network. Raises InvalidModel or ExternalDataError where values are missing."""
    from onnx import ModelProto

    bare = ModelProto()
    bare.CopyFrom(model.proto)
    del bare.metadata_props[:]
    digest = hashlib.sha256()
    for tensor in stored_tensors(bare):
        try:
            values = tensor_from_proto(tensor, name=tensor.name, folder=model.folder).array()
        except UnsupportedWeight:
            continue  # the message itself says what it holds
        digest.update(digest_of(values))
        clear_values(tensor)
    digest.update(bare.SerializeToString(deterministic=True))
    return digest.hexdigest()


def digest_of(values: np.ndarray) -> bytes:
    """The SHA-256 of an array's type, shape and values."""
    digest = hashlib.sha256(f"{values.dtype.name} {values.shape}".encode())
    digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return digest.digest()
