"""PyTorch modules, audited, fixed and raced as they are: nothing is written to a file.

    import initaudit.torch

    report = initaudit.torch.audit(model, torch.randn(8, 3, 32, 32))
    initaudit.torch.fix_(model, torch.randn(8, 3, 32, 32))
    print(initaudit.torch.race(model, (images, labels)))

The module is exported as ONNX without any optimisation, so that every parameter is a tensor of the file under its own name. Needs the extra `torch`.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from initaudit import api
from initaudit.errors import FixRefused, NotTrainable, UnreadableModel, UsageError
from initaudit.model.load import load_model
from initaudit.model.record import read_record
from initaudit.racing.data import TARGETS as TARGET_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from torch import Tensor
    from torch.nn import Module

    from initaudit.api import AuditOptions, FixKeywords, RaceKeywords
    from initaudit.config import Config
    from initaudit.fixing.fixer import FixResult
    from initaudit.model.load import Model
    from initaudit.racing.race import Race
    from initaudit.report.report import Report

__all__ = ["audit", "fix_", "race"]

TARGETS = TARGET_NAMES[0]
"""Name under which a race finds the targets."""
FEWEST = 2
"""Examples of a race: the exporter takes an axis of one for one that is never longer."""
EXAMPLES = 8
"""Of the data, with which a module is exported for a race. A judgement: more than one, so that no size is taken for 1."""


def audit(
    module: Module, example_inputs: Any, *, config: Config | None = None, **options: Unpack[AuditOptions]
) -> Report:
    """Audit a module as it is now; it is not changed.

    Args:
        module: any `torch.nn.Module` that `torch.onnx.export` can export.
        example_inputs: a tensor, a tuple of the positional arguments, or a dict of the keyword arguments of `forward`.
        config: as for `initaudit.audit`.
        **options: as for `initaudit.audit`.

    Raises:
        UsageError: PyTorch or onnxscript is not installed, or as for `initaudit.audit`.
        ModelError: the module cannot be exported.
    """
    return api.audit(_export(module, example_inputs).model, config=config, **options)


def fix_(
    module: Module, example_inputs: Any, *, config: Config | None = None, **options: Unpack[FixKeywords]
) -> FixResult:
    """Fix a module in place: its parameters get the values that `initaudit.fix` would write, all of them or, where it raises, none.

    Args:
        module: as for `audit`.
        example_inputs: as for `audit`.
        config: as for `initaudit.fix`.
        **options: as for `initaudit.fix`; with `dry_run` the module stays as it is.

    Raises:
        FixRefused: nothing was changed, and why.
        UsageError, ModelError: as for `audit`.
    """
    import torch

    exported = _export(module, example_inputs)
    with TemporaryDirectory() as folder:
        output = Path(folder) / "fixed.onnx"
        result = api.fix(exported.model, output, config=config, **options)
        fresh = _changed(output) if result.written and result.changes else {}
        unknown = sorted(fresh.keys() - exported.tensors.keys())
        if unknown:
            raise FixRefused(f"{exported.model.label}: {unknown[0]} is no parameter of the module; nothing was changed")
        with torch.no_grad():
            for name, values in fresh.items():
                exported.tensors[name].copy_(torch.from_numpy(values))
    after = None if result.after is None else replace(result.after, path=exported.model.label)
    return replace(result, after=after, written=())


def race(
    module: Module,
    data: Any,
    *,
    schemes: str | Sequence[str] | None = None,
    config: Config | None = None,
    **options: Unpack[RaceKeywords],
) -> Race:
    """Train a module from several initialisations, and hold what the audit predicts of each against what happens; the module itself stays as it is.

    Nothing is converted: a copy of the module is trained, with its own dropout and norms.

    Args:
        module: as for `audit`; `forward` returns the answer, or a tuple or dict whose first value is trained.
        data: inputs and targets, `(images, labels)`; the inputs a tensor or array, or a tuple of the positional arguments of `forward`, examples along axis 0. Whole numbers
            among the targets are classes, others are to be met.
        schemes: as for `initaudit.compare`.
        config: options of the audits.
        **options: as for `initaudit.race`.

    Raises:
        NotTrainable: it cannot be trained, and why.
        UsageError, ModelError: as for `audit`, and where the data does not fit.
    """
    import copy

    _needed(module)
    import torch

    from initaudit.racing.trainee import trainee_of

    given, wanted = _pair(data)
    try:
        own = copy.deepcopy(module).cpu().float()
    except Exception as error:  # whatever its parts raise
        why = f"it cannot be copied, and a copy is what is trained: {_reason(error)}"
        raise NotTrainable(f"{type(module).__name__}: {why}") from error
    rows = torch.export.Dim("examples", min=FEWEST, max=2**31 - 1)
    exported = _export(own, tuple(t[:EXAMPLES] for t in given), dynamic_shapes=tuple({0: rows} for _ in given))
    names = [info.name for info in exported.model.proto.graph.input]
    if len(names) != len(given):
        raise UsageError(f"{exported.model.label}: {len(given)} inputs are given, its forward reads {len(names)}")
    arrays = {name: tensor.numpy() for name, tensor in zip(names, given, strict=True)}
    arrays[TARGETS] = wanted.numpy()
    trainee = trainee_of(own, names, exported.tensors)
    if not trainee.trained():
        raise NotTrainable(f"{exported.model.label}: none of its parameters requires a gradient")
    return api.race(
        exported.model, arrays, schemes=schemes, config=config, make=lambda base, interface, task: trainee, **options
    )


def _pair(data: Any) -> tuple[tuple[Tensor, ...], Tensor]:
    """Inputs and targets, on the CPU and in single precision. Raises UsageError."""
    if not isinstance(data, Sequence) or len(data) != 2:
        raise UsageError("data is a pair: inputs and targets")
    given = tuple(_tensor(array, "input") for array in _arguments(data[0]))
    if any(not tensor.dim() or len(tensor) < FEWEST for tensor in given):
        raise UsageError(f"data: an input has fewer than {FEWEST} examples along axis 0")
    return given, _tensor(data[1], "target")


def _tensor(values: Any, what: str) -> Tensor:
    import torch

    try:
        tensor = torch.as_tensor(values).detach().cpu()
    except Exception as error:  # of whatever type, and of what it is made of
        raise UsageError(f"data: the {what} is no tensor: {_reason(error)}") from error
    return tensor.float() if tensor.is_floating_point() else tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exported:
    model: Model
    tensors: Mapping[str, Tensor]
    """The parameters and buffers of the module, by the names of the initializers that hold their values."""


def _needed(module: Module) -> None:
    """Raises UsageError where torch, or what its exporter needs, is missing, or it is no module of torch."""
    try:
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        raise UsageError(f"{error}; modules need the extra torch: pip install 'initaudit[torch]'") from error
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"a torch.nn.Module is wanted, not a {type(module).__name__}")


def _export(module: Module, example_inputs: Any, *, dynamic_shapes: Any = None) -> _Exported:
    _needed(module)
    import torch

    keywords = dict(example_inputs) if isinstance(example_inputs, Mapping) else {}
    arguments = () if keywords else _arguments(example_inputs)
    name = type(module).__name__
    told = io.StringIO()  # tracebacks and graphs of an export that fails: what they are about is told in one line
    try:
        with _evaluating(module), redirect_stderr(told):
            program = torch.onnx.export(
                module, arguments, kwargs=keywords, dynamo=True, optimize=False, verbose=False,
                dynamic_shapes=dynamic_shapes,
            )  # fmt: skip
        assert program is not None
        proto = program.model_proto
    except Exception as error:
        raise UnreadableModel(f"{name}: torch.onnx.export cannot export it: {_reason(error)}") from error
    sys.stderr.write(told.getvalue())
    own = {(t.data_ptr(), t.shape): t for t in module.state_dict(keep_vars=True).values() if t.numel()}
    held = {key: getattr(v.const_value, "raw", None) for key, v in program.model.graph.initializers.items()}
    places = {key: (raw.data_ptr(), raw.shape) for key, raw in held.items() if isinstance(raw, torch.Tensor)}
    tensors = {key: own[place] for key, place in places.items() if place in own}
    return _Exported(model=load_model(proto, name=name), tensors=tensors)


def _arguments(example_inputs: Any) -> tuple[Any, ...]:
    """What `forward` is called with: a sequence of arguments, or the only one."""
    return tuple(example_inputs) if isinstance(example_inputs, Sequence) else (example_inputs,)


@contextmanager
def _evaluating(module: Module) -> Iterator[None]:
    """The module without dropout, and with norms that measure nothing, for a while."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _reason(error: BaseException) -> str:
    """The first line of what it was raised for: the exporter's own message is advice that fits all."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{str(error).strip().splitlines()[0]:.300}" if str(error).strip() else type(error).__name__


def _changed(path: Path) -> dict[str, np.ndarray]:
    """The values of the tensors that a fixed file says have changed; those of a type that numpy does not know, as float32."""
    model = load_model(path)
    record = read_record(model.proto)
    assert record is not None
    names = {tensor.name for tensor in record.fixes[-1].tensors}
    found = {tensor.name: tensor.array() for _, tensor in model.graph.tensors() if tensor.name in names}
    return {name: np.array(a if a.dtype.kind == "f" else a.astype(np.float32)) for name, a in found.items()}
