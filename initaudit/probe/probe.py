"""probe(): what arrives at each layer and what comes back, asked of a process of its own, one choice of branches after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from initaudit.config import DEFAULT_PROVIDER
from initaudit.errors import ProbeError
from initaudit.model.identity import identity_of
from initaudit.probe.background import Probing
from initaudit.probe.growth import is_superlinear
from initaudit.probe.merging import merged
from initaudit.probe.plan import Plan, ProbeOptions, make_plans
from initaudit.probe.session import packs_weights
from initaudit.probe.signal import Signal
from initaudit.remembering import once

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from initaudit.extraction.layer import Layer
    from initaudit.model.load import Model

NO_TIME = "no time was left to measure it; raise --timeout"
"""Why a second network is not measured."""
NO_INPUT = "the network has no input"
"""Why the signal of a network that reads nothing is not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What the probe found out, or why nothing."""

    mode: str
    """full, forward or none: what was asked for."""
    status: str
    """complete, partial (some layers were not probed), failed or skipped."""
    reason: str | None = None
    """Why it is not complete, in words."""
    interrupted: bool = False
    """Whether that is because something was ended at its limit of time or memory, or crashed: another run may measure more."""
    signals: Mapping[str, Signal] = field(default_factory=dict)
    """By `Layer.name`."""
    not_probed: Mapping[str, str] = field(default_factory=dict)
    """Layer name -> why there is no signal for it."""
    inputs: tuple[Mapping[str, Any], ...] = ()
    """{"name", "shape", "dtype", "how", "varies"} per graph input; the last says whether its values differ between samples."""
    batch: int | None = None
    """Number of inputs that were compared."""
    seed: int = 0
    exact: bool = False
    """Whether gradients were measured until little of their error is left."""
    provider: str = DEFAULT_PROVIDER
    """Execution provider that ran the network."""
    batch_norm: str | None = None
    """batch or running: the statistics that BatchNormalization used; None where there is none."""
    norms_restored: bool = False
    """Whether the BatchNorms that the exporter folded away were put back: then what was measured is what will be trained."""
    nonfinite_node: str | None = None
    """First node that makes NaN or infinity from finite values."""
    constant_outputs: tuple[str, ...] = ()
    """Outputs of the model that were alike to the last bit for all inputs; looked for where some layer does not see the input."""
    float16: Mapping[str, Any] | None = None
    """Which nodes leave the range of float16, see `initaudit.probe.float16.Ranges.verdict`; None where it was not measured."""
    tails: Mapping[str, float] = field(default_factory=dict)
    """Layer name -> how many times larger the root mean square of its pre-activation is where the inputs have heavy tails (infinite where it
    leaves the finite numbers); empty where no such inputs were fed."""
    elsewhere: frozenset[str] = frozenset()
    """Names of the layers in branches that exclude those of the others: no input runs through both."""
    notes: tuple[str, ...] = ()

    @property
    def is_for_want_of_inputs(self) -> bool:
        """Whether other inputs than those that were made might give a measurement."""
        reason = self.reason or ""
        return "input" in reason and "--input" not in reason and reason != NO_INPUT

    def without(self, what: str, why: str) -> ProbeResult:
        """The same, and that something else of the audit's measurements was ended before it was done."""
        reason = f"{self.reason}; {what}: {why}" if self.reason else f"{what}: {why}"
        return replace(self, status="partial", reason=reason, interrupted=True)

    @property
    def error(self) -> float | None:
        """Largest relative standard error of a gradient or weight gradient, over the layers that got one; None where there is none."""
        errors = [
            error
            for signal in self.signals.values()
            if signal.gradient_resolved is not False
            for error in (signal.gradient_error, signal.weight_gradient_error)
            if error is not None
        ]
        return max(errors, default=None)


