"""Obstacle: whether re-initialising mends a fresh network that does not learn, or what else is in its way.

Three things look alike in what the probe measures. Weights off their scale are drawn anew; an activation that forgets its input at any
scale, and layers too narrow for their number, need another architecture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initaudit.errors import InitauditError
from initaudit.judgement.dynamics import dynamics_of, log10
from initaudit.judgement.optimisers import SGD
from initaudit.judgement.outlook import STEEP_SQUARE, outlook_of
from initaudit.judgement.recommended import keep, known, way_of
from initaudit.judgement.score import SUFFICES, TRAINABLE, score_of
from initaudit.judgement.trainability import trainability
from initaudit.probe.process import Aborted
from initaudit.redrawing.misfit import FITS, is_misfit
from initaudit.redrawing.twin import shaped_twin, to_redraw, twin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from initaudit.judgement.context import Context
    from initaudit.judgement.outlook import Outlook
    from initaudit.judgement.recommended import Way
    from initaudit.judgement.slowness import Slowness
    from initaudit.judgement.trainability import Trainability
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.model.load import Model
    from initaudit.probe.plan import ProbeOptions
    from initaudit.redrawing.choice import Choice

HOPELESS = 1 - SUFFICES
"""Trainability with the recommended start below which that start is not offered: four such networks in five would not learn either."""
CHANCE = 3.0
"""Standard errors by which a layer's std may differ from that of the others: one in 400 does."""
HOPELESSLY = " No initialisation that was tried mends that."
DRAWN = "Drawn as recommended"
DRAWN_CENTRED = "With weights that sum to zero over the inputs of each unit"
SHAPED = "With all layers shaped together"
TOGETHER = ", or layers shaped together, as `initaudit fix` does where no scheme for a layer alone is enough"
CENTRED = ", or weights that sum to zero over the inputs of each unit, as `initaudit fix` draws them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """What is in the way."""

    name: str
    """scale (weights off their target), activation (its shape, at any scale) or width (depth against width)."""
    message: str
    """What it is and what it does, one sentence or two with numbers."""
    advice: str
    """What mends it."""
    layer: str | None = None
    """The layer that is to blame, where one is."""
    redrawn: float | None = None
    """Trainability of the network drawn as recommended; None where it was not measured."""
    fix_helps: bool = True
    """Whether drawing the weights anew can be expected to help."""
    shaping_alone: bool = False
    """Whether nothing but shaping all layers together helps: to draw some of them as recommended does not."""
    is_everywhere: bool = False
    """Whether all layers share in it alike, so that none is to blame."""
    interrupted: str | None = None
    """Why the measurement of the network drawn as recommended was ended, where it was."""


def obstacle_to(
    model: Model,
    layers: Sequence[LayerAudit],
    context: Context,
    learning: Trainability | None,
    slow: Slowness,
    options: ProbeOptions,
    *,
    deadline: float,
) -> Obstacle | None:
    """What keeps a fresh network from learning well; None where nothing does, or what it is cannot be said.

    Args:
        model: the network.
        layers: probed, in topological order.
        context: only fresh networks can be drawn anew.
        learning: its trainability.
        slow: how it compares with its recommended start, where that was measured.
        options: of its own probe; a recommended start of which theory doubts that it would do is probed likewise.
        deadline: on `time.monotonic`'s clock, when the measurement of that is given up.
    """
    if context.name != "fresh" or learning is None or learning.score >= SUFFICES or not learning.factors:
        return None
    if any(f.name == "symmetry" for f in learning.factors) or any(a.stats.nonfinite for a in layers):
        return None  # other rules name these causes
    outlook = outlook_of(model.graph, layers)
    doubt = None if outlook is None else _doubt(outlook, layers)
    if outlook is None or doubt is None:
        return _scale(layers, outlook, redrawn=None)
    chosen = to_redraw(layers, centre=True)
    centred = any(choice.centred_gain is not None for choice in chosen)
    failure: InitauditError | MemoryError | None = None
    try:
        if slow.compared is not None:
            redrawn: float | None = score_of(slow.compared[1])
        else:
            redrawn = _redrawn(model, layers, chosen, learning, options, deadline)
    except (InitauditError, MemoryError) as error:
        redrawn, failure = None, error
    if redrawn is not None and redrawn >= TRAINABLE and not (doubt == "activation" and centred):
        return _scale(layers, outlook, redrawn=redrawn)
    drawing_helps = bool(chosen) and (redrawn is None or redrawn >= HOPELESS)
    shaped = None if drawing_helps or failure is not None else _shaped(model, layers, options, deadline)
    shaping_helps = shaped is not None and shaped >= TRAINABLE
    fix_helps = drawing_helps or shaping_helps
    message, advice = _activation(outlook) if doubt == "activation" else _width(outlook)
    return Obstacle(
        name=doubt,
        message=f"{message}{'' if fix_helps else HOPELESSLY}{_score(redrawn, DRAWN_CENTRED if centred else DRAWN)}"
        f"{_score(shaped, SHAPED) if shaping_helps else ''}{_told(failure)}",
        advice=f"{advice}{TOGETHER if shaping_helps else CENTRED if drawing_helps and centred else ''}.",
        redrawn=redrawn,
        fix_helps=fix_helps,
        shaping_alone=shaping_helps,
        is_everywhere=_is_uniform(outlook.layers),
        interrupted=str(failure) if isinstance(failure, Aborted) else None,
    )


def _shaped(model: Model, layers: Sequence[LayerAudit], options: ProbeOptions, deadline: float) -> float | None:
    """Trainability of the network whose chain is shaped as a whole; None where it cannot be measured."""
    try:
        return _learns("shaped", layers, lambda: shaped_twin(model, layers, options, deadline=deadline))
    except (InitauditError, MemoryError):
        return None


def _learns(way: Way, layers: Sequence[LayerAudit], measure: Callable[[], Sequence[LayerAudit]]) -> float | None:
    """Trainability of a recommended start: of the one that is known for all draws of the network, else of what `measure` gives."""
    there = known(way, layers)
    if there is not None and there.dynamics is not None:
        return score_of(there.dynamics)
    twin = measure()
    keep(way, twin)
    learning = trainability(twin)
    return None if learning is None else learning.score


def _doubt(outlook: Outlook, layers: Sequence[LayerAudit]) -> str | None:
    """What theory holds against the network at its recommended start.

    Where layers are few units wide, that counts before an activation that loses its input by a power of the depth, as ReLU does.
    """
    if outlook.is_steep:
        return "activation"
    if outlook.is_scattered:
        return "width"
    dynamics = dynamics_of(layers)
    if dynamics is None:
        return None
    calm = replace(dynamics, answer_scale=1.0)
    return "activation" if SGD.suffices(calm, log10(outlook.mean_contrast)) < TRAINABLE else None


def _redrawn(
    model: Model,
    layers: Sequence[LayerAudit],
    chosen: Sequence[Choice],
    learning: Trainability,
    options: ProbeOptions,
    deadline: float,
) -> float | None:
    """Trainability of the recommended start; None where it is the network itself. Raises InitauditError or MemoryError where it cannot be measured."""
    if not chosen or learning.score >= TRAINABLE:
        return None
    return _learns(way_of(chosen), layers, lambda: twin_of(model, chosen, options, deadline=deadline))


def _scale(layers: Sequence[LayerAudit], outlook: Outlook | None, *, redrawn: float | None) -> Obstacle | None:
    """That weights are off their target; None where they are not, not even together, or where other rules name the cause."""
    judged = [a for a in layers if a.layer.kind.is_mixing and a.ratio is not None]
    off = [a for a in judged if is_misfit(a)]
    if any(a.ratio == 0 for a in off):
        return None  # INI003
    if off:
        return _off_scale(off, judged, redrawn=redrawn)
    chain = [] if outlook is None else [a.ratio for a in outlook.layers if a.ratio]
    together = 2 * math.fsum(map(math.log, chain))
    if abs(together) < math.log(STEEP_SQUARE):
        return None
    return Obstacle(
        name="scale",
        message=f"It is the scale: each layer starts near its target, but {len(chain)} in a row multiply the variance by {math.exp(together):.1g}.",
        advice="Draw all layers anew: `initaudit fix --all`.",
        is_everywhere=True,
    )


def _off_scale(off: Sequence[LayerAudit], judged: Sequence[LayerAudit], *, redrawn: float | None) -> Obstacle:
    """One layer is to blame where it does more than all others that are off together; none where most layers are off alike."""
    logs = [abs(math.log(a.ratio or 1.0)) for a in off]
    worst = off[logs.index(max(logs))]
    ratios = [a.ratio or 1.0 for a in off]
    one_side = max(ratios) < 1.0 or min(ratios) > 1.0
    shared = one_side and 2 * len(off) > len(judged) and 2 * max(logs) < math.fsum(logs)
    count = f"all {len(off)}" if len(off) == len(judged) else f"{len(off)} of {len(judged)}"
    verb = "starts" if len(judged) == 1 else "start"
    if max(logs) < math.log(FITS):
        message = f"It is the bias: {count} layers {verb} with biases that add to what the weighted inputs give."
    elif shared:
        message = (
            f"It is the scale: {count} layers {verb} at {min(ratios):.2g} to {max(ratios):.2g} times the std that fits."
        )
    else:
        alone = f"{worst.layer.title} starts at {worst.ratio:.2g} times the std that fits"
        others = f", the one of {count} layers off their target that does most" if len(off) > 1 else ""
        message = f"It is the scale: {alone}{others}."
    everywhere = shared or max(logs) < math.log(FITS)
    return Obstacle(
        name="scale",
        message=message + _score(redrawn),
        advice=f"Draw the {'layer that is' if len(off) == 1 else 'layers that are'} off anew: `initaudit fix`.",
        layer=None if everywhere else worst.layer.name,
        redrawn=redrawn,
        is_everywhere=everywhere,
    )


def _activation(outlook: Outlook) -> tuple[str, str]:
    name, depth = outlook.activation, len(outlook.layers)
    if abs(outlook.log_chi) > math.log(STEEP_SQUARE):
        does = f"changes the squared gradient by a factor e over {outlook.depth_scale:.2g} layers, and there are {depth} in a row"
    else:
        does = f"leaves {outlook.contrast:.1g} of what tells inputs apart after {depth} layers in a row"
    message = (
        f"It is the shape of the activation: even with independent weights at the recommended scale, {name} {does}."
    )
    return message, f"Another activation than {name}, skip connections or normalisation"


def _width(outlook: Outlook) -> tuple[str, str]:
    message = (
        f"It is too deep for its width: in {len(outlook.layers)} layers of {outlook.width:.3g} units chance adds up, and one draw's squared gradients "
        f"differ from the next one's by a factor of e^{math.sqrt(outlook.scatter):.1f}."
    )
    return message, "Skip connections, normalisation, wider or fewer layers"


def _score(redrawn: float | None, how: str = DRAWN) -> str:
    return "" if redrawn is None else f" {how} it would score {redrawn:.2f}."


def _told(failure: InitauditError | MemoryError | None) -> str:
    return "" if failure is None else f" {DRAWN} it could not be measured: {str(failure) or 'out of memory'}."


def _is_uniform(layers: Sequence[LayerAudit]) -> bool:
    """Whether no layer stands out by the scale of its weights, beyond what chance does to few of them, or by its bias."""
    judged = [a for a in layers if a.ratio is not None and not a.layer.is_head]
    if not judged or not all(a.ratio for a in judged):
        return False
    logs = [math.log(a.ratio or 1.0) for a in judged]
    middle = math.fsum(logs) / len(logs)
    return all(
        abs(log - middle) <= math.log(FITS) + CHANCE / math.sqrt(2 * a.stats.count)
        and (a.bias is None or abs(a.bias.mean) <= a.stats.std)
        for a, log in zip(judged, logs, strict=True)
    )
