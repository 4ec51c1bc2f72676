"""Feeds: the inputs of a probe, and the options that shape them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from initaudit.config import DEFAULT_MAX_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

DEFAULT_BATCH = 16
"""Inputs at once where the user names no number: the variance over inputs is then known within
sqrt(2/15) = 37 % per unit, and within a few percent as the mean over the units of a layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """What the user may say about inputs."""

    batch: int | None = None
    seed: int = 0
    max_memory: int = DEFAULT_MAX_MEMORY
    """Bytes for the whole process."""
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """--input-shape, by input."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Input -> lowest and highest value, where the layers showed them."""
    spectrum: str = "natural"
    """--input-spectrum: natural or white."""
    data: str | bytes | None = None
    """--input-data, an .npz or .npy file, or the bytes of one."""

    @staticmethod
    def from_json(options: Mapping[str, Any]) -> InputOptions:
        """From the `options` of a job, which may hold more than these."""
        return InputOptions(
            batch=options.get("batch"),
            seed=options.get("seed", 0),
            max_memory=options.get("max_memory", DEFAULT_MAX_MEMORY),
            shapes={name: tuple(shape) for name, shape in (options.get("input_shapes") or {}).items()},
            ranges={name: (low, high) for name, (low, high) in (options.get("input_ranges") or {}).items()},
            spectrum=options.get("input_spectrum", "natural"),
            data=options.get("input_data"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    """Inputs for the probe."""

    arrays: dict[str, np.ndarray]
    """What one run is fed, by input."""
    batch: int
    """Independent samples in one run; 1 where no axis counts samples."""
    batch_axes: dict[str, int | None]
    """Input -> the axis that counts samples; None where the input is the same for all of them."""
    descriptions: list[dict[str, Any]]
    """For the report: {"name", "shape", "dtype", "how"} per input."""
    notes: list[str]
    """What a reader should know: sizes found by trial, batch fixed by the file, ..."""
    more: tuple[dict[str, np.ndarray], ...] = ()
    """Further independent draws of `arrays`, where the file fixes a batch smaller than the probe needs."""
    batch_is_free: bool = False
    """Whether the model takes any batch size, so that samples may be repeated or split along `batch_axes`."""

    def runs(self) -> Iterator[dict[str, np.ndarray]]:
        """Every draw, the first one first."""
        yield self.arrays
        yield from self.more


def describe(name: str, array: np.ndarray, how: str) -> dict[str, Any]:
    """What the report says about one input."""
    return {"name": name, "shape": list(array.shape), "dtype": str(array.dtype), "how": how}
