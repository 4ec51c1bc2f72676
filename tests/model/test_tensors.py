"""Stored tensors of every type, inline, external and sparse, and files that promise what they do not hold."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from initaudit.errors import ExternalDataError, InvalidModel, UnsupportedWeight
from initaudit.model.tensors import Tensor, sparse_tensor, tensor_from_proto


def wrap(proto: TensorProto, folder: Path | None = None) -> Tensor:
    return tensor_from_proto(proto, name=proto.name, folder=folder)


@pytest.mark.parametrize(
    "dtype",
    [
        np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2,
        ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.float4_e2m1fn, np.int8, np.uint8, np.int64, np.bool_,
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [6, 7])
def test_values_of_every_type_come_back(dtype, size):
    """What onnx packs (two 4-bit values to a byte, an odd one at the end) is what is read."""
    values = np.arange(size).astype(np.float32).astype(dtype)

    tensor = wrap(numpy_helper.from_array(values, "w"))

    np.testing.assert_array_equal(tensor.array().astype(np.float32), values.astype(np.float32))
    assert tensor.dtype == np.dtype(dtype).name


def test_typed_fields_are_read_like_raw_bytes():
    """float_data and int32_data (which also carries float16) are older spellings of the same."""
    plain = helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    half = helper.make_tensor("h", TensorProto.FLOAT16, [2], np.array([0.5, 2.0], np.float16).view(np.uint16).tolist())
    half = helper.make_tensor("h", TensorProto.FLOAT16, [2], [0.5, 2.0]) if half.raw_data else half

    np.testing.assert_array_equal(wrap(plain).array(), [1, 2, 3])
    assert wrap(half).array().dtype == np.float16


def test_strings_cannot_be_read_as_weights():
    """A tensor of text has a name and a shape, and no values."""
    tensor = wrap(helper.make_tensor("s", TensorProto.STRING, [2], [b"a", b"b"]))

    assert tensor.dtype == "string"
    with pytest.raises(UnsupportedWeight):
        tensor.array()


@pytest.mark.parametrize(("dims", "reason"), [([4], "needs 16"), ([-1], "negative")])
def test_shapes_that_the_bytes_do_not_fill_are_refused(dims, reason):
    """Twelve bytes are three floats, whatever the header says."""
    proto = numpy_helper.from_array(np.ones(3, np.float32), "w")
    del proto.dims[:]
    proto.dims.extend(dims)

    with pytest.raises(InvalidModel, match=reason):
        wrap(proto)


def external(location: str, *, size: int = 4, offset: int = 0, length: int | None = None) -> TensorProto:
    proto = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[size], data_location=TensorProto.EXTERNAL)
    entries = {"location": location, "offset": str(offset), "length": str(4 * size if length is None else length)}
    for key, value in entries.items():
        entry = proto.external_data.add()
        entry.key, entry.value = key, value
    return proto


def test_external_data_is_mapped_at_its_offset(tmp_path):
    """The array is a view of a memory map: reading a model of many GB costs no memory."""
    np.arange(10, dtype=np.float32).tofile(tmp_path / "data.bin")

    array = wrap(external("data.bin", offset=8), tmp_path).array()

    np.testing.assert_array_equal(array, [2, 3, 4, 5])
    base = array
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_external_data_outside_the_folder_is_refused(tmp_path):
    """Paths that climb out, absolute paths and links that lead out (CVE-2024-27318, CVE-2025-51480) are not opened."""
    inside = tmp_path / "model"
    inside.mkdir()
    np.zeros(4, np.float32).tofile(tmp_path / "secret.bin")
    (inside / "link.bin").symlink_to(tmp_path / "secret.bin")

    for location in ("../secret.bin", str(tmp_path / "secret.bin"), "link.bin", ""):
        with pytest.raises(ExternalDataError):
            wrap(external(location), inside).array()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": 100}, "are needed"),
        ({"offset": -4}, "offset"),
        ({"length": 12}, "length"),
        ({"offset": 8}, "are needed"),
    ],
)
def test_external_data_that_is_too_short_is_refused(tmp_path, change, reason):
    """Offsets and lengths are untrusted numbers."""
    np.zeros(4, np.float32).tofile(tmp_path / "data.bin")

    with pytest.raises(ExternalDataError, match=reason):
        wrap(external("data.bin", **change), tmp_path).array()


def test_a_missing_external_file_is_named(tmp_path):
    """The message says which file."""
    with pytest.raises(ExternalDataError, match=r"gone\.bin"):
        wrap(external("gone.bin"), tmp_path).array()


def test_external_data_of_a_model_from_memory_is_refused():
    """Without a path there is no folder to look in."""
    with pytest.raises(ExternalDataError, match="without a path"):
        wrap(external("data.bin")).array()


def sparse(dims: list[int], indices: list, values: list[float]) -> Tensor:
    proto = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array(values, np.float32), "w"),
        numpy_helper.from_array(np.array(indices, np.int64)),
        dims,
    )
    return sparse_tensor(proto, name="w", folder=None)


def test_sparse_tensors_become_dense_from_flat_or_full_indices():
    """ONNX allows positions in the flattened tensor and coordinates."""
    expected = np.array([[0, 3, 0], [0, 0, 4]], np.float32)

    np.testing.assert_array_equal(sparse([2, 3], [1, 5], [3, 4]).array(), expected)
    np.testing.assert_array_equal(sparse([2, 3], [[0, 1], [1, 2]], [3, 4]).array(), expected)


@pytest.mark.parametrize("indices", [[6], [-1], [[0, 3]]])
def test_sparse_indices_out_of_range_are_refused(indices):
    """An index outside the shape is a contradiction, not a crash."""
    with pytest.raises(InvalidModel, match="out of range"):
        sparse([2, 3], indices, [1.0]).array()


def test_a_sparse_tensor_that_promises_terabytes_is_refused():
    """Its dims are a few bytes."""
    with pytest.raises(UnsupportedWeight, match="too large"):
        sparse([1 << 20, 1 << 20], [0], [1.0]).array()


def test_a_tensor_of_more_axes_than_numpy_counts_is_a_weight_that_cannot_be_read():
    """It is in the file, and holds what it says; an audit lists it and goes on."""
    proto = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1] * 65, raw_data=bytes(4))

    tensor = tensor_from_proto(proto, name="w", folder=None)

    with pytest.raises(UnsupportedWeight, match="65 axes"):
        tensor.array()
