"""How the values of options are written: one reader a kind, for the command line, files, the environment and Python alike.

Each reader takes the value itself as well as its text, and raises UsageError that says what is wrong with it.
"""

from __future__ import annotations

import math
import numbers
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from initaudit.errors import UsageError, similar
from initaudit.findings import matches

if TYPE_CHECKING:
    from initaudit.findings import Finding

N = TypeVar("N", int, float)

NO_REASON = "ignored by configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """A finding that is accepted, and why."""

    rule: str
    """Code, beginning of a code, name, or ALL."""
    layer: str = "*"
    """Name or title of the layer or name of the tensor, or a glob over them."""
    reason: str = NO_REASON

    def applies(self, finding: Finding) -> bool:
        """Whether this entry suppresses `finding`."""
        return about(finding, self.rule, self.layer)

    def __str__(self) -> str:
        return selected(self.rule, self.layer)


def about(finding: Finding, rule: str, layer: str) -> bool:
    """Whether `finding` is one of `rule` in `layer`."""
    return matches(finding, rule) and is_in(finding, layer)


def is_in(finding: Finding, layer: str) -> bool:
    """Whether `layer` is the name or title of the layer, the name of the tensor, or a glob over them."""
    subjects = [s for s in (finding.layer, finding.subject, finding.initializer) if s] or [""]
    return any(names(layer, subject) for subject in subjects)


def selected(rule: str, layer: str) -> str:
    """How the two are written: `INI103:encoder.*`."""
    return rule if layer == "*" else f"{rule}:{layer}"


def names(pattern: str, subject: str) -> bool:
    """Whether `pattern` is `subject` itself (names such as `MatMul[q]` are globs too), or a glob that fits it."""
    return pattern == subject or fnmatchcase(subject, pattern)


def read_words(value: Any) -> tuple[str, ...]:
    """Words of a list, or of a text with commas between them."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, Mapping):
        raise UsageError(f"{value!r} is no list of words")
    return tuple(word.strip() for item in items for word in read_text(item).split(",") if word.strip())


def read_list(value: Any) -> tuple[str, ...]:
    """The texts of a list, or of one text with commas between them."""
    if isinstance(value, str):
        return read_words(value)
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise UsageError(f"{value!r} is no list of texts")
    return tuple(read_text(item) for item in value)


def read_ignores(value: Any) -> tuple[Ignore, ...]:
    """Ignores from a text, a table with `rule`, `layer` and `reason`, or a list of them."""
    if isinstance(value, Ignore):
        return (value,)
    if isinstance(value, str):
        return _ignores(value)
    if isinstance(value, Mapping):
        return (_ignore(value),)
    if not isinstance(value, Iterable):
        raise UsageError(f"{value!r} is no list of rules")
    return tuple(ignore for item in value for ignore in read_ignores(item))


def _ignores(text: str) -> tuple[Ignore, ...]:
    """`INI103`, `INI103,INI104`, `INI103:encoder.*` or `INI103,INI104:encoder.*=tied on purpose`; none in a blank text."""
    selector, _, reason = text.partition("=")
    rules, colon, layer = selector.partition(":")
    words = read_words(rules)
    if text.strip() and not words:
        raise UsageError(f"{text!r} names no rule; ALL stands for every one")
    if colon and not layer.strip():
        raise UsageError(f"{text!r} names no layer behind the colon; without one it means all")
    if re.search(r",\s*[A-Za-z]{3}\d", layer):
        raise UsageError(f"{text!r} gives layers to several rules; write an ignore for each")
    layer, reason = layer.strip() or "*", reason.strip() or NO_REASON
    if not colon and reason.startswith("/"):
        raise misplaced_layer(rules.strip(), reason)
    return tuple(Ignore(rule=word, layer=layer, reason=reason) for word in words)


def misplaced_layer(rules: str, reason: str) -> UsageError:
    """The error where a layer stands in the place of a reason (`INI601=/fc2/Gemm`), which would accept the finding in every layer."""
    layer = reason.partition("=")[0].strip()
    return UsageError(f"ignore: {layer!r} is a layer and no reason; write {rules}:{layer}=reason")


