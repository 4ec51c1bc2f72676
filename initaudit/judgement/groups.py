"""Groups: the layers of a network that training moves together, with what their weights and biases say of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from initaudit.kind import Kind
from initaudit.measuring.measure import facts_of
from initaudit.stats.bias_origin import BiasOrigin, SharedLaw, origin_of_bias, shared_law
from initaudit.stats.laws import candidate_laws
from initaudit.stats.provenance import ACCEPT
from initaudit.stats.strays import is_constant

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.stats.provenance import Provenance

WIDENED: Final = 1.25
"""Factor up to which a uniform law that is wider than a published one counts as that law after a short training. A judgement: later
the edges are gone."""
LEAST_DECAYED: Final = 0.3
"""Factor down to which weight decay, where no gradient comes, may have narrowed a law. A judgement: 10,000 steps of AdamW at a rate of
0.001 with a decay of 0.1."""
COMMON: Final = 1.0
"""Cost, in `stats.laws`, up to which a law is common enough to be what an unexplained one started from: the named schemes."""
COMMONEST: Final = 0.0
"""The same for one that decay narrowed, as some law is wider than any: torch's default."""

RESCALED: Final = 1.5
"""Multiple of the scatter that chance gives the norms of the units, from which these were rescaled one by one, as folding a
BatchNorm does; the bias is then that of the norm. A judgement."""

TELLTALES: Final[tuple[BiasOrigin, ...]] = ("moved", "open", "drawn", "constant")
"""From what speaks most for training to what speaks most against it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Layers that training moves together: the users of one stored weight, the gates of a recurrent weight."""

    parts: tuple[LayerAudit, ...]
    vote: Provenance
    """What the values of most of the parts say that say anything; in a tie, that they were trained."""
    fits: bool
    """Whether the values of every part may be those of a draw."""
    certain: bool
    """Whether, beyond that, the values of one part prove it."""
    rejected: bool
    """Whether the values of one part are certainly those of no draw."""
    default: bool
    """Whether the law of the values is torch's default, which draws biases too, or that as decay narrows it."""
    width: float | None
    """How much wider a uniform law is than the common one next to it; None where its scale is published, or nothing is near."""
    cell: int
    """Identity of what shares the biases: a recurrent cell, or the layer alone."""
    bias: BiasOrigin | None
    """Of the biases of the parts, what speaks most for training; None where there is none, or it is that of a folded norm."""

    @property
    def title(self) -> str:
        """Of its first part."""
        return self.parts[0].layer.title

    @property
    def is_head(self) -> bool:
        """Whether one of its parts gives the answer."""
        return any(a.layer.is_head for a in self.parts)

    @property
    def scale_nats(self) -> float | None:
        """What the scale says for a draw, as `Provenance.scale_nats`, of the part of which it says least; None where one has no known scale."""
        nats = [a.provenance.scale_nats for a in self.parts if a.provenance is not None]
        return None if self.width is not None else min((n for n in nats if n is not None), default=None)

    @property
    def wide(self) -> bool:
        """Whether a uniform law is a little wider than a published one, as a short training leaves it."""
        return self.width is not None and self.width > 1.0

    @property
    def std(self) -> float:
        """Standard deviation of the weights of its first part."""
        return self.parts[0].stats.std

    @property
    def uniform(self) -> bool:
        """Whether every law that its values fit is uniform."""
        return all(a.provenance is None or a.provenance.distribution == "uniform" for a in self.parts)

    @property
    def count(self) -> int:
        """Values of its weights."""
        return sum(a.stats.count for a in self.parts)

    @property
    def bias_count(self) -> int:
        """Values of its largest bias."""
        return max((a.bias.count for a in self.parts if a.bias is not None), default=0)

    @property
    def hardly_moved(self) -> bool:
        """Whether, in a network that was trained, it was too although its values fit a law, or nearly: by its bias, or its bound."""
        return self.fits and (self.bias in ("moved", "open") or self.wide)

    @property
    def moved(self) -> bool:
        """Whether it was trained, by its values or by its bias."""
        return self.rejected or self.hardly_moved


