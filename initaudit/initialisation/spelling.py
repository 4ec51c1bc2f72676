"""How schemes are written: `he_normal`, `variance_scaling:2,fan_in,normal`; and for some layers alone: `head.*=zeros`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from initaudit.errors import UsageError, similar
from initaudit.initialisation.schemes import SCHEMES, Distribution, Scheme, fixed, variance_scaling, whole
from initaudit.options import at_least, names, one_of, read_number, read_positive, read_real, read_text

AUTO: Final = "auto"
"""What fits each layer: its target."""
LSUV: Final = "lsuv"
"""Orthogonal draws, each scaled until what leaves the layer has unit variance over the inputs (Mishkin & Matas 2016)."""
PCA: Final = "pca"
"""The leading directions of what arrives at the layer, whitened (Krähenbühl et al. 2016)."""
BY_INPUTS: Final = (LSUV, PCA)
"""What is no law, as it depends on the inputs of the network."""

ALIASES: Final = {
    "ones": "constant_1",
    **{f"glorot_{kind}": f"xavier_{kind}" for kind in ("uniform", "normal", "truncated_normal")},
    **{f"kaiming_{kind}": f"he_{kind}" for kind in ("uniform", "normal", "truncated_normal")},
}
"""Other names of the same: Keras and torch call schemes by first names and last names of their authors."""

Mode = Literal["fan_in", "fan_out", "fan_avg"]


@dataclass(frozen=True, slots=True)
class Family:
    """Schemes that are written with numbers behind a colon."""

    form: str
    """How, for messages and help."""
    make: Callable[..., Scheme]
    """Of the scheme, from the words between the commas; raises UsageError or TypeError."""


def _fixed(distribution: Distribution) -> Callable[[str], Scheme]:
    read = read_real if distribution == "constant" else read_positive
    return lambda size: fixed(distribution, read(size))


def _variance_scaling(scale: str, mode: str, distribution: str) -> Scheme:
    fan = one_of("fan_in", "fan_out", "fan_avg")(mode)
    law = one_of("normal", "uniform", "truncated_normal")(distribution)
    return variance_scaling(read_positive(scale), cast("Mode", fan), cast("Distribution", law))


def _he(distribution: Distribution) -> Callable[..., Scheme]:
    def make(mode: str, slope: str = "0") -> Scheme:
        fan, a = one_of("fan_in", "fan_out")(mode), read_real(slope)
        name = f"he_{distribution}" + ("_fan_out" if fan == "fan_out" else "")
        if a == 0 and name in SCHEMES:
            return SCHEMES[name]
        written = f"he_{distribution}:{fan}" + (f",{a:g}" if a else "")
        return variance_scaling(
            2.0 / (1.0 + a * a), cast("Mode", fan), distribution, name=written, source="He et al. 2015, eq. 15"
        )

    return make


def _gpt2_residual(layers: str) -> Scheme:
    return fixed("normal", 0.02 / (2.0 * at_least(1, read_number)(layers)) ** 0.5)


FAMILIES: Final = {
    "variance_scaling": Family("SCALE,fan_in|fan_out|fan_avg,normal|uniform|truncated_normal", _variance_scaling),
    "normal": Family("STD", _fixed("normal")),
    "truncated_normal": Family("STD", _fixed("truncated_normal")),
    "uniform": Family("BOUND", _fixed("uniform")),
    "constant": Family("VALUE", _fixed("constant")),
    "orthogonal": Family("GAIN", lambda gain: whole("orthogonal", read_positive(gain))),
    "identity": Family("GAIN", lambda gain: whole("identity", read_positive(gain))),
    "gpt2_residual": Family("LAYERS", _gpt2_residual),
    "he_normal": Family("fan_in|fan_out[,SLOPE]", _he("normal")),
    "he_uniform": Family("fan_in|fan_out[,SLOPE]", _he("uniform")),
    "he_truncated_normal": Family("fan_in|fan_out[,SLOPE]", _he("truncated_normal")),
}
"""By name. `gpt2_residual` is N(0, 0.02/sqrt(2 LAYERS)), of the projections that end residual branches (Radford et al. 2019, section 2.3)."""


def known_schemes() -> tuple[str, ...]:
    """Everything that may stand for a scheme, families with their form."""
    families = [f"{name}:{family.form}" for name, family in FAMILIES.items()]
    return (AUTO, *BY_INPUTS, *sorted({*SCHEMES, *ALIASES}), *families)


def scheme_of(text: str) -> Scheme:
    """The scheme that is written so, in whatever case. Raises UsageError, with the nearest name or the form of the family."""
    written, colon, numbers = text.strip().lower().partition(":")
    name = ALIASES.get(written, written)
    if not colon and name in SCHEMES:
        return SCHEMES[name]
    family = FAMILIES.get(name)
    if family is None:
        if not written:
            raise UsageError(f"no scheme is named; {_there_are()}")
        raise UsageError(f"unknown scheme {text!r}{similar(written, _names()) or f'; {_there_are()}'}")
    try:
        return family.make(*(word.strip() for word in numbers.split(",") if word.strip()))
    except TypeError:
        raise UsageError(f"scheme {text!r} is written {written}:{family.form}") from None
    except UsageError as error:
        raise UsageError(f"scheme {text!r}, written {written}:{family.form}: {error}") from error


def _names() -> list[str]:
    return sorted({AUTO, *BY_INPUTS, *SCHEMES, *ALIASES, *FAMILIES})


def _there_are() -> str:
    return f"there are {', '.join(_names())}"


def read_schemes(value: Any) -> tuple[str, ...]:
    """Checked texts `SCHEME` or `GLOB=SCHEME`, schemes in lower case: of a list, or of one text with blanks between them. Raises UsageError."""
    items = (value.split() or [value]) if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, Mapping):
        raise UsageError(f"{value!r} is no list of schemes")
    return tuple(_checked(read_text(item).strip()) for item in items)


def _checked(text: str) -> str:
    """The text with its scheme in lower case; names of layers keep theirs."""
    glob, equals, scheme = text.rpartition("=")
    if equals and not glob.strip():
        raise UsageError(f"{text!r} names no layer before the equals sign")
    scheme = scheme.strip().lower()
    if equals and not scheme:
        raise UsageError(f"{text!r} names no scheme behind the equals sign; {_there_are()}")
    if scheme not in (AUTO, *BY_INPUTS):
        scheme_of(scheme)
    return f"{glob}{equals}{scheme}"


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a layer is to be drawn by."""

    scheme: str
    """`auto`, `lsuv`, `pca` or what `scheme_of` takes."""
    by_name: bool
    """Whether the layer was meant by a glob, rather than all layers."""


def assigned(texts: Sequence[str], layer: Iterable[str]) -> Assigned:
    """What the texts, as `read_schemes` gives them, say of a layer of these names.

    Of several globs that fit the last counts, and any of them before a scheme without one, which is for the other layers.
    """
    layer = tuple(layer)
    pairs = [text.rpartition("=") for text in texts]
    for glob, _, scheme in reversed(pairs):
        if glob and any(names(glob.strip(), name) for name in layer):
            return Assigned(scheme.strip(), by_name=True)
    return Assigned(next((scheme for glob, _, scheme in reversed(pairs) if not glob), AUTO), by_name=False)


def globs(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that name layers."""
    return tuple(glob.strip() for glob, _, _ in (text.rpartition("=") for text in texts) if glob)


def unused(texts: Iterable[str], layers: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Globs that fit none of the layers, each given by its names."""
    known = [name for layer in layers for name in layer]
    return tuple(glob for glob in globs(texts) if not any(names(glob, name) for name in known))
