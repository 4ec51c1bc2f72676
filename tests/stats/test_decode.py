"""Decoding keeps every value of every type."""

import ml_dtypes
import numpy as np
import pytest

from initaudit.stats.decode import decode, half_extremes

ALL_HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def test_every_float16_is_decoded_exactly() -> None:
    """All 65,536 codes: subnormals, signed zeros, infinities and NaN as numpy's own cast gives them."""
    finite = ALL_HALVES[np.isfinite(ALL_HALVES)]

    assert decode(finite).tobytes() == finite.astype(np.float32).tobytes()
    np.testing.assert_array_equal(decode(ALL_HALVES), ALL_HALVES.astype(np.float32))


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"])
def test_every_code_of_a_narrow_type(name: str) -> None:
    """All codes of bfloat16 and of the 8-bit types."""
    dtype = np.dtype(getattr(ml_dtypes, name))
    codes = np.arange(1 << (8 * dtype.itemsize), dtype=np.uint8 if dtype.itemsize == 1 else np.uint16).view(dtype)

    np.testing.assert_array_equal(decode(codes), codes.astype(np.float32))


@pytest.mark.parametrize(
    "values", [[1.5, -2.0, 0.0], [3.0, 4.0], [-3.0, -4.0], [-0.0, 6e-8], [65504.0, -65504.0], [-6e-8, -1.0]]
)
def test_extremes_of_halves_follow_their_codes(values: list[float]) -> None:
    """Mixed signs, one sign only, subnormal and largest values."""
    array = np.array(values, np.float16)

    assert half_extremes(array) == (float(array.min()), float(array.max()))


def test_extremes_say_when_a_half_is_not_finite() -> None:
    """Infinity and NaN of either sign make both ends NaN."""
    for bad in (np.inf, -np.inf, np.nan, -np.nan):
        assert np.isnan(half_extremes(np.array([1.0, bad], np.float16))).all()


def test_a_buffer_is_used_and_nothing_else_changes() -> None:
    """The decoded values lie in the buffer that was given."""
    buffer = np.zeros(10, np.int32)

    decoded = decode(np.array([[1.0, -2.5]], np.float16), buffer)

    assert np.shares_memory(decoded, buffer)
    assert decoded.tolist() == [[1.0, -2.5]]
