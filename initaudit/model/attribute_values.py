"""What the values of an attribute must be, so that whatever reads them may divide by them and index with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from initaudit.errors import InvalidModel

if TYPE_CHECKING:
    from onnx import AttributeProto


def _positive(values: Iterable[int]) -> bool:
    return all(value > 0 for value in values)


def _not_negative(values: Iterable[int]) -> bool:
    return all(value >= 0 for value in values)


def _permutation(values: Iterable[int]) -> bool:
    return all(place == value for place, value in enumerate(sorted(values)))


_WANTED: Mapping[str, tuple[Callable[[Iterable[int]], bool], str]] = {
    **dict.fromkeys(
        ("strides", "dilations", "kernel_shape", "group", "hidden_size", "blocksize"), (_positive, "positive")
    ),
    "block_size": (_not_negative, "0 or more"),  # 0 is DequantizeLinear's default: no blocks
    "perm": (_permutation, "a permutation of the axes"),
}
"""By name, which means the same in every operator of ONNX and of onnxruntime; onnxruntime refuses other values."""
_DOMAINS = ("ai.onnx", "com.microsoft", "com.ms.")
"""How the domains of these operators begin, but for the empty one."""


def check_values(where: str, domain: str, attribute: AttributeProto) -> None:
    """Raises InvalidModel where no operator of ONNX or onnxruntime can have these values."""
    if attribute.name not in _WANTED or attribute.ref_attr_name or not (domain == "" or domain.startswith(_DOMAINS)):
        return
    fits, words = _WANTED[attribute.name]
    single = attribute.type == attribute.INT
    values = [attribute.i] if single else list(attribute.ints)
    if not fits(values):
        raise InvalidModel(
            f"{where}: attribute {attribute.name!r} is {values[0] if single else values!s:.100}, not {words}"
        )