def _ignore(table: Mapping[str, Any]) -> Ignore:
    known = [key.name for key in fields(Ignore)]
    for key in table:
        if key not in known:
            raise UsageError(f"an ignore has no {key!r}{similar(str(key), known)}")
    if not str(table.get("rule", "")).strip():
        raise UsageError("an ignore without a rule; ALL stands for every one")
    return Ignore(**{key: read_text(value) for key, value in table.items()})


def read_layer_names(value: Any) -> tuple[str, ...]:
    """Names of layers, or globs over them: of a list, or of a text, which is one, as names may hold commas."""
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise UsageError(f"{value!r} is no list of names")
    return (value,) if isinstance(value, str) else tuple(map(read_text, value))


def read_text(value: Any) -> str:
    """The text."""
    if not isinstance(value, str):
        raise UsageError(f"{value!r} is no text")
    return value


def one_of(*allowed: str) -> Callable[[Any], str]:
    """A reader of one of these words."""

    def read(value: Any) -> str:
        word = read_text(value)
        if word not in allowed:
            raise UsageError(f"must be one of {', '.join(allowed)}, not {word!r}{similar(word, allowed)}")
        return word

    return read


def read_path(value: Any) -> str:
    """The path as text."""
    return os.fsdecode(value) if isinstance(value, os.PathLike) else read_text(value)


def read_number(value: Any) -> int:
    """A whole number."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value):
        return int(value)
    raise UsageError(f"{value!r} is no whole number")


def read_real(value: Any) -> float:
    """A finite number."""
    try:
        real = float(value) if isinstance(value, (numbers.Real, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        real = math.nan
    if not math.isfinite(real):
        raise UsageError(f"{value!r} is no number")
    return real


def read_positive(value: Any) -> float:
    """A finite number above zero."""
    real = read_real(value)
    if real <= 0:
        raise UsageError(f"must be above 0, not {value}")
    return real


def at_least(least: N, read: Callable[[Any], N], shown: str | None = None) -> Callable[[Any], N]:
    """The reader, of values from `least` (written as `shown`) on."""

    def read_within(value: Any) -> N:
        number = read(value)
        if number < least:
            raise UsageError(f"must be at least {shown or least}, not {value}")
        return number

    return read_within


def read_flag(value: Any) -> bool:
    """Yes or no: `true`, `1`, `yes`, `on`, or the contrary."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in words:
        raise UsageError(f"{value!r} is neither true nor false")
    return words[word]


def read_size(value: Any) -> int:
    """Bytes from `512MiB`, `4GiB`, `4GB` or a plain number: binary with an i, decimal without (IEC 80000-13)."""
    if not isinstance(value, str):
        return read_number(value)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", value, re.IGNORECASE)
    if not match:
        raise UsageError(f"{value!r} is not a size such as 512MiB or 4GiB")
    base = 1024 if match[3] or not match[2] else 1000
    return int(float(match[1]) * base ** " KMGT".index(match[2].upper() or " "))


def read_shapes(value: Any) -> dict[str, tuple[int, ...]]:
    """Shapes by the name of the input: of a table, or of texts such as `image:2x3x224x224` (in one text, blanks between them)."""
    if isinstance(value, Mapping):
        return {read_text(name): _shape(name, dimensions) for name, dimensions in value.items()}
    items = value.split() if isinstance(value, str) else value
    if not isinstance(items, Iterable):
        raise UsageError(f"{value!r} is no table of shapes")
    shapes = {}
    for item in items:
        name, _, dimensions = read_text(item).rpartition(":")
        if not name:
            raise UsageError(f"{item!r} is not of the form NAME:2x3x224x224")
        shapes[name] = _shape(name, dimensions)
    return shapes


def _shape(name: str, value: Any) -> tuple[int, ...]:
    items = [part for part in re.split("[x,]", value.lower()) if part.strip()] if isinstance(value, str) else value
    if not isinstance(items, Iterable):
        raise UsageError(f"the shape of {name!r}, {value!r}, is no list of numbers")
    shape = tuple(read_number(item) for item in items)
    if any(dimension < 1 for dimension in shape):
        raise UsageError(f"the shape of {name!r}, {'x'.join(map(str, shape))}, has a dimension below 1")
    return shape
