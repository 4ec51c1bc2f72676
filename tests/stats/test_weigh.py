"""What weigh() says of a tensor is what slow, plain numpy says."""

import math
import warnings

import ml_dtypes
import numpy as np
import pytest

from initaudit.stats import WeightStats, weigh

RNG = np.random.default_rng(0)


def norms(matrix: np.ndarray, axis: int) -> np.ndarray:
    """Euclidean norms in float64."""
    return np.sqrt(np.square(matrix.astype(np.float64)).sum(axis=axis))


@pytest.mark.parametrize("shape", [(40, 30), (700, 300), (1, 90_000), (90_000, 1)])
@pytest.mark.parametrize("transpose", [False, True])
def test_plain_quantities_match_numpy(shape: tuple[int, int], transpose: bool) -> None:
    """Mean, std, extremes, norms of units and inputs: small or streamed, in either memory order."""
    stored = RNG.standard_normal(shape[::-1] if transpose else shape).astype(np.float32)
    array = stored.T if transpose else stored

    stats = weigh(array)

    wide = array.astype(np.float64)
    assert stats.count == array.size
    assert stats.mean == pytest.approx(wide.mean(), abs=1e-7)
    assert stats.std == pytest.approx(wide.std(), rel=1e-6)
    assert (stats.min, stats.max) == (array.min(), array.max())
    assert stats.unit_norms is not None
    assert stats.unit_norms.count == shape[0]
    assert stats.unit_norms.mean == pytest.approx(norms(array, 1).mean(), rel=1e-5)
    assert stats.unit_norms.maximum == pytest.approx(norms(array, 1).max(), rel=1e-5)
    assert np.sqrt(stats.input_energy).min() == pytest.approx(norms(array, 0).min(), rel=1e-5)
    assert stats.sample.size <= 65_536
    assert stats.sample.dtype == np.float32


@pytest.mark.parametrize("big", [False, True])
def test_axes_of_a_transposed_convolution(big: bool) -> None:
    """[inputs, units, kernel] with groups: the energy of a unit sums over its group's inputs and the kernel only."""
    groups, inputs, units = 2, 20 if big else 4, 300 if big else 3
    array = RNG.standard_normal((groups * inputs, units, 4, 4)).astype(np.float32)

    stats = weigh(array, unit_axes=(1,), input_axes=(0, 2, 3), groups=groups)

    want = np.square(array.reshape(groups, inputs, units, 16).astype(np.float64)).sum(axis=(1, 3))
    assert stats.unit_energy == pytest.approx(want, rel=1e-5)
    assert stats.input_energy.shape == (groups, inputs * 16)
    assert stats.input_energy.sum() == pytest.approx(want.sum(), rel=1e-5)


def test_experts_are_independent_copies() -> None:
    """[experts, inputs, units]: one row of energies per expert, singular values over all experts."""
    array = RNG.standard_normal((3, 10, 6))

    stats = weigh(array, unit_axes=(2,), input_axes=(1,))

    assert stats.unit_energy == pytest.approx(np.square(array).sum(axis=1))
    singular = np.array([np.linalg.svd(expert, compute_uv=False) for expert in array])
    assert stats.spectral_norm == pytest.approx(singular.max())
    assert stats.smallest_singular_value == pytest.approx(singular.min())
    assert stats.condition == pytest.approx((singular[:, 0] / singular[:, -1]).max())


