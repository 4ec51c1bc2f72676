"""Strategies for what a person, another program or a stranger may hand to the program beside a model."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from initaudit.errors import ModelError, UsageError
from initaudit.settings.given import AUDIT_OPTIONS, RUN_OPTIONS
from tests.fuzz.mutation.values import TEXTS

Work = Callable[[], Any]
OPTIONS = (*AUDIT_OPTIONS, *RUN_OPTIONS)


def names() -> st.SearchStrategy[str]:
    """Any text that protobuf holds, and more often than by chance what is an order, a pattern's trap or hides something."""
    anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    return st.one_of(anything, st.sampled_from(TEXTS), st.lists(st.sampled_from(TEXTS), max_size=3).map("".join))


def values() -> st.SearchStrategy[Any]:
    """Whatever JSON or TOML can hold."""
    single = st.one_of(st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats(), texts())
    return st.recursive(
        single,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts(), inner, max_size=3)),
        max_leaves=6,
    )


def texts() -> st.SearchStrategy[str]:
    """Words of the options, what is nearly one, and anything."""
    words = [
        "ALL",
        "INI103",
        "INI1",
        "INI103:enc.*=on purpose",
        "error",
        "auto",
        "full",
        "2GiB",
        "1e3",
        "x:2x3",
        "nan",
        "-1",
        "he_normal",
    ]
    return st.one_of(st.sampled_from(words), names(), st.text(":=,*[]x.0123456789abINI ", max_size=12))


def toml() -> st.SearchStrategy[str]:
    """The text of a configuration file: options with values of any type, tables of files and layers; and other texts."""
    keys = st.one_of(st.sampled_from(OPTIONS).map(lambda name: name.replace("_", "-")), names())
    table = st.dictionaries(keys, values(), max_size=3)
    nested = st.fixed_dictionaries(
        {}, optional={"layers": st.one_of(values(), st.dictionaries(names(), table, max_size=2))}
    )
    files = st.fixed_dictionaries(
        {}, optional={"files": st.one_of(values(), st.dictionaries(names(), table, max_size=2))}
    )
    whole = st.tuples(table, nested, files).map(lambda parts: _toml({**parts[0], **parts[1], **parts[2]}))
    return st.one_of(whole, whole.map(lambda text: f"exclude = '''\n{'a' * 60}\n'''\n{text}"), st.text(max_size=60))


def _toml(table: dict[str, Any]) -> str:
    return "\n".join(f"{_key(key)} = {_value(value)}" for key, value in table.items())


def _key(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _key(value) if isinstance(value, str) else repr(value)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A document of JSON with something else, or nothing, in one to three of its places."""
    made = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        holder, key = made, None
        for _ in range(draw(st.integers(1, 6))):
            inner = holder[key] if key is not None else holder
            if not isinstance(inner, (dict, list)) or not inner:
                break
            holder, key = inner, draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if key is None:
            return draw(values())
        if draw(st.booleans()):
            holder[key] = draw(
                st.one_of(st.sampled_from([None, 7, "abc", [], {}, ["x"], {"a": 1}, -1.5, True]), values())
            )
        else:
            del holder[key]
    return made


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Bytes with a few others in their place, cut off or with some behind."""
    made = bytearray(raw)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(made) - 1)))
        made[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(made[: draw(st.integers(0, len(made)))]) if draw(st.booleans()) else bytes(made)


def refused(work: Work) -> str | None:
    """What a documented error of the work says; None where there is none. Any other exception fails the test."""
    try:
        work()
    except (UsageError, ModelError) as error:
        return str(error)
    return None
