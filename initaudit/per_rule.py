"""What a project says of single rules, in single layers: which findings it accepts, how bad they are, from where on they are made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from initaudit.errors import UsageError, similar
from initaudit.findings import Severity
from initaudit.options import Ignore, about, read_ignores, read_real, read_text, selected

if TYPE_CHECKING:
    from initaudit.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The severity that the findings of a rule have in this project."""

    rule: str
    """Code, beginning of a code, name, or ALL."""
    layer: str = "*"
    """As in `Ignore`."""
    severity: Severity

    def applies(self, finding: Finding) -> bool:
        """Whether `finding` is of this severity."""
        return about(finding, self.rule, self.layer)

    def __str__(self) -> str:
        return f"{selected(self.rule, self.layer)}={self.severity}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The threshold of a rule in this project; `Rule.thresholds` says which a rule has."""

    rule: str
    """Code or name."""
    name: str
    """Of the threshold, `ratio` for one."""
    layer: str = "*"
    """As in `Ignore`."""
    value: float

    def __str__(self) -> str:
        return f"{selected(f'{self.rule}.{self.name}', self.layer)}={self.value:g}"


def read_levels(value: Any) -> tuple[Level, ...]:
    """Severities from `INI103=info`, `INI103,INI104:encoder.*=info`, several of these, or a table of what stands left and right of the `=`."""
    levels: list[Level] = []
    for item in _items(value, "INI103=info"):
        if isinstance(item, Level):
            levels.append(item)
            continue
        rules, layer = _selector(item[0])
        levels += [Level(rule=rule, layer=layer, severity=_severity(item[1])) for rule in rules]
    return tuple(levels)


def read_limits(value: Any) -> tuple[Limit, ...]:
    """Thresholds from `INI101.ratio=0.2`, `INI101.ratio:encoder.*=0.2`, several of these, or a table, where the point may nest."""
    limits: list[Limit] = []
    for item in _items(value, "INI101.ratio=0.2"):
        if isinstance(item, Limit):
            limits.append(item)
            continue
        words, layer = _selector(item[0])
        for word in words:
            rule, _, name = word.partition(".")
            if not name:
                raise UsageError(f"{word!r} is not of the form RULE.THRESHOLD; `initaudit rule {rule}` lists them")
            limits.append(Limit(rule=rule, name=name.replace("_", "-"), layer=layer, value=read_real(item[1])))
    return tuple(limits)


def read_layers(value: Any) -> tuple[tuple[Ignore, ...], tuple[Level, ...], tuple[Limit, ...]]:
    """What is said of single layers, from a table of tables: glob over layers -> `ignore` with a `reason`, `severity`, `threshold`."""
    ignores: list[Ignore] = []
    levels: list[Level] = []
    limits: list[Limit] = []
    if not isinstance(value, Mapping):
        raise UsageError(f"{value!r} is no table of layers")
    for layer, table in value.items():
        if not isinstance(table, Mapping):
            raise UsageError(f"layer {layer!r}: {table!r} is no table")
        for key in table:
            if key not in LAYER_KEYS:
                raise UsageError(f"layer {layer!r} has no setting {key!r}{similar(key, LAYER_KEYS)}")
        reason = {"reason": read_text(table["reason"])} if "reason" in table else {}
        ignores += [_here(entry, layer, **reason) for entry in read_ignores(table.get("ignore", ()))]
        levels += [_here(entry, layer) for entry in read_levels(table.get("severity", ()))]
        limits += [_here(entry, layer) for entry in read_limits(table.get("threshold", ()))]
    return tuple(ignores), tuple(levels), tuple(limits)


LAYER_KEYS = ("ignore", "reason", "severity", "threshold")
"""What may be said of a layer."""


def _here(entry: Any, layer: str, **more: str) -> Any:
    if entry.layer != "*":
        raise UsageError(f"layer {layer!r}: {entry} names layers itself")
    return replace(entry, layer=layer, **more)


def _selector(text: str) -> tuple[tuple[str, ...], str]:
    """Rules and layer of `INI103,INI104:encoder.*`."""
    rules, colon, layer = text.partition(":")
    words = tuple(word.strip() for word in rules.split(",") if word.strip())
    if not words:
        raise UsageError(f"{text!r} names no rule; ALL stands for every one")
    if colon and not layer.strip():
        raise UsageError(f"{text!r} names no layer behind the colon; without one it means all")
    return words, layer.strip() or "*"


def _items(value: Any, example: str) -> Iterator[Any]:
    """What is read already, and left and right of each `=`."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, Mapping):  # [threshold.INI101] ratio = 0.2
                yield from ((f"{key}.{name}", right) for name, right in inner.items())
            else:
                yield read_text(key), inner
    elif isinstance(value, (Level, Limit)):
        yield value
    elif isinstance(value, str):
        if not re.fullmatch(rf"\s*({PAIR.pattern})*", value):
            raise UsageError(f"{value!r} is not of the form {example}")
        yield from PAIR.findall(value)
    elif isinstance(value, Iterable):
        for inner in value:
            yield from _items(inner, example)
    else:
        raise UsageError(f"{value!r} is no table such as {example}")


PAIR = re.compile(r"([^=]*[^=\s])\s*=\s*([^=,\s]+)[,\s]*")
"""Left and right of the `=`, up to the comma or the blank in front of the next."""


def _severity(value: Any) -> Severity:
    word = read_text(value)
    known = [severity.value for severity in Severity]
    if word not in known:
        raise UsageError(f"severity must be one of {', '.join(known)}, not {word!r}{similar(word, known)}")
    return Severity(word)
