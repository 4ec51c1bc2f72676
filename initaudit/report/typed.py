"""Whether a document that is read back has the types and words that `initaudit/schema.json` gives its parts.

Which keys there must be is left to the reader: versions differ in them, and read what is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

Rule: TypeAlias = Mapping[str, Any]
"""What the schema says of one place."""

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def misfit(value: Any, part: str) -> str | None:
    """The first place that is not what the schema says of a `part` (`document`, `report`, ...), in words; None where there is none."""
    return _misfit(value, {"$ref": f"#/$defs/{part}"}, part)


def _misfit(value: Any, rule: Rule, place: str) -> str | None:
    if "$ref" in rule:
        return _misfit(value, _referred(rule["$ref"]), place)
    if "oneOf" in rule:
        found = [_misfit(value, one, place) for one in rule["oneOf"]]
        return None if None in found else found[-1]
    kinds = rule.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"{place} is no {' or '.join(kinds)}"
    words = [rule["const"]] if "const" in rule else rule.get("enum")
    if words is not None and value not in words:
        return f"{place} is {value!r:.40}, not one of {', '.join(map(str, words))}"
    inside: list[tuple[Any, Any, str]] = []
    if isinstance(value, dict):
        known, others = rule.get("properties", {}), rule.get("additionalProperties")
        inside = [(inner, known.get(key, others), f"{place}.{key}") for key, inner in value.items()]
    elif isinstance(value, list):
        inside = [(inner, rule.get("items"), f"{place}[{at}]") for at, inner in enumerate(value)]
    return next((wrong for inner, of, at in inside if isinstance(of, dict) and (wrong := _misfit(inner, of, at))), None)


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


@cache
def _schema() -> Rule:
    schema: Rule = json.loads(files("initaudit").joinpath("schema.json").read_text(encoding="utf-8"))
    return schema


@cache
def _referred(reference: str) -> Rule:
    rule = _schema()
    for key in reference.removeprefix("#/").split("/"):
        rule = rule[key]
    return rule
