"""What the bias of a layer says of it: still one constant, or still drawn, while those of other layers have moved; or moved itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from initaudit.judgement.evidence import Piece
from initaudit.judgement.moved import PSEUDO_LAYERS
from initaudit.kind import Kind

if TYPE_CHECKING:
    from initaudit.judgement.groups import Group
    from initaudit.judgement.moved import Moved
    from initaudit.stats.bias_origin import BiasOrigin

STILL: Final = 0.1
"""Share of the trained layers whose bias is one constant, before a layer of the network itself was looked at. A judgement: most
frameworks' converters write zeros for biases that were never there, and then in every layer."""

BIAS: Final[dict[str, dict[BiasOrigin, tuple[float, float]]]] = {
    "torch": {"constant": (0.05, math.nan), "drawn": (0.9, 0.5), "open": (0.04, 0.45), "moved": (0.02, 0.05)},
    "other": {"constant": (0.9, math.nan), "drawn": (0.05, 0.35), "open": (0.04, 0.4), "moved": (0.02, 0.25)},
}
"""Share of the untrained, and of the trained, layers whose bias is so, by the law of the weights: torch draws both. Of the trained
ones `benchmarks/untrained` gives them; those of untrained layers that do not keep to the habit are a judgement: an author's own start,
or weights that were frozen beside a bias that was not."""

LEFT_OUT: Final = (0.5, 0.1)
"""Share of the untrained, and of the trained, heads without a bias in networks all of whose other layers have one. A judgement: most heads are
drawn anew with a bias of zeros, which torch's exporter leaves out, and few are built without one."""
LEAST_BIASES: Final = 2
"""Other layers with a bias from which that is a habit."""


def evidence_of_bias(group: Group, others: Moved) -> Piece:
    """A bias that is still one constant, or still drawn, where those of other layers have moved; or one that has moved itself."""
    if group.bias is None:
        return _left_out(group, others)
    untrained, trained = BIAS["torch" if group.default else "other"][group.bias]
    if group.bias == "constant":
        trained = (STILL + others.constant) / (1.0 + others.biases)
    elif group.bias == "drawn" and group.default:
        trained = (PSEUDO_LAYERS * trained + others.drawn) / (PSEUDO_LAYERS + others.telling)
    changed = others.biases - others.constant
    also = f"which {others.drawn or 'none'} of {others.biases} other biases {'do' if others.drawn > 1 else 'does'}"
    words = {
        "constant": f"its bias is one constant, as at the start, while {changed} of {others.biases} others have changed",
        "drawn": f"its bias still fits a law as well, {also}" if group.default else "",
        "open": "",
        "moved": "but its bias has left every law at which one starts",
    }
    return Piece.of(untrained, trained, words[group.bias])


def _left_out(group: Group, others: Moved) -> Piece:
    """A head without a bias where everything else has one: of zeros, it would have been left out."""
    has_none = all(a.layer.kind is Kind.LINEAR and a.bias is None for a in group.parts)
    if not (group.is_head and has_none) or group.default or others.biases < max(LEAST_BIASES, others.layers):
        return Piece()
    return Piece.of(*LEFT_OUT, "it has no bias, as all others have, and exporters leave out one of zeros")