def grouped(layers: Iterable[LayerAudit]) -> list[Group]:
    """The layers that schemes draw and training changes, those together that training moves together."""
    witnesses = [
        a
        for a in layers  # a vector that is only added may start at any pattern: the decay of a recurrence, a position bias
        if a.provenance is not None and a.layer.untrainable is None and a.layer.kind is not Kind.OTHER
    ]
    found: dict[int, list[LayerAudit]] = {}
    cells: dict[int, set[BiasOrigin | None]] = {}
    for audit in witnesses:
        tensors = audit.layer.weight.tensors
        found.setdefault(id(tensors[0] if tensors else audit), []).append(audit)
        cells.setdefault(_cell(audit), set()).add(_bias_origin(audit))
    return [_group(parts, set().union(*(cells[_cell(part)] for part in parts))) for parts in found.values()]


def biases_law(groups: Sequence[Group]) -> SharedLaw | None:
    """The one law, if any, that explains every bias that is neither constant nor torch's default: the author's own, perhaps."""
    layers = [part for group in groups if group.bias in ("open", "moved") for part in group.parts]
    strange = [(a.bias, a.layer.fan_in) for a in layers if a.bias is not None and not is_constant(a.bias)]
    return shared_law([bias for bias, _ in strange], [fan_in for _, fan_in in strange])


def _bias_origin(audit: LayerAudit) -> BiasOrigin | None:
    """Where the values of the layer's bias came from; None where it has none, or it is that of a folded norm."""
    if audit.bias is None or audit.layer.folded_norm or _is_rescaled(audit):
        return None
    if audit.input_mean is not None:
        return "constant"  # but for what takes the mean of the input out
    facts = facts_of(audit.layer, audit.target)
    return origin_of_bias(audit.bias, facts, audit.provenance, decay=min(_width(audit) or 1.0, 1.0))


def _cell(audit: LayerAudit) -> int:
    """See `Group.cell`."""
    return id(audit.layer.node if audit.layer.kind.is_recurrent else audit)


def _group(parts: Sequence[LayerAudit], biases: set[BiasOrigin | None]) -> Group:
    origins = [a.provenance for a in parts if a.provenance is not None]
    fits = all(is_draw(origin) for origin in origins)
    width = max((width for width in map(_width, parts) if width is not None), default=None)
    return Group(
        parts=tuple(parts),
        vote=vote_of(origins),
        fits=fits,
        certain=fits and any(origin.untrained is True and origin.confidence == "high" for origin in origins),
        rejected=any(origin.untrained is False and origin.confidence == "high" for origin in origins),
        default=any((origin.law or "").startswith("torch_") for origin in origins)
        or (width is not None and width < 1.0),
        width=width,
        cell=_cell(parts[0]),
        bias=next((origin for origin in TELLTALES if origin in biases), None),
    )


def vote_of(origins: Sequence[Provenance]) -> Provenance:
    """What most of those say that say anything; in a tie, that they were trained."""
    says = [origin.untrained for origin in origins if origin.untrained is not None]
    majority = max((False, True), key=says.count) if says else None
    return next(origin for origin in origins if origin.untrained is majority)


def is_draw(origin: Provenance) -> bool:
    """Whether the values may be those of a draw."""
    if origin.untrained is not None:
        return origin.untrained
    known = origin.law is not None or bool(origin.candidates)  # the second where a free scale fits a little better
    return known and origin.p_value is not None and origin.p_value >= ACCEPT


def _is_rescaled(audit: LayerAudit) -> bool:
    """Whether the norms of the units scatter more than those of draws do."""
    norms, origin = audit.stats.unit_norms, audit.provenance
    if norms is None or origin is None or origin.distribution is None or origin.law is not None:
        return False
    inputs = audit.stats.count / norms.count
    variance = (0.8 if origin.distribution == "uniform" else 2.0) / (4.0 * inputs)  # of a norm: that of x^2 over 4 n
    return norms.dispersion > RESCALED * math.sqrt(variance)


def _width(audit: LayerAudit) -> float | None:
    """Reach of values that are uniform at no published scale, over that of a common law; None where there is none near."""
    origin = audit.provenance
    if origin is None or origin.distribution != "uniform" or origin.law is not None or _is_rescaled(audit):
        return None
    reach = max(-audit.stats.min, audit.stats.max)
    laws = [law for law in candidate_laws(facts_of(audit.layer, audit.target)) if law.distribution == "uniform"]
    wider = [reach / (math.sqrt(3.0) * law.std) for law in laws if law.cost <= COMMON]
    narrower = [reach / (math.sqrt(3.0) * law.std) for law in laws if law.cost <= COMMONEST]
    near = [width for width in wider if 1.0 < width <= WIDENED]
    near = near or [width for width in narrower if LEAST_DECAYED <= width <= 1.0]
    return min(near, key=lambda width: abs(math.log(width)), default=None)
