"""Weigh one tensor: everything the audit wants to know about its values, in one pass over memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.stats.decode import decode
from initaudit.stats.layout import Layout, lay_out
from initaudit.stats.moments import Moments, smallest_normal
from initaudit.stats.plan import Plan, merged, plan, scan_range
from initaudit.stats.sampling import SAMPLE_SIZE
from initaudit.stats.spectrum import Spectrum, is_cheap, spectrum_of, spectrum_of_sketches
from initaudit.stats.summaries import NormSummary, Outliers, histogram_of, norms_of, outliers_of
from initaudit.stats.units import are_centred, are_flat, duplicate_shares, signature_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.histogram import Histogram
    from initaudit.stats.stream import Scan

_NO_BLOCK: Final = np.empty((0, 0), np.float32)
"""Stands where the values were let go."""
_NO_ENERGY: Final = np.empty((0, 0))
"""The same for sums of squares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightStats:
    """What was measured on one weight. Quantities that need a finite value are NaN where there is none."""

    count: int
    """Elements, finite or not."""
    mean: float
    std: float
    min: float
    max: float
    zeros: float
    """Share of the elements that are exactly zero."""
    nonfinite: int
    subnormal: int
    skewness: float
    kurtosis: float
    """Fourth standardised moment: 3 for a normal law, 1.8 for a uniform one; NaN for a constant."""
    unit_norms: NormSummary | None
    duplicate_units: float
    """Share of the units that repeat another unit of their copy exactly (zero units aside); of any copy where each has one unit."""
    duplicate_units_scaled: float
    """Share of the units that are a positive multiple of another one (exact repeats included, zero units aside)."""
    flat_units: bool
    """Whether the weights of each sampled unit are one value, not zero: a constant weight whose units were rescaled, as folding does."""
    centred_units: bool
    """Whether the weights of each unit looked at sum to zero, as weight standardisation leaves them."""
    spectral_norm: float | None
    smallest_singular_value: float | None
    stable_rank: float | None
    condition: float | None
    orthogonality_defect: float | None
    """Largest deviation of W W' (or W' W, whichever is smaller) from a multiple of the identity, relative to that multiple."""
    spectrum_how: str | None
    """`exact`, `randomised` (a lower bound for the norm) or None."""
    spectrum_error: float | None
    """Bound on the relative error of the spectral norm; holds with probability 0.999 where randomised."""
    histogram: Histogram | None
    outliers: Outliers | None
    row_sizes: np.ndarray | None = field(default=None, repr=False, compare=False)
    """Of a table: root mean square of each row, float64 [rows]; None elsewhere."""
    sample: np.ndarray = field(repr=False, compare=False)
    """Finite sampled values, float32, one axis; all of them for at most SAMPLE_SIZE elements."""
    block: np.ndarray = field(repr=False, compare=False)
    """The sample in its place, float32 [units of all copies, inputs]; 0 where a value is not finite."""
    moments: Moments = field(repr=False, compare=False)
    unit_energy: np.ndarray = field(repr=False, compare=False)
    """Sum of squares of the weights entering each unit, float64 [copies, units]."""
    input_energy: np.ndarray = field(repr=False, compare=False)
    """Sum of squares of the weights leaving each input, float64 [copies, inputs]."""

    @property
    def root_mean_square(self) -> float:
        """Of the finite values."""
        return math.hypot(self.mean, self.std)

    @property
    def complete(self) -> bool:
        """Whether the block holds the whole tensor."""
        return self.block.size == self.count

    def summary(self, *, rows: bool = False) -> WeightStats:
        """The same without the arrays that only the search for a law needs: a large model has thousands of tensors.

        With `rows`, the inputs are the rows of a table, of which the sizes are kept.
        """
        energy = self.input_energy.sum(axis=0)
        sizes = np.sqrt(energy * (energy.size / self.count)) if rows and self.count else None
        return replace(self, row_sizes=sizes, block=_NO_BLOCK, unit_energy=_NO_ENERGY, input_energy=_NO_ENERGY)


def weigh(
    array: np.ndarray,
    unit_axes: Sequence[int] = (0,),
    input_axes: Sequence[int] | None = None,
    groups: int = 1,
    seed: int = 0,
) -> WeightStats:
    """Measure `array`: any shape, any dtype that ONNX can hold, memory-mapped or strided.

    `unit_axes` count output units, `input_axes` (default: all others) are summed over, further axes hold independent copies;
    with `groups` the first axis is ordered by group. `seed` chooses the sample of a tensor larger than SAMPLE_SIZE.
    """
    layout = lay_out(array, unit_axes, input_axes, groups)
    if layout.view.size <= SAMPLE_SIZE:
        return weigh_whole(layout)
    reading = plan(layout, seed)
    return weigh_scanned(reading, merged([scan_range(layout.view, part) for part in reading.ranges()]))