DTYPES = [
    np.float64, np.float32, np.float16, np.int8, np.uint8, np.int16, np.int32, np.int64, np.bool_,
    ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float4_e2m1fn, ml_dtypes.int4,
    ml_dtypes.uint4, ml_dtypes.int2,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("size", [60, 400])
def test_every_dtype_of_onnx(dtype: type, size: int) -> None:
    """Statistics are those of the values cast to float64, small and streamed."""
    array = np.clip(RNG.standard_normal((size, size)) * 2, -2, 1).astype(dtype)

    stats = weigh(array)

    wide = array.astype(np.float64)
    assert stats.mean == pytest.approx(wide.mean(), abs=1e-6, rel=1e-6)
    assert stats.std == pytest.approx(wide.std(), rel=1e-5)
    assert stats.zeros == pytest.approx((wide == 0).mean())
    assert stats.max == wide.max()


def test_subnormal_halves_are_counted_and_kept() -> None:
    """float16 below 6.1e-5 is subnormal: neither flushed to zero nor mistaken for it."""
    array = np.array([[6e-8, 1e-5], [7e-5, 0.0]], np.float16)

    stats = weigh(array)

    assert stats.subnormal == 2
    assert stats.zeros == 0.25
    assert stats.min == 0.0
    assert stats.mean == pytest.approx(float(array.astype(np.float64).mean()), rel=1e-6)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 5), np.float32),
        np.zeros((5, 0, 3), np.float32),
        np.float32(3.0).reshape(()),
        np.full((1,), -2.0, np.float16),
        np.zeros((4, 4), np.float32),
        np.full((300, 300), 0.1, np.float32),
        np.full((4, 4), np.nan, np.float32),
        np.full((300, 300), np.nan, np.float32),
        np.array([[np.inf, 1.0], [-np.inf, np.nan]], np.float16),
        np.full((3, 3), np.finfo(np.float64).max),
        np.full((3, 3), 1e-320),
        np.array([[1e200, -1e300], [3e-200, 1.0]]),
        np.full((300, 300), 3e38, np.float32) * np.sign(RNG.standard_normal((300, 300))).astype(np.float32),
    ],
    ids=lambda a: f"{a.dtype}{list(a.shape)}",
)
def test_odd_tensors_give_a_sound_answer_without_a_warning(array: np.ndarray) -> None:
    """Empty, single, constant, all-NaN, infinite, enormous: a count that is right, no exception, no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        stats = weigh(array)

    assert isinstance(stats, WeightStats)
    assert stats.count == array.size
    assert stats.nonfinite == np.count_nonzero(~(np.abs(array.astype(np.float64)) <= np.finfo(np.float32).max))
    assert stats.nonfinite == stats.count or math.isfinite(stats.max)


def test_one_nan_spoils_nothing_but_the_count() -> None:
    """The finite values of a streamed tensor are weighed as if the NaN were not there."""
    array = RNG.standard_normal((500, 400)).astype(np.float32)
    array[123, 45] = np.nan

    stats = weigh(array)

    assert stats.nonfinite == 1
    assert stats.std == pytest.approx(float(np.nanstd(array.astype(np.float64))), rel=1e-5)
    assert np.isfinite(stats.sample).all()
    assert np.isfinite(stats.unit_energy).all()


def test_duplicate_units_exact_and_scaled() -> None:
    """Two equal rows of ten are a share of 0.2; a doubled one counts as scaled only; a negated one and zero rows never."""
    array = RNG.standard_normal((10, 7)).astype(np.float32)
    array[3] = array[1]
    array[5] = 2 * array[4]
    array[7] = -array[6]
    array[8:] = 0

    stats = weigh(array)

    assert stats.duplicate_units == pytest.approx(0.2)
    assert stats.duplicate_units_scaled == pytest.approx(0.4)


@pytest.mark.parametrize("transpose", [False, True])
def test_duplicate_units_of_a_streamed_tensor(transpose: bool) -> None:
    """The same in 400 x 700 values, units along rows or columns: 2 exact repeats, 2 up to scale, of 400."""
    array = RNG.standard_normal((400, 700)).astype(np.float32)
    array[399] = array[0]
    array[200] = 3 * array[17]
    stored = np.ascontiguousarray(array.T) if transpose else array

    stats = weigh(stored, unit_axes=(1,) if transpose else (0,))

    assert stats.duplicate_units == pytest.approx(2 / 400)
    assert stats.duplicate_units_scaled == pytest.approx(4 / 400)


def test_all_units_equal_in_a_streamed_tensor() -> None:
    """4,096 equal units are all repeats, though not all are compared in full."""
    row = RNG.standard_normal(600).astype(np.float32)

    stats = weigh(np.tile(row, (4096, 1)))

    assert stats.duplicate_units == 1.0
    assert stats.stable_rank == pytest.approx(1.0, abs=1e-3)


def test_randomised_spectral_norm_is_a_lower_bound_with_a_valid_error() -> None:
    """A spike above the bulk is found within 1 %; pure noise is underestimated, never over, and within the stated error."""
    noise = RNG.standard_normal((400, 300)).astype(np.float32)
    spiked = noise + np.float32(0.3) * np.outer(RNG.standard_normal(400), RNG.standard_normal(300)).astype(np.float32)

    for array in (noise, spiked):
        stats = weigh(array)
        true = float(np.linalg.norm(array, 2))

        assert stats.spectrum_how == "randomised"
        assert stats.spectral_norm <= true * (1 + 1e-5)
        assert true <= stats.spectral_norm * (1 + stats.spectrum_error)
    assert stats.spectral_norm == pytest.approx(true, rel=0.01)


def test_each_expert_of_a_large_weight_has_its_own_sketch() -> None:
    """[experts, inputs, units], streamed: the norm is the largest expert's, the stable rank the smallest, repeats count per expert."""
    array = RNG.standard_normal((3, 300, 400)).astype(np.float32)
    array[1] += np.float32(0.4) * np.outer(RNG.standard_normal(300), RNG.standard_normal(400)).astype(np.float32)
    array[2, :, 7] = array[2, :, 399]

    stats = weigh(array, unit_axes=(2,), input_axes=(1,))

    norms = [np.linalg.norm(expert, 2) for expert in array]
    assert stats.spectral_norm == pytest.approx(norms[1], rel=0.01)
    assert stats.stable_rank == pytest.approx(np.square(array[1]).sum() / norms[1] ** 2, rel=0.02)
    assert stats.unit_energy == pytest.approx(np.square(array).sum(axis=1), rel=1e-5)
    assert stats.input_energy == pytest.approx(np.square(array).sum(axis=2), rel=1e-5)
    assert stats.duplicate_units == pytest.approx(2 / 1200)


