"""converted(): a model as a module of torch that can be trained, by onnx2fx; and whether it computes what onnxruntime computes."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from initaudit.errors import NotTrainable
from initaudit.probe.session import open_session, run_session
from initaudit.racing.learned import learned_tensors
from initaudit.racing.operators import register
from initaudit.racing.rewriting import DOMAIN, flattened, rewritten
from initaudit.racing.trainee import trainee_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto

    from initaudit.model.load import Model
    from initaudit.racing.trainee import Trainee

CLOSE, CLOSE_HALF = 1e-3, 2e-2
"""Largest difference between the two, over the largest value; of a file in float16 the rounding of onnxruntime adds to it. A judgement: float32
rounds at 6e-8 and float16 at 5e-4, and tens of layers add that up."""
ROUNDING = 30.0
"""How many times the error of rounding, as float64 shows it, the two may differ beyond that: where rounding grows through depth, both err."""


def converted(model: Model, answer: str, *, classes: bool) -> tuple[Trainee, tuple[str, int] | None]:
    """The model as a module; its weights, biases and whatever else it learned are parameters. And what `rewritten` took from its end.

    Args:
        model: as loaded.
        answer: the output that is kept.
        classes: whether a softmax at the end is left to the loss.

    Raises:
        NotTrainable: an operator has no way, or a weight is not stored as floats, and which.
    """
    learned = learned_tensors(model)
    new = rewritten(model, answer, classes=classes)
    _refuse_operators(model, new.proto)
    module = _module(model, new.proto)
    tensors: dict[str, torch.Tensor] = {}
    for name, own in new.names.items():
        held = getattr(module, own, None)
        if not isinstance(held, torch.Tensor):
            continue
        if name in learned and held.is_floating_point():
            delattr(module, own)
            held = nn.Parameter(held)
            module.register_parameter(own, held)
        tensors[name] = held
    lost = [name for name in learned if not isinstance(tensors.get(name), nn.Parameter)]
    unknown = [name for name in lost if name not in tensors]
    if unknown and len(lost) == len(learned):
        raise NotTrainable(f"{model.label}: none of its weights reaches the output {answer!r} from the main graph")
    return trainee_of(module, [info.name for info in flattened(model).graph.input], tensors), new.squashed


def _refuse_operators(model: Model, proto: ModelProto) -> None:
    from onnx2fx import analyze_model

    register()
    missing = sorted({(op, domain) for op, domain, _ in analyze_model(proto).unsupported_ops})
    if missing:
        told = ", ".join(op if domain in ("", DOMAIN) else f"{domain}.{op}" for op, domain in missing)
        raise NotTrainable(f"{model.label}: no way to torch for {told}; initaudit.torch.race takes the module itself")


def _module(model: Model, proto: ModelProto) -> nn.Module:
    from onnx2fx import convert

    try:
        module: nn.Module = convert(proto)
    except Exception as error:  # whatever the converter raises
        raise NotTrainable(f"{model.label}: onnx2fx cannot convert it: {_brief(error)}") from error
    return module


def check(
    trainee: Trainee, model: Model, answer: str, inputs: Mapping[str, np.ndarray], *, squashed: tuple[str, int] | None
) -> None:
    """Raises NotTrainable where the module gives other values than onnxruntime gives for the model, or none.

    Args:
        trainee: with the weights of the model.
        model: as loaded.
        answer: the output that is compared.
        inputs: one batch.
        squashed: the operator at the end that the module does without.
    """
    proto = flattened(model)
    wanted = run_session(open_session(proto, model.folder), [answer], dict(inputs))[0].astype(np.float64)
    found = _finished(_answer(trainee, model, inputs, torch.float32), squashed)
    if found.shape != wanted.shape:
        raise NotTrainable(f"{model.label}: the module gives {_shape(found)}, onnxruntime {_shape(wanted)}")
    off, size = _distance(found, wanted), float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0))
    close = CLOSE_HALF if _has_half(proto) else CLOSE
    if off <= close * size:
        return
    with suppress(NotTrainable):  # some operators of the converter know only float32
        exact = _finished(_answer(trainee, model, inputs, torch.float64), squashed)
        if off <= close * size + ROUNDING * _distance(found, exact):
            return
    raise NotTrainable(
        f"{model.label}: the module differs from onnxruntime by {off / max(size, 1e-300):.1g} of the largest output"
    )


def _answer(trainee: Trainee, model: Model, inputs: Mapping[str, np.ndarray], dtype: torch.dtype) -> np.ndarray:
    own = trainee if dtype is torch.float32 else trainee_of(copy.deepcopy(trainee.module).to(dtype), trainee.inputs, {})
    own.module.eval()
    try:
        with torch.no_grad():
            found = own.answer({n: _given(a, dtype) for n, a in inputs.items()})
    except Exception as error:  # whatever its operators raise
        raise NotTrainable(f"{model.label}: the converted module cannot be run: {_brief(error)}") from error
    return found.cpu().double().numpy()


def _given(array: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    tensor = torch.from_numpy(array.astype(np.float32) if array.dtype.kind not in "iub" else array)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _finished(values: np.ndarray, squashed: tuple[str, int] | None) -> np.ndarray:
    """With the operator at the end that the module leaves to the loss."""
    tensor = torch.from_numpy(values)
    if squashed is not None:
        name, axis = squashed
        done = {"Softmax": tensor.softmax, "LogSoftmax": tensor.log_softmax, "Sigmoid": lambda _: tensor.sigmoid()}
        tensor = done[name](axis)
    return tensor.numpy()


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference; what is infinite or not a number in both is the same."""
    both = np.isfinite(one) & np.isfinite(other)
    if (np.isfinite(one) != np.isfinite(other)).any():
        return float("inf")
    return float(np.abs(one - other)[both].max(initial=0.0))


def _has_half(model: ModelProto) -> bool:
    from initaudit.probe.float16 import half_values

    return bool(half_values(model))


def _shape(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape)) or "a number"


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().split(chr(10))[0]:.200}"
