"""The public functions: `initaudit.audit`, `fix`, `compare`, `race` and `make`, with options as keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

from initaudit.config import Config

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from typing import Any, Literal, TypeAlias, Unpack

    from onnx import ModelProto

    from initaudit.arrays import InputData
    from initaudit.fixing.fixer import FixResult
    from initaudit.model.load import Source
    from initaudit.options import Ignore
    from initaudit.racing.race import Made, Race
    from initaudit.report.report import Report
    from initaudit.starts.compare import Comparison

    OptionsT = TypeVar("OptionsT")
    Words: TypeAlias = str | Iterable[str]
    Ignored: TypeAlias = str | Ignore | Mapping[str, str]
    Stated: TypeAlias = str | Iterable[str] | Mapping[str, Any]
    PathLike: TypeAlias = str | os.PathLike[str]


class AuditOptions(TypedDict, total=False):
    """The fields of `Config`, which says what each means, with all the types that they may be given as."""

    select: Words
    ignore: Ignored | Iterable[Ignored]
    severity: Stated
    threshold: Stated
    fail_on: Literal["error", "warning", "never"]
    fail_on_incomplete: bool
    min_trainability: float | None
    context: Literal["auto", "fresh", "trained"]
    probe: Literal["full", "forward", "none"]
    batch: int | None
    seed: int
    exact: bool
    max_memory: int | str
    timeout: float
    provider: str
    input_shapes: Mapping[str, Iterable[int]]
    input_spectrum: Literal["natural", "white"]
    input_data: InputData
    baseline: PathLike | None
    against: PathLike | None


class FixKeywords(TypedDict, total=False):
    """The fields of `FixOptions`, which says what each means, with all the types that they may be given as."""

    scheme: Words
    mode: Literal["resample", "rescale"]
    gain: float
    bias: Literal["auto", "zero", "keep"]
    layers: Words
    exclude: Words
    every: bool
    select: Words
    force: bool
    dry_run: bool
    keep_going: bool
    export_weights: PathLike | None


class MakeKeywords(TypedDict, total=False):
    """The fields of `MakeOptions`, which says what each means, with all the types that they may be given as."""

    activation: str | None
    norm: Literal["none", "batch", "layer"] | None
    dropout: float
    scheme: Words
    gain: float
    bias: Literal["auto", "none"] | float
    seed: int


class RaceKeywords(TypedDict, total=False):
    """The fields of `RaceOptions`, which says what each means, with all the types that they may be given as."""

    optimizers: Words
    rates: float | Iterable[float]
    steps: int
    seeds: int
    batch_size: int
    patience: int | None
    target: float | None
    seconds: float | None
    device: str
    output: str | None
    journal: PathLike | None
    gain: float
    bias: Literal["auto", "zero", "keep"]
    exclude: Words


def audit(source: Source, *, config: Config | None = None, **options: Unpack[AuditOptions]) -> Report:
    """Audit one model.

    Args:
        source: path, bytes, `onnx.ModelProto` or `onnx_ir.Model`.
        config: all options; or give single ones as keywords (the fields of `initaudit.Config`),
            e.g. `audit("m.onnx", select="INI1,INI4", input_data={"image": images})`. Configuration files are not read.
        **options: fields of `Config` that differ from `config`.

    Raises:
        ModelError: the model cannot be read.
        UsageError: an option is unknown, of a wrong type or cannot be followed.
    """
    from initaudit import auditor

    return auditor.audit(source, _with(_checked(config), options))


def fix(
    source: Source, output: PathLike | None = None, *, config: Config | None = None, **options: Unpack[FixKeywords]
) -> FixResult:
    """Write a copy of the model with re-initialised weights to `output`, and audit it.

    Args:
        source: as for `audit`.
        output: file to write; None changes nothing on disk and only tells what would be done.
        config: options of the audit.
        **options: fields of `initaudit.fixing.fixer.FixOptions`: what to change and how.

    Raises:
        FixRefused: nothing was written, and why.
        ModelError: the model cannot be read.
        UsageError: as for `audit`.
    """
    from initaudit.fixing import fixer

    target = None if output is None else Path(output)
    return fixer.fix(source, target, _checked(config), _with(fixer.FixOptions(), options))


def compare(
    source: Source,
    *,
    schemes: Words | None = None,
    config: Config | None = None,
    gain: float = 1.0,
    bias: Literal["auto", "zero", "keep"] = "auto",
    exclude: Words = (),
    **options: Unpack[AuditOptions],
) -> Comparison:
    """Measure a network as it is and under other initialisations, best first; nothing is trained or written.

    Args:
        source: as for `audit`.
        schemes: `as-is`, `auto` (what `fix` would write) or what `fix` takes for `scheme`; None for the usual ones.
        config: options of the audits.
        gain: factor on the weights that are drawn.
        bias: of layers that are drawn.
        exclude: names, titles or globs of layers that stay as they are.
        **options: as for `audit`.

    Raises:
        ModelError: the model cannot be read.
        UsageError: as for `audit`.
    """
    from initaudit.fixing.options import FixOptions
    from initaudit.starts import compare as starts
    from initaudit.starts.schemes import DEFAULT, read_starts

    chosen = DEFAULT if schemes is None else read_starts([schemes] if isinstance(schemes, str) else schemes)
    drawn = _with(FixOptions(), {"gain": gain, "bias": bias, "exclude": exclude})
    return starts.compare(source, chosen, _with(_checked(config), options), drawn)


def make(architecture: str, sizes: str | None = None, **options: Unpack[MakeKeywords]) -> ModelProto:
    """A small network for teaching and tests, with the weights that `fix` would draw; the same bytes for the same arguments.

    Args:
        architecture: mlp, conv, residual, lstm or transformer.
        sizes: as `initaudit make --help` says they are written, e.g. "784,100x5,10"; None for the usual ones.
        **options: fields of `initaudit.making.options.MakeOptions`.

    Raises:
        UsageError: there is no such network, and why.
    """
    from initaudit.making import make as making
    from initaudit.making.options import MakeOptions

    return making.make(architecture, sizes, _with(MakeOptions(), options))


def race(
    source: Source,
    data: PathLike | Mapping[str, Any],
    *,
    schemes: Words | None = None,
    config: Config | None = None,
    make: Made | None = None,
    **options: Unpack[RaceKeywords],
) -> Race:
    """Train a network from several initialisations, and hold what the audit predicts of each against what happens; no model is written.

    Args:
        source: as for `audit`.
        data: an .npz file with the inputs by name and the targets as `y`, or such arrays; or `digits` (scikit-learn's), `teacher` (what another
            draw of the network answers) or `labels` (random targets).
        schemes: as for `compare`.
        config: options of the audits; its seed is that of the first draw.
        make: gives the module that is trained; the model converted where None.
        **options: `optimizers` (sgd, adam) each at all `rates`; `gain`, `bias` and `exclude` as for `compare`; the others are fields of
            `initaudit.racing.options.RaceOptions`.

    Raises:
        NotTrainable: it cannot be trained, and why.
        ModelError: the model cannot be read.
        UsageError: as for `audit`; torch is missing; or the data does not fit.
    """
    import os

    from initaudit.errors import UsageError
    from initaudit.fixing.options import FixOptions
    from initaudit.racing import race as racing
    from initaudit.racing.options import RaceOptions, read_settings
    from initaudit.starts.schemes import DEFAULT, read_starts

    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    given["device"] = str(given.get("device", "cpu"))
    racing.needs_torch(given["device"], converter=make is None)
    names, rates = given.pop("optimizers", ()), given.pop("rates", ())
    drawn: dict[str, Any] = {name: given.pop(name) for name in ("gain", "bias", "exclude") if name in given}
    how = {
        "schemes": DEFAULT if schemes is None else read_starts([schemes] if isinstance(schemes, str) else schemes),
        "settings": read_settings(
            [names] if isinstance(names, str) else names, [rates] if isinstance(rates, int | float | str) else rates
        ),
        "drawn": _with(FixOptions(), drawn),
        "journal": Path(path) if (path := given.pop("journal", None)) is not None else None,
    }
    if not isinstance(data, (str, os.PathLike, Mapping)):
        raise UsageError(f"data is the path of a file, or arrays by name, not a {type(data).__name__}")
    arrays = data if isinstance(data, Mapping) else str(data)
    return racing.race(source, arrays, _checked(config), _with(RaceOptions(), {**how, **given}), make=make)


def _checked(config: Config | None) -> Config:
    from initaudit.errors import UsageError

    if not isinstance(config, Config | None):
        raise UsageError(f"config is no initaudit.Config: {type(config).__name__}")
    return config or Config()


def _with(defaults: OptionsT, options: Mapping[str, Any]) -> OptionsT:
    """`defaults` (a Config, say) with some fields changed. Raises UsageError."""
    from dataclasses import fields, replace

    from initaudit.errors import UsageError, similar

    known = [field.name for field in fields(defaults)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            of_audit = name in {field.name for field in fields(Config)}
            hint = f"; it is one of the audit: config=Config({name}=...)" if of_audit else similar(name, known)
            raise UsageError(f"unknown option {name!r}{hint}")
    return replace(defaults, **options)  # type: ignore[type-var]