def test_a_large_table_without_inputs_has_neither_spectrum_nor_repeats() -> None:
    """[1, positions, width] that is only added: every value is a unit of its own."""
    array = RNG.standard_normal((1, 198, 768)).astype(np.float32)

    stats = weigh(array, unit_axes=(0, 1, 2))

    assert stats.std == pytest.approx(array.std(), rel=1e-5)
    assert stats.spectral_norm is None
    assert stats.duplicate_units == 0


def test_centred_units_are_seen_where_a_sample_would_cut_them() -> None:
    """128 x 576 values are more than the sample holds: whole units are looked at. One unit off zero is enough to deny it."""
    array = RNG.standard_normal((128, 576)).astype(np.float32)
    centred = array - array.mean(axis=1, keepdims=True)
    off = centred + np.float32(1e-3) * (np.arange(128) == 2)[:, None].astype(np.float32)

    assert weigh(centred).centred_units
    assert not weigh(array).centred_units
    assert not weigh(off).centred_units


def test_duplicates_where_a_weight_is_no_matrix_in_memory() -> None:
    """[inputs, units, kernel] of a transposed convolution, streamed: repeats up to scale are found and compared in full."""
    array = RNG.standard_normal((60, 100, 4, 4)).astype(np.float32)
    array[:, 99] = array[:, 5]
    array[:, 50] = 2 * array[:, 6]
    array[:, 51] = array[:, 7]
    array[59, 51, 3, 3] += 1

    stats = weigh(array, unit_axes=(1,), input_axes=(0, 2, 3))

    assert stats.duplicate_units == pytest.approx(2 / 100)
    assert stats.duplicate_units_scaled == pytest.approx(4 / 100)


