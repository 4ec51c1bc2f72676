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
    from initaudit.probe.inputs.natural import Likeness
    from initaudit.probe.inputs.scale import Scale

SAMPLE_RATE = 16_000
"""What speech models are made for."""
LARGEST_TIMESTEP = 1000
"""Diffusion models count their steps from 0 to 999 (Ho et al. 2020)."""
UNKNOWN_INTEGERS = 10
"""Integers that index nothing are drawn below this: small enough for every categorical feature."""
RESERVED_IDS = 4
"""Padding, begin, end and unknown usually have the lowest ids; tables much larger than this are indexed above it."""

FLOATING = "fcV"
"""Kinds of numpy's element types that are no integers; V are the types of ml_dtypes."""
COUNT = r"(^|[._/])(n|num)_?(nodes?|edges?|atoms?|graphs?)$|(^|_)counts?$"
"""Names of inputs that say how many of something there are, as graph networks have them."""

WHITE = "N(0, 1)"
"""How independent standard normal values are described."""
UNKNOWN = f"integers below {UNKNOWN_INTEGERS}"
"""How integers are described of which nothing is known."""


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
    varied: frozenset[str] = frozenset()
    """Inputs that shall differ from sample to sample whatever their names say, because no other input does."""
    counts: frozenset[str] = frozenset()
    """Integer inputs to be set to one: the network runs on counts of one, not on others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Values for one input."""

    values: np.ndarray
    how: str
    """The phrase that says how they were made."""
    fixed: bool
    """Whether they are the same for all samples, because of what the input means."""


def draw(
    name: str, dtype: np.dtype[Any], shape: tuple[int, ...], *, facts: Facts, setting: Setting, rng: np.random.Generator
) -> Drawn:
    """An array for one input. Raises ProbeError for types that cannot be fed."""
    if dtype.kind == "O":
        return Drawn(values=np.full(shape, "word", dtype=object), how="the text 'word'", fixed=True)
    found = None if name in setting.varied else _fixed(name, dtype, shape, facts=facts, setting=setting)
    values, how = found or _drawn(name, dtype, shape, facts=facts, setting=setting, rng=rng)
    if dtype == np.bool_ and name in setting.inverted:
        values, how = ~values.astype(np.bool_), f"{how}, inverted"
    try:
        whole = np.array(np.broadcast_to(values, shape), dtype=dtype, order="C")
    except (TypeError, ValueError) as error:
        raise ProbeError(f"input {name!r}: no values can be made for element type {dtype}") from error
    return Drawn(values=whole, how=how, fixed=found is not None or not whole.size)


def _fixed(  # noqa: C901, PLR0911, PLR0912  one line a meaning, the surest first
    name: str, dtype: np.dtype[Any], shape: tuple[int, ...], *, facts: Facts, setting: Setting
) -> tuple[np.ndarray, str] | None:
    """Values that do not depend on the sample, by role first, then by name, then by type; None for data."""
    floating = dtype.kind in FLOATING
    one = np.ones((), np.float64)
    if "last_position" in facts.roles:
        return one * (setting.past + setting.time - 1), "last position of the sequence"
    if "total_length" in facts.roles:
        return one * (setting.past + setting.time), "length of the sequence"
    if "lengths" in facts.roles or (not floating and named(name, r"lengths?$", r"lens$", r"seq_?len")):
        return one * setting.time, "length of the sequence"
    if is_past(name, shape, facts):
        return None
    if "state" in facts.roles:
        return one * 0, "zeros (initial state)"
    if facts.equals and not floating and facts.bound is None:
        # ids are compared with the id of padding, which says nothing
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
        return (one * 0, "false") if "condition" in facts.roles or not shape else (one, "true")
    if facts.bound is not None:
        return (one * 0, "zeros") if facts.bound <= 2 else None
    if not floating and (name in setting.counts or named(name, COUNT)):
        return one, "ones (counts)"
    if named(name, r"^sr$", "sample_?rate", "sampling_?rate"):
        return one * SAMPLE_RATE, f"{SAMPLE_RATE}"
    if setting.image and named(name, "im_?shape", "image_?shape", "im_?info", "orig.*size", "target_?size"):
        return np.resize(np.array([*setting.image, 1.0]), shape), "height and width of the image"
    if named(name, "scale_?factor"):
        return one, "ones"
    if not floating and ("count" in facts.roles or not shape) and not is_timestep(name, dtype, shape, setting):
        return one, "one"
    return None


def _drawn(  # noqa: PLR0911  one line a meaning
    name: str, dtype: np.dtype[Any], shape: tuple[int, ...], *, facts: Facts, setting: Setting, rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Values that differ from sample to sample."""
    if is_past(name, shape, facts):
        return rng.standard_normal(shape), WHITE if math.prod(shape) else "empty past"
    if dtype == np.bool_:
        return rng.integers(0, 2, shape), "true or false"
    if facts.bound is not None:
        low = RESERVED_IDS if facts.bound >= 4 * RESERVED_IDS else 0
        return rng.integers(low, facts.bound, shape), f"ids from {low} to {facts.bound - 1}"
    if is_timestep(name, dtype, shape, setting):
        return rng.integers(0, LARGEST_TIMESTEP, shape), f"integers below {LARGEST_TIMESTEP}"
    if dtype.kind == "c":
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape), "complex N(0, 1)"
    like = slope_of(shape, facts.kinds) if setting.natural else None
    if dtype.kind in FLOATING:
        if facts.span is not None:
            lowest, highest = facts.span
            what = "as the graph looks up what it makes of them"
            return rng.uniform(lowest, highest, shape), f"uniform from {lowest:g} to {highest:g}, {what}"
        return _scaled(shape, like, facts.scale, rng)
    if facts.scale is not None:
        values, how = _scaled(shape, like, facts.scale, rng)
        return np.round(values), how
    if dtype == np.uint8:
        return rng.integers(0, 256, shape), "uniform 0 to 255"
    if dtype == np.int8:
        return rng.integers(-128, 128, shape), "uniform -128 to 127"
    return rng.integers(0, UNKNOWN_INTEGERS, shape), UNKNOWN


def _scaled(
    shape: tuple[int, ...], like: Likeness | None, scale: Scale | None, rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Independent normal values, or a field like those of nature, on their scale."""
    if like is None:
        standard, how = rng.standard_normal(shape), ""
    else:
        axes, slope, what = like
        standard, how = gaussian_field(shape, axes, slope, rng), f", spectrum {what}"
    return (standard, WHITE + how) if scale is None else (scale.apply(standard), scale.told + how)


def is_past(name: str, shape: tuple[int, ...], facts: Facts) -> bool:
    """Whether the input is what earlier calls left in a cache."""
    return "past" in facts.roles or (len(shape) >= 4 and named(name, "past", "cache"))


def is_timestep(name: str, dtype: np.dtype[Any], shape: tuple[int, ...], setting: Setting) -> bool:
    """Whether the input is a step of diffusion: one number a sample; a float called t is one beside an image only."""
    if math.prod(shape) > max(1, shape[0] if shape else 1):
        return False
    return named(name, "time_?step") or (
        named(name, "^t$") and (dtype.kind not in FLOATING or setting.image is not None)
    )


def named(name: str, *words: str) -> bool:
    """Whether one of the regular expressions occurs in the name of an input."""
    return any(re.search(word, name.lower()) for word in words)