@np.errstate(all="ignore")
def weigh_whole(layout: Layout) -> WeightStats:
    """Of a tensor of at most SAMPLE_SIZE values."""
    rows, inputs, array = layout.rows, layout.inputs, layout.view
    block = decode(layout.canonical).reshape(rows, inputs)
    if array.size == 0:
        nothing = block[:0]  # there may be any number of units without an input
        return _summarise(Moments(), nothing, np.zeros((1, 0)), np.zeros((1, 0)), None, (0.0, 0.0))
    moments = Moments.of(block, smallest_normal(array.dtype))
    finite = _finite_or_zero(block) if moments.nonfinite else block
    wide = finite.astype(np.float64, copy=False)
    cube = wide.reshape(layout.copies, layout.units, inputs)
    square = cube * cube
    energies = square.sum(axis=2), square.sum(axis=1)
    if inputs == 1:  # biases, scales: neither a spectrum nor rows that could repeat
        return _summarise(moments, block, *energies, None, (0.0, 0.0))
    repeats = duplicate_shares(wide @ signature_vectors(inputs), _copy_of(layout), wide.__getitem__, inputs)
    spectrum = None if moments.nonfinite else spectrum_of(cube)
    return _summarise(moments, block, *energies, spectrum, repeats)


@np.errstate(all="ignore")
def weigh_scanned(reading: Plan, found: Scan) -> WeightStats:
    """Of a larger one, from the scan of all its ranges; candidates for repeats and small matrices are read again."""
    layout = reading.layout
    block, *others = (decode(values) for values in reading.picked(found))
    whole_units = _finite_or_zero(others.pop(0)) if reading.whole_units is not None else None
    unit_energy, input_energy = reading.energy(found, "unit"), reading.energy(found, "input")
    if layout.inputs == 1:
        return _summarise(found.moments, block, unit_energy, input_energy, None, (0.0, 0.0), whole_units)
    sketches = reading.sketches(found)
    spectrum = None
    if not found.moments.nonfinite:
        if is_cheap(layout.units, layout.inputs, layout.view.size):
            spectrum = spectrum_of(decode(layout.canonical).reshape(layout.copies, layout.units, layout.inputs))
        elif sketches:
            spectrum = spectrum_of_sketches(sketches, unit_energy.sum(axis=1))
    if sketches:
        signatures = np.concatenate([sketch.units for sketch in sketches])
    else:
        some = _finite_or_zero(others.pop(0))
        signatures = some @ signature_vectors(some.shape[1])
    repeats = duplicate_shares(signatures, _copy_of(layout), lambda rows: _fetch(layout, rows), layout.inputs)
    return _summarise(found.moments, block, unit_energy, input_energy, spectrum, repeats, whole_units)


def _copy_of(layout: Layout) -> np.ndarray:
    """The copy that each row belongs to; of a depthwise convolution all to one."""
    return np.arange(layout.rows) // layout.units if layout.units > 1 else np.zeros(layout.rows)


def _fetch(layout: Layout, rows: np.ndarray) -> np.ndarray:
    """The weights of these units, [rows, inputs], 0 where not finite."""
    split = layout.copy_rank + layout.unit_rank
    values = decode(np.asarray(layout.canonical[np.unravel_index(rows, layout.canonical.shape[:split])]))
    return _finite_or_zero(values).reshape(rows.size, layout.inputs)


def _finite_or_zero(values: np.ndarray) -> np.ndarray:
    """The values, 0 where they are not finite."""
    return np.where(np.isfinite(values), values, 0)


def _summarise(  # noqa: PLR0917  the totals of one pass
    moments: Moments,
    block: np.ndarray,
    unit_energy: np.ndarray,
    input_energy: np.ndarray,
    spectrum: Spectrum | None,
    repeats: tuple[float, float],
    whole_units: np.ndarray | None = None,
) -> WeightStats:
    sample = block.reshape(-1)
    if moments.nonfinite:
        finite = np.isfinite(block)
        sample, block = block[finite], np.where(finite, block, 0)
    total = moments.count + moments.nonfinite
    nothing = moments.count == 0
    sample = sample.astype(np.float32, copy=False)
    block = block.astype(np.float32, copy=False)
    return WeightStats(
        count=total,
        mean=moments.mean if moments.count else math.nan,
        std=moments.std,
        min=math.nan if nothing else moments.minimum,
        max=math.nan if nothing else moments.maximum,
        zeros=moments.zeros / total if total else 0.0,
        nonfinite=moments.nonfinite,
        subnormal=moments.subnormal,
        skewness=moments.skewness,
        kurtosis=moments.kurtosis,
        unit_norms=norms_of(unit_energy),
        duplicate_units=repeats[0],
        duplicate_units_scaled=repeats[1],
        flat_units=are_flat(block),
        centred_units=are_centred(block if whole_units is None else whole_units),
        spectral_norm=spectrum.largest if spectrum else None,
        smallest_singular_value=spectrum.smallest if spectrum else None,
        stable_rank=spectrum.stable_rank if spectrum else None,
        condition=spectrum.condition if spectrum else None,
        orthogonality_defect=spectrum.orthogonality_defect if spectrum else None,
        spectrum_how=spectrum.how if spectrum else None,
        spectrum_error=spectrum.error if spectrum else None,
        histogram=histogram_of(sample),
        outliers=outliers_of(sample, moments),
        sample=sample,
        block=block,
        moments=moments,
        unit_energy=unit_energy,
        input_energy=input_energy,
    )


__all__ = ["WeightStats", "weigh"]