@pytest.mark.parametrize("shape", [(100, 2000), (2000, 100)])
def test_a_narrow_streamed_matrix_has_its_exact_spectrum(shape: tuple[int, int]) -> None:
    """Where the smaller side is short all singular values are computed, however long the other one is."""
    array = RNG.standard_normal(shape).astype(np.float32)

    stats = weigh(array)

    singular = np.linalg.svd(array.astype(np.float64), compute_uv=False)
    assert stats.spectrum_how == "exact"
    assert stats.spectral_norm == pytest.approx(singular[0])
    assert stats.smallest_singular_value == pytest.approx(singular[-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16], ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("shape", [(700, 400), (400, 700)])
def test_orthogonality_of_a_large_matrix_is_estimated(dtype: type, shape: tuple[int, int]) -> None:
    """An orthogonal matrix deviates by the rounding of its type; a random one by the square root of its aspect ratio, where known."""
    q = np.linalg.qr(RNG.standard_normal((700, 400)))[0]

    stats = weigh((q if shape[0] > shape[1] else q.T).astype(dtype))
    random = weigh(RNG.standard_normal(shape).astype(dtype))

    assert stats.spectrum_how == "randomised"
    assert stats.orthogonality_defect < 8 * float(ml_dtypes.finfo(dtype).eps)
    assert random.orthogonality_defect is None or random.orthogonality_defect == pytest.approx((4 / 7) ** 0.5, rel=0.2)


def test_a_singular_value_above_the_bulk_is_found_in_a_large_matrix() -> None:
    """[2,100, 2,100], spike at three times the edge of the bulk: within 3 %; of noise alone one pass finds two thirds of the edge."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2100, 2100)).astype(np.float32)
    u, v = (x / np.linalg.norm(x) for x in rng.standard_normal((2, 2100)))
    edge = 2 * 2100**0.5

    assert weigh(noise + (3 * edge * np.outer(u, v)).astype(np.float32)).spectral_norm == pytest.approx(
        3 * edge, rel=0.05
    )
    assert 0.65 * edge < weigh(noise).spectral_norm < 0.8 * edge


@pytest.mark.parametrize("transpose", [False, True])
def test_long_rows_are_read_in_parts(transpose: bool) -> None:
    """[300, 40,000], as a vocabulary head lies in memory: repeats and the norm are found, and a NaN in a row's last part spoils neither."""
    array = RNG.standard_normal((300, 40_000)).astype(np.float32)
    array[:, 39_999] = array[:, 3]
    array[299] = 2 * array[8]
    spiked = array + np.float32(5) * np.outer(RNG.standard_normal(300), RNG.standard_normal(40_000)).astype(np.float32)
    axes = (1,) if transpose else (0,)
    units = 40_000 if transpose else 300

    stats = weigh(array, unit_axes=axes)

    assert stats.duplicate_units == pytest.approx(2 / units if transpose else 0.0)
    assert stats.duplicate_units_scaled == pytest.approx(2 / units)
    true = float(np.sqrt(np.linalg.eigvalsh(spiked.astype(np.float64) @ spiked.T.astype(np.float64))[-1]))
    assert 0.97 * true < weigh(spiked, unit_axes=axes).spectral_norm <= true * (1 + 1e-5)

    array[5, 39_990] = np.nan
    assert weigh(array, unit_axes=axes).duplicate_units_scaled == pytest.approx(2 / units)


def test_rows_longer_than_a_chunk() -> None:
    """Three units of 300,000 inputs, and as many transposed: plain quantities match numpy."""
    array = RNG.standard_normal((3, 300_000)).astype(np.float32)

    for stored, units in ((array, (0,)), (np.ascontiguousarray(array.T), (1,))):
        stats = weigh(stored, unit_axes=units)

        assert stats.std == pytest.approx(float(array.astype(np.float64).std()), rel=1e-6)
        assert np.allclose(stats.unit_energy, np.square(array).sum(axis=1), rtol=1e-5)
        assert np.allclose(stats.input_energy, np.square(array).sum(axis=0), rtol=1e-5)


def test_units_of_different_experts_are_no_duplicates() -> None:
    """Equal weights in two experts see different inputs; the same within one expert repeat."""
    array = np.stack([RNG.standard_normal((6, 5))] * 2).astype(np.float32)

    stats = weigh(array, unit_axes=(1,), input_axes=(2,))

    assert stats.duplicate_units == 0.0


def test_orthogonal_matrix_has_no_defect_and_condition_one() -> None:
    """The defect of an orthonormal matrix is rounding, that of a Gaussian one is of order one."""
    q = np.linalg.qr(RNG.standard_normal((50, 20)))[0]

    stats = weigh(q.T)

    assert stats.orthogonality_defect == pytest.approx(0.0, abs=1e-12)
    assert stats.condition == pytest.approx(1.0)
    assert stats.stable_rank == pytest.approx(20.0)
    assert weigh(RNG.standard_normal((50, 20))).orthogonality_defect > 0.3


def test_rank_one_matrix_is_recognised() -> None:
    """Stable rank 1, infinite condition."""
    stats = weigh(np.outer(np.arange(1, 9.0), np.arange(1, 6.0)))

    assert stats.stable_rank == pytest.approx(1.0)
    assert stats.condition == math.inf


def test_memory_mapped_slice_is_read_in_place(tmp_path) -> None:
    """A sliced, reshaped view over a memory map gives the same numbers as a copy, and the same on a second run."""
    raw = RNG.standard_normal(400_000).astype(np.float32)
    raw.tofile(tmp_path / "weights.bin")
    mapped = np.memmap(tmp_path / "weights.bin", np.float32, "r")[20_000:].reshape(380, 1000)[:, 100:900]

    stats, again, copied = weigh(mapped), weigh(mapped), weigh(np.array(mapped))

    assert stats == again == copied
    assert (stats.sample == copied.sample).all()


def test_outliers_stand_out_from_the_bulk() -> None:
    """One weight at 1000 robust deviations is seen in the ratio and the share."""
    array = RNG.standard_normal((50, 50)).astype(np.float32)
    array[0, 0] = 1000.0

    stats = weigh(array)

    assert stats.outliers is not None
    assert stats.outliers.largest == pytest.approx(1000, rel=0.1)
    assert stats.outliers.share == pytest.approx(1 / 2500)