def probe(
    model: Model,
    layers: Sequence[Layer],
    options: ProbeOptions,
    progress: Callable[[str], None] | None = None,
    *,
    deadline: float | None = None,
    stop: threading.Event | None = None,
) -> ProbeResult:
    """Measure the signal at every layer that lies in the main graph. Never raises for what the model does: see `status`.

    Args:
        model: the network.
        layers: in topological order.
        options: what is measured, and with how much work, follows from these alone.
        progress: called with a phrase for what is being done.
        deadline: on `time.monotonic`'s clock, when what is not done is given up; `options.timeout` from now where None.
        stop: when it is set, the result is not wanted any more.
    """
    if options.mode == "none":
        return ProbeResult(mode="none", status="skipped", reason="not asked for", seed=options.seed)
    plans = make_plans(model.graph, layers)
    skipped = plans[0].skipped
    if not plans[0].layers:
        return ProbeResult(
            mode=options.mode,
            status="partial" if skipped else "skipped",
            reason=_missing(skipped) or "no layer to probe",
            not_probed=skipped,
            seed=options.seed,
        )
    run = _Run(
        model=model,
        options=options,
        progress=progress,
        deadline=time.monotonic() + options.timeout if deadline is None else deadline,
        stop=stop,
    )
    try:
        first = _probe_plan(run, plans[0])
    except ProbeError as error:
        return ProbeResult(
            mode=options.mode,
            status="failed",
            reason=str(error),
            interrupted=_is_abortion(error),
            not_probed=skipped,
            seed=options.seed,
            provider=options.provider,
        )
    told, missing, interrupted = [(plans[0], first)], dict(skipped), False
    for plan in plans[1:]:
        try:
            told.append((plan, _probe_plan(run, plan)))
        except ProbeError as error:
            missing |= {layer.name: str(error) for layer in plan.layers}
            interrupted = interrupted or _is_abortion(error)
    measured = [answer for _, answer in told if "unmeasured" not in answer]
    if measured:
        missing |= {layer.name: a["unmeasured"] for plan, a in told if "unmeasured" in a for layer in plan.layers}
    elsewhere = frozenset(layer.name for plan in plans[1:] for layer in plan.layers)
    result = _result(merged(measured or [first]), missing, options)
    return replace(result, elsewhere=elsewhere, interrupted=result.interrupted or interrupted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What the plans of one probe share."""

    model: Model
    options: ProbeOptions
    progress: Callable[[str], None] | None
    deadline: float
    stop: threading.Event | None


def _is_abortion(error: ProbeError) -> bool:
    from initaudit.probe.isolation import Aborted

    return isinstance(error, Aborted)


def _probe_plan(run: _Run, plan: Plan) -> dict[str, Any]:
    """What a process of its own answers for one choice of branches. Raises ProbeError."""
    from initaudit.probe.isolation import Aborted, run_child

    model, options = run.model, run.options
    left = run.deadline - time.monotonic()
    if left <= 0:
        raise Aborted(NO_TIME)
    superlinear = is_superlinear(model.graph, [layer.output for layer in plan.layers])
    path = None if model.path is None else model.path.resolve()
    job: dict[str, Any] = {
        "path": None if path is None else str(path),
        "folder": None if model.folder is None else str(model.folder),
        "sha256": None if path is None else model.sha256,
        "plan": {**plan.to_json(), "superlinear": superlinear},
        "options": options.to_json(),
    }

    def ask() -> dict[str, Any]:
        blobs = [model.proto.SerializeToString()] if path is None else []
        if isinstance(options.input_data, bytes):
            job["data"] = len(blobs)
            blobs.append(options.input_data)
        return run_child(job, blobs, timeout=left, max_memory=options.max_memory, progress=run.progress, stop=run.stop)

    return once(
        lambda: _question(model, job, options),
        ask,
        keep=lambda answer: not (answer.get("interrupted") or answer.get("cut_short")),
    )


def _question(model: Model, job: Mapping[str, Any], options: ProbeOptions) -> Hashable:
    """What decides the answer to a job: the network, whatever file holds it, and what is asked."""
    asked = json.dumps({key: job[key] for key in ("plan", "options")}, sort_keys=True)
    return identity_of(model), packs_weights(model.proto), asked, options.input_data


def start_probe(
    model: Model,
    layers: Sequence[Layer],
    options: ProbeOptions,
    progress: Callable[[str], None] | None = None,
    *,
    deadline: float | None = None,
) -> Probing[ProbeResult]:
    """Begin `probe` in the background, where there is anything to do."""
    probing = Probing(lambda stop: probe(model, layers, options, progress, deadline=deadline, stop=stop))
    return probing if options.mode == "none" else probing.start()


def _result(answer: Mapping[str, Any], skipped: Mapping[str, str], options: ProbeOptions) -> ProbeResult:
    if (unmeasured := answer.get("unmeasured")) is not None:
        return ProbeResult(
            mode=options.mode,
            status="failed",
            reason=unmeasured,
            not_probed=skipped,
            inputs=tuple(answer["inputs"]),
            seed=options.seed,
            provider=options.provider,
            notes=tuple(answer["notes"]),
        )
    missing = {**skipped, **answer["skipped"]}
    interrupted = answer.get("interrupted")
    cut_short = answer.get("cut_short")
    reasons = [_missing(missing), f"gradients were not measured: {interrupted}" if interrupted else None, cut_short]
    reason = "; ".join(r for r in reasons if r) or None
    return ProbeResult(
        mode=options.mode,
        status="partial" if reason else "complete",
        reason=reason,
        interrupted=bool(interrupted or cut_short),
        signals={name: Signal.from_json(values) for name, values in answer["signals"].items()},
        not_probed=missing,
        inputs=tuple(answer["inputs"]),
        batch=answer["batch"],
        seed=options.seed,
        exact=options.exact,
        provider=options.provider,
        batch_norm=answer["batch_norm"],
        norms_restored=answer["norms_restored"],
        nonfinite_node=answer["nonfinite_node"],
        constant_outputs=tuple(answer["constant_outputs"]),
        float16=answer["float16"],
        tails=answer["tails"],
        notes=tuple(answer["notes"]),
    )


def _missing(skipped: Mapping[str, str]) -> str | None:
    """Why layers were not probed, in words; None where all were."""
    counts: dict[str, int] = {}
    for reason in skipped.values():
        counts[reason] = counts.get(reason, 0) + 1
    told = "; ".join(f"{count}: {reason}" for reason, count in sorted(counts.items()))
    return f"{len(skipped)} layers were not probed ({told})" if skipped else None
