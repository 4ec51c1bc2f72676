"""Values for one input: what they mean decides what they are."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from initaudit.errors import ProbeError
from initaudit.probe.inputs.natural import gaussian_field, slope_of

if TYPE_CHECKING:
    from initaudit.probe.inputs.facts import Facts

SAMPLE_RATE = 16_000
"""What speech models are made for."""
LARGEST_TIMESTEP = 1000
"""Diffusion models count their steps from 0 to 999 (Ho et al. 2020)."""
UNKNOWN_INTEGERS = 10
"""Integers that index nothing are drawn below this: small enough for every categorical feature."""
RESERVED_IDS = 4
"""Padding, begin, end and unknown usually have the lowest ids; tables much larger than this are indexed above it."""

WHITE = "N(0, 1)"
"""How independent standard normal values are described."""


def dtype_of(code: int) -> np.dtype[Any] | None:
    """The numpy (or ml_dtypes) type for an ONNX element type; None where nothing can be fed."""
    if code == onnx.TensorProto.STRING:
        return np.dtype(object)
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code))
    except KeyError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What values depend on besides their own input."""

    time: int
    """Length of the sequences."""
    past: int
    """Length of the cached past."""
    image: tuple[int, int] | None
    """Height and width of the image input, for inputs that repeat them."""
    natural: bool = True
    """Whether images and sound get the spectra that they have in nature."""
    inverted: frozenset[str] = frozenset()
    """Boolean inputs to be set the other way round, because the first way gave nothing finite."""


def draw(
    name: str, dtype: np.dtype[Any], shape: tuple[int, ...], *, facts: Facts, setting: Setting, rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """An array and the phrase that says how it was made. Raises ProbeError for types that cannot be fed."""
    if dtype.kind == "O":
        return np.full(shape, "word", dtype=object), "the text 'word'"
    values, how = _meaning(name, dtype, shape, facts=facts, setting=setting, rng=rng)
    if dtype == np.bool_ and name in setting.inverted:
        values, how = ~values.astype(np.bool_), f"{how}, inverted"
    try:
        return np.array(np.broadcast_to(values, shape), dtype=dtype, order="C"), how
    except (TypeError, ValueError) as error:
        raise ProbeError(f"input {name!r}: no values can be made for element type {dtype}") from error


def _meaning(  # noqa: C901, PLR0911, PLR0912  one line a meaning, the surest first
    name: str, dtype: np.dtype[Any], shape: tuple[int, ...], *, facts: Facts, setting: Setting, rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Values by role first, then by name, then by type."""
    floating = dtype.kind in "fcV"  # V: the types of ml_dtypes
    one = np.ones((), np.float64)
    if "last_position" in facts.roles:
        return one * (setting.past + setting.time - 1), "last position of the sequence"
    if "total_length" in facts.roles:
        return one * (setting.past + setting.time), "length of the sequence"
    if "lengths" in facts.roles or (not floating and named(name, r"lengths?$", r"lens$", r"seq_?len")):
        return one * setting.time, "length of the sequence"
    if "past" in facts.roles or (len(shape) >= 4 and named(name, "past", "cache")):
        return rng.standard_normal(shape), "N(0, 1)" if math.prod(shape) else "empty past"
    if "state" in facts.roles or (
        floating and named(name, r"^[hc]_?[0n]?$", "hidden_?in", r"(^|[._/])state(_?in|_?\d+)?$", "init.*state")
    ):
        return one * 0, "zeros (initial state)"
    if (
        facts.equals and not floating and facts.bound is None
    ):  # ids are compared with the id of padding, which says nothing
        return one * facts.equals[0], f"{facts.equals[0]:g}, which the graph compares it with"
    if named(name, r"token_?type", "segment"):
        return one * 0, "zeros"
    if named(name, "mask") or ("mask" in facts.roles and not floating):
        return one, "ones (nothing masked)"
    if named(name, "position", r"(^|_)pos(_|$)") and not floating and shape:
        past = setting.past if shape[-1] == setting.time else 0
        top = (facts.bound or past + shape[-1]) - 1
        return np.minimum(past + np.arange(shape[-1]), max(0, top)), "0, 1, 2, ..."
    if dtype == np.bool_:
        if "condition" in facts.roles or not shape:
            return one * 0, "false"
        return one, "true"
    if facts.bound is not None:
        return _ids(facts.bound, shape, rng)
    if named(name, r"^sr$", "sample_?rate", "sampling_?rate"):
        return one * SAMPLE_RATE, f"{SAMPLE_RATE}"
    if named(name, "time_?step", r"^t$") and math.prod(shape) <= max(1, shape[0] if shape else 1):
        return rng.integers(0, LARGEST_TIMESTEP, shape), f"integers below {LARGEST_TIMESTEP}"
    if setting.image and named(name, "im_?shape", "image_?shape", "im_?info", "orig.*size", "target_?size"):
        return np.resize(np.array([*setting.image, 1.0]), shape), "height and width of the image"
    if named(name, "scale_?factor"):
        return one, "ones"
    if dtype.kind == "c":
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape), "complex N(0, 1)"
    if floating and facts.span is not None:
        low, high = facts.span
        return rng.uniform(
            low, high, shape
        ), f"uniform from {low:g} to {high:g}, as the graph looks up what it makes of them"
    if floating:
        like = slope_of(shape, facts.kinds) if setting.natural else None
        if like is None:
            return rng.standard_normal(shape), WHITE
        axes, slope, what = like
        return gaussian_field(shape, axes, slope, rng), f"N(0, 1), spectrum {what}"
    if "count" in facts.roles or not shape:
        return one, "one"
    if dtype == np.uint8:
        return rng.integers(0, 256, shape), "uniform 0 to 255"
    if dtype == np.int8:
        return rng.integers(-128, 128, shape), "uniform -128 to 127"
    return rng.integers(0, UNKNOWN_INTEGERS, shape), f"integers below {UNKNOWN_INTEGERS}"


def _ids(bound: int, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, str]:
    if bound <= 2:
        return np.zeros(()), "zeros"
    low = RESERVED_IDS if bound >= 4 * RESERVED_IDS else 0
    return rng.integers(low, bound, shape), f"ids from {low} to {bound - 1}"


def named(name: str, *words: str) -> bool:
    """Whether one of the regular expressions occurs in the name of an input."""
    return any(re.search(word, name.lower()) for word in words)
