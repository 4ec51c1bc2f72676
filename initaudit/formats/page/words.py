"""Names, shares and commands as the HTML report prints them; safe against what a model file may hide in a name."""

from __future__ import annotations

import glob
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from markupsafe import Markup

from initaudit.formats import printing
from initaudit.formats.printing import NOTHING, is_hidden, number

LONGEST_NAME = 160
"""Characters of a name that are shown; real names stay below 120, a longer one is cut in the middle."""

LONGEST_TEXT = 2000
"""Characters of a message that are shown; a message is a few sentences, unless a name inside it is hostile."""

LONGEST_COMMAND_NAME = 400
"""A layer name beyond this length gets no command to copy: nobody can check what they paste."""


def visible(value: Any) -> Any:
    """Text with its hidden characters written out; markup made by this program, and other types, as they are."""
    return value if not isinstance(value, str) or isinstance(value, Markup) else printing.visible(value)


def shorten(value: str, longest: int = LONGEST_NAME) -> str:
    """The beginning and the end of a text that is too long to be read."""
    if len(value) <= longest:
        return value
    return f"{value[: longest * 2 // 3]}…{value[-longest // 4 :]}"


def plain(value: Any) -> str:
    """A message or name for the data island: visible and of bounded length."""
    return str(visible(shorten(str(value), LONGEST_TEXT)))


def prose(value: str) -> Markup:
    """A message as HTML: escaped, hidden characters visible, what stands between backticks as code."""
    pieces = str(visible(shorten(value, LONGEST_TEXT))).split("`")
    if len(pieces) % 2 == 0:  # the last backtick has no partner and is an ordinary character
        pieces[-2:] = ["`".join(pieces[-2:])]
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(piece) if index % 2 else piece for index, piece in enumerate(pieces))


def breakable(value: str) -> Markup:
    """A name as HTML that may be broken after its separators, where a reader would break it."""
    escaped = str(Markup.escape(visible(shorten(value))))
    return Markup(re.sub(r"([./:_])(?=[^./:_])", r"\1<wbr>", escaped))  # noqa: S704  # escaped above


def finite(value: Any) -> bool:
    """True for a number that a chart can place."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def share(value: Any) -> str:
    """A share 0..1 in per cent; never rounds to all or nothing what is neither."""
    if not finite(value):
        return number(value)
    if 0 < value < 0.005:
        return "<1 %"
    if 0.995 <= value < 1:
        return ">99 %"
    return f"{value:.0%}".replace("%", " %")


def score(value: float) -> str:
    """A trainability as the terminal has it."""
    return f"{value:.2f}"


def size(value: Any) -> str:
    """A count of bytes in decimal units."""
    if not finite(value):
        return number(value)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{number(round(value, 1) if unit != 'bytes' else value)} {unit}"
        value = value / 1000
    raise AssertionError("unreachable")


def moment(value: str) -> str:
    """A time as the report gives it, `2026-03-09T14:05:33Z`, for people: to the minute."""
    return f"{value[:10]} {value[11:16]} UTC" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) else value


def shape(value: Sequence[int] | None) -> str:
    """A shape as 64×3×7×7."""
    if value is None:
        return NOTHING
    return "×".join(str(axis) for axis in value) or "scalar"


def listed(value: Any) -> str:
    """A list or mapping in one line; None as a dash."""
    shown = fact(value)
    return NOTHING if shown is None else shown


def fact(value: Any) -> str | None:
    """Any value of the report as one short text, None where there is nothing to say."""
    if value is None or (isinstance(value, list | tuple | Mapping) and not value):
        return None
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(key)} {fact(item) or NOTHING}" for key, item in value.items())
    if isinstance(value, list | tuple):
        if all(isinstance(item, int) for item in value):
            return shape(value)
        return ", ".join(fact(item) or NOTHING for item in value)
    return plain(number(value))


def ends(values: Sequence[Any]) -> tuple[str, str] | None:
    """The first and the last known value; None where fewer than two are known."""
    known = [value for value in values if finite(value)]
    return (number(known[0]), number(known[-1])) if len(known) > 1 else None


def journey(values: Sequence[Any]) -> str | None:
    """How a quantity goes from the first to the last layer where it is known, in one sentence; the chart's text twin."""
    known = [(position + 1, value) for position, value in enumerate(values) if finite(value)]
    if not known:
        return None
    (first, start), (last, end) = known[0], known[-1]
    if first == last:
        return f"{number(start)} at layer {first}"
    sentence = f"{number(start)} at layer {first}, {number(end)} at layer {last}"
    if start > 0 and end > 0 and not 0.1 < end / start < 10:
        decades = abs(math.log10(end) - math.log10(start))
        sentence += f": {'grows' if end > start else 'falls'} by a factor of {number(float(10**decades) if decades < 300 else math.inf)} on the way"
    return sentence


def fix_command(path: str, layer: str | None = None, names: Sequence[str] = ()) -> str | None:
    """`initaudit fix` for a POSIX shell, for the whole model or one layer; None where no safe line can be written.

    The layer is given as a glob that matches it alone: its own glob characters are escaped, and a hidden character becomes `?`, so the line
    that a person copies holds nothing they cannot see.
    """
    if any(is_hidden(c) for c in path):
        return None
    words = ["initaudit", "fix", "./" + path if path.startswith("-") else path, "-o", "fixed.onnx"]
    if layer is not None:
        pattern = "".join("?" if is_hidden(c) else glob.escape(c) for c in layer)
        if len(layer) > LONGEST_COMMAND_NAME:
            return None
        if "?" in pattern and sum(fnmatchcase(name, pattern) for name in names) != 1:
            return None
        words += ["--layers", pattern]
    return shlex.join(words)
