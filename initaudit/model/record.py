"""What fixes did to a model, as they wrote it into its metadata: one entry, compact JSON, read back as carefully as anything that a file says.

initaudit.fixes = {"v": 1, "fixes": [{"version": ..., "scheme": ..., "seed": ..., "source": ..., "layers": [...], "tensors": [...]}]}
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnx import ModelProto

KEY = "initaudit.fixes"
"""Of the entry in `metadata_props`."""
VERSION = 1
"""Of its layout."""
LONGEST = 1 << 23
"""Characters of a record that are read. A judgement: a layer takes some 300, so that 20,000 layers fit."""
LONGEST_TEXT = 4096
"""Characters of one text in it. A judgement: names of layers are paths of some hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLayer:
    """One layer that a fix changed."""

    layer: str
    initializer: str
    scheme: str
    """What its weights were drawn from, or what stands for that: see `Change.scheme`."""
    rung: str | None
    """Which kind of remedy it was; None where there was only one."""
    reason: str
    std: float | None
    """Standard deviation of the new weights; None where it is not finite."""
    bias: str | None
    """Name of the bias that was set with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTensor:
    """One stored tensor whose values a fix replaced."""

    name: str
    before: str
    """Digest of the values that were there, see `digest`."""
    after: str
    """Digest of those that took their place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One run of `initaudit fix`."""

    version: str
    """Of initaudit."""
    scheme: str
    mode: str
    seed: int
    source: str
    """SHA-256 of the .onnx file that was fixed."""
    layers: tuple[FixedLayer, ...]
    tensors: tuple[FixedTensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The fixes of a model, the earliest first."""

    fixes: tuple[Fix, ...] = ()
    problem: str | None = None
    """Why what stands in the file cannot be read; then there are no fixes."""

    @property
    def text(self) -> str:
        """The value of the entry."""
        fixes = [asdict(fix) for fix in self.fixes]
        for fix in fixes:
            fix["tensors"] = [list(tensor.values()) for tensor in fix["tensors"]]
        return json.dumps({"v": VERSION, "fixes": fixes}, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def read_record(model: ModelProto) -> Record | None:
    """What the metadata of a model says of earlier fixes; None where it says nothing."""
    entries = [entry.value for entry in model.metadata_props if entry.key == KEY]
    if not entries:
        return None
    if len(entries) > 1:
        return Record(problem="there is more than one")
    return parse(entries[0])


def parse(text: str) -> Record:
    """The record that a text holds. Never raises: what is no record has a `problem`."""
    if len(text) > LONGEST:
        return Record(problem=f"it is longer than {LONGEST:,} characters")
    try:
        said = _Part(json.loads(text, parse_constant=_no_constant))
        if said.number("v") != VERSION:
            return Record(problem="it is of another version of initaudit")
        return Record(fixes=tuple(_fix(part) for part in said.parts("fixes")))
    except (ValueError, RecursionError, MemoryError) as error:
        return Record(problem=str(error) if isinstance(error, _MalformedError) else "it is no JSON")


class _MalformedError(ValueError):
    """JSON that is no record."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An object of the JSON, whose fields are taken only where they are what they should be."""

    value: Any

    def __getitem__(self, name: str) -> Any:
        if not isinstance(self.value, dict) or name not in self.value:
            raise _MalformedError(f"{name!r} is missing")
        return self.value[name]

    def text(self, name: str) -> str:
        return _text(self[name], name)

    def optional_text(self, name: str) -> str | None:
        return None if self[name] is None else self.text(name)

    def number(self, name: str) -> int:
        value = self[name]
        if not isinstance(value, int) or isinstance(value, bool) or not -(1 << 63) <= value < 1 << 63:
            raise _MalformedError(f"{name!r} is no number")
        return value

    def real(self, name: str) -> float | None:
        value = self[name]
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _MalformedError(f"{name!r} is no number")
        try:
            real = float(value)
        except OverflowError:
            real = math.inf
        if not math.isfinite(real):
            raise _MalformedError(f"{name!r} is no finite number")
        return real

    def items(self, name: str) -> list[Any]:
        value = self[name]
        if not isinstance(value, list):
            raise _MalformedError(f"{name!r} is no list")
        return value

    def parts(self, name: str) -> Iterable[_Part]:
        return map(_Part, self.items(name))


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise _MalformedError(f"{name!r} is no text of at most {LONGEST_TEXT:,} characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _MalformedError(f"{name!r} is no text") from error
    return value


def _fix(part: _Part) -> Fix:
    return Fix(
        version=part.text("version"),
        scheme=part.text("scheme"),
        mode=part.text("mode"),
        seed=part.number("seed"),
        source=part.text("source"),
        layers=tuple(map(_layer, part.parts("layers"))),
        tensors=tuple(map(_tensor, part.items("tensors"))),
    )


def _layer(part: _Part) -> FixedLayer:
    return FixedLayer(
        layer=part.text("layer"),
        initializer=part.text("initializer"),
        scheme=part.text("scheme"),
        rung=part.optional_text("rung"),
        reason=part.text("reason"),
        std=part.real("std"),
        bias=part.optional_text("bias"),
    )


def _tensor(value: object) -> FixedTensor:
    if not isinstance(value, list) or len(value) != 3:
        raise _MalformedError("a tensor is no name with two digests")
    name, before, after = (_text(item, "tensors") for item in value)
    return FixedTensor(name=name, before=before, after=after)


def _no_constant(name: str) -> Any:
    raise _MalformedError(f"{name} is no number")
