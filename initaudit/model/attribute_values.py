"""What the values of an attribute must be, so that whatever reads them may divide by them and index with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from onnx import AttributeProto

from initaudit.errors import InvalidModel


def _positive(values: Iterable[int]) -> bool:
    return all(value > 0 for value in values)


def _not_negative(values: Iterable[int]) -> bool:
    return all(value >= 0 for value in values)


def _permutation(values: Iterable[int]) -> bool:
    return all(place == value for place, value in enumerate(sorted(values)))


class _Wanted(NamedTuple):
    type: int
    fits: Callable[[Iterable[int]], bool]
    words: str


_WANTED: Mapping[str, _Wanted] = {
    **dict.fromkeys(("strides", "dilations", "kernel_shape"), _Wanted(AttributeProto.INTS, _positive, "positive")),
    **dict.fromkeys(("group", "hidden_size", "blocksize"), _Wanted(AttributeProto.INT, _positive, "positive")),
    "block_size": _Wanted(AttributeProto.INT, _not_negative, "0 or more"),  # 0 is DequantizeLinear's default: no blocks
    "perm": _Wanted(AttributeProto.INTS, _permutation, "a permutation of the axes"),
}
"""By name, which means the same in every operator of ONNX and of onnxruntime; onnxruntime refuses other types and values."""
TYPES: Mapping[str, tuple[int, ...]] = {name: (wanted.type,) for name, wanted in _WANTED.items()}
"""Of these attributes."""
_DOMAINS = ("ai.onnx", "com.microsoft", "com.ms.")
"""How the domains of these operators begin, but for the empty one."""


def is_of_runtime(domain: str) -> bool:
    """Whether the operators of a domain are those of ONNX or onnxruntime."""
    return domain == "" or domain.startswith(_DOMAINS)


def check_values(where: str, domain: str, attribute: AttributeProto) -> None:
    """Raises InvalidModel where no operator of ONNX or onnxruntime can have these values."""
    if attribute.name not in _WANTED or attribute.ref_attr_name or not is_of_runtime(domain):
        return
    wanted = _WANTED[attribute.name]
    single = wanted.type == AttributeProto.INT
    values = [attribute.i] if single else list(attribute.ints)
    if not wanted.fits(values):
        raise InvalidModel(
            f"{where}: attribute {attribute.name!r} is {values[0] if single else values!s:.100}, not {wanted.words}"
        )
