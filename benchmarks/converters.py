"""Libraries that turn ONNX models into modules of torch: how many models each converts, gets right, and leaves trainable.

    python benchmarks/converters.py onnx2fx sample_models/*.onnx

One of onnx2torch, onnx2pytorch, onnx2fx (as they are, each to be installed) and own (onnx2fx as `initaudit race` uses it). *Agrees*: all outputs as onnxruntime gives them, within 0.1 % of the largest value.
*Trainable*: a gradient reaches a tensor with the values of the weight of every layer.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from initaudit.config import Config
from initaudit.extraction.extract import extract_layers
from initaudit.model.load import load_model

CLOSE = 1e-3
ROWS = 2
LIBRARIES = ("onnx2torch", "onnx2pytorch", "onnx2fx", "own")


def module_of(library: str, path: Path) -> torch.nn.Module:
    """The model by one of the libraries, in use, with gradients for all that is stored as a float but running statistics."""
    module: Any
    if library == "onnx2torch":
        from onnx2torch import convert as by_onnx2torch

        module = by_onnx2torch(str(path))
    elif library == "onnx2pytorch":
        from onnx2pytorch import ConvertModel

        module = ConvertModel(onnx.load(path), experimental=True)
    elif library == "onnx2fx":
        from onnx2fx import convert as by_onnx2fx

        module = by_onnx2fx(str(path))
    else:
        from initaudit.racing.conversion import converted
        from initaudit.racing.interface import interface_of

        model = load_model(path)
        return converted(model, interface_of(model, Config(), examples=8).answer, classes=False)[0].module.eval()
    for part in module.modules():
        for name, held in list(part._buffers.items()):  # noqa: SLF001
            if held is not None and held.is_floating_point() and not name.endswith(("mean", "var")):
                part._buffers[name] = held.clone().requires_grad_(True)  # noqa: SLF001
    return module.eval()


def inputs_of(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    """Random ones, two examples where the size is free."""
    rng, found = np.random.default_rng(0), {}
    for port in session.get_inputs():
        shape = [size if isinstance(size, int) and size > 0 else ROWS for size in port.shape]
        real = rng.standard_normal(shape).astype(np.float16 if "16" in port.type else np.float32)
        found[port.name] = real if "float" in port.type else rng.integers(0, 2, shape)
    return found


def reached(library: str, path: Path, session: onnxruntime.InferenceSession) -> str:
    """How far the library comes with a model: nothing, converted, agrees or trainable; and why no further."""
    inputs = inputs_of(session)
    wanted = [np.asarray(output, np.float64) for output in session.run(None, inputs)]
    stage = "nothing"
    try:
        module = module_of(library, path)
        stage = "converted"
        found = module(*map(torch.from_numpy, inputs.values()))
        found = [found] if isinstance(found, torch.Tensor) else list(found)
        for one, other in zip(found, wanted, strict=False):
            own = one.detach().double().numpy()
            if not np.allclose(own, other, rtol=0, atol=CLOSE * np.abs(other).max(initial=0.0), equal_nan=True):
                return f"{stage}: differs"
        stage = "agrees"
        sum((output * torch.randn_like(output)).sum() for output in found if output.is_floating_point()).backward()  # type: ignore[union-attr]
    except Exception as error:  # noqa: BLE001  whatever a library raises
        return f"{stage}: {type(error).__name__}: {str(error).splitlines()[0][:100] if str(error) else ''}"
    moved = [np.sort(t.detach().numpy(), None) for t in (*module.parameters(), *module.buffers()) if t.grad is not None]
    for layer in extract_layers(load_model(path)).layers:
        for tensor in layer.weight.tensors[:1] if layer.untrainable is None else ():
            values = np.sort(tensor.array().astype(np.float32), None)
            if not any(np.array_equal(values, own.astype(np.float32), equal_nan=True) for own in moved):
                return f"{stage}: no gradient for {tensor.name}"
    return "trainable"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("models", type=Path, nargs="+")
    options = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    stages = []
    for path in options.models:
        try:
            session = onnxruntime.InferenceSession(path)
        except Exception:  # noqa: BLE001  what onnxruntime does not open
            continue
        stages.append(reached(options.library, path, session))
        if stages[-1] != "trainable":
            print(f"{path.name}: {stages[-1]}")
    order = ("trainable", "agrees", "converted")
    counts = [sum(stage.split(":")[0] in order[: n + 1] for stage in stages) for n in range(len(order))]
    print(f"{options.library}: {len(stages)} models, {counts[2]} converted, {counts[1]} agree, {counts[0]} trainable")


if __name__ == "__main__":
    main()
