"""Time and peak memory of `initaudit check` beside plain inference and beside tools that look at activations.

    python benchmarks/probe.py [--batches 1 8 32] [--models resnet transformer glu lstm mobilenet unet bert] [--repeat 3] [--only initaudit]

The networks are those of `probe_networks.py`: ResNet-18, MobileNetV2 and U-Net, transformers of 12 layers (width 512, 256 tokens) with GELU
and with SwiGLU, BERT-base with 128 tokens, an LSTM of 64 steps. Every line is a whole process, started from nothing; time is the best of
`--repeat`, memory the largest sum of the proportional set sizes of the process and its children. Ratios are to plain
onnxruntime inference of the same batch in the same run; the commands take turns, so that other work on the machine meets all of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import onnx
from probe_networks import NETWORKS, Network

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
DRAW = """
import sys, numpy as np
shape, rng = [int(n) for n in sys.argv[2].split("x")], np.random.default_rng(0)
x = rng.integers(1000, size=shape) if sys.argv[3] == "ids" else rng.standard_normal(shape, dtype=np.float32)
"""
PLAIN = (
    DRAW
    + """
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
session.run(None, {"x": x})
"""
)
READER = (
    DRAW
    + """
from onnxruntime.quantization import CalibrationDataReader
class Reader(CalibrationDataReader):
    def __init__(self): self.left = [{"x": x}]
    def get_next(self): return self.left.pop() if self.left else None
"""
)
COLLECT = (
    READER
    + """
import tempfile
from onnxruntime.quantization.qdq_loss_debug import collect_activations, modify_model_output_intermediate_tensors
with tempfile.TemporaryDirectory() as folder:
    modify_model_output_intermediate_tensors(sys.argv[1], folder + "/all.onnx")
    collect_activations(folder + "/all.onnx", Reader())
"""
)
MINMAX = (
    READER
    + """
import tempfile
from onnxruntime.quantization.calibrate import MinMaxCalibrater
with tempfile.TemporaryDirectory() as folder:
    calibrater = MinMaxCalibrater(sys.argv[1], augmented_model_path=folder + "/augmented.onnx")
    calibrater.augment_graph()
    calibrater.create_inference_session()
    calibrater.collect_data(Reader())
"""
)
POLYGRAPHY = (
    DRAW
    + """
from polygraphy.backend.onnx import ModifyOutputs, OnnxFromPath, BytesFromOnnx
from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
from polygraphy import constants
model = ModifyOutputs(OnnxFromPath(sys.argv[1]), outputs=constants.MARK_ALL)
with OnnxrtRunner(SessionFromOnnx(BytesFromOnnx(model))) as runner:
    runner.infer({"x": x})
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one command."""

    seconds: float
    mebibytes: float


def run(command: list[str]) -> Cost:
    """Of one run. Exit codes 0 and 1 (findings) are fine."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT)
    peak = [0]
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command}: exit code {process.returncode}\n{errors.decode()[-2000:]}")
    return Cost(seconds=seconds, mebibytes=peak[0] / 2**20)


def _watch(pid: int, peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.005):
        peak[0] = max(peak[0], sum(_memory(p) for p in _tree(pid)))


def _tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found.extend(int(c) for c in (task / "children").read_text().split())
        except OSError:
            continue
    return found


def _memory(pid: int) -> int:
    """Proportional set size: shared pages are counted once over all who share them."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def commands(model: Path, network: Network, batch: int) -> dict[str, list[str]]:
    """What is compared, plain inference first."""
    python = sys.executable
    given = [str(model), "x".join(map(str, (batch, *network.shape))), "ids" if network.takes_ids else "numbers"]
    check = [python, "-m", "initaudit", "check", str(model), "--batch", str(batch), "--exit-zero", "--isolated"]
    found = {
        "plain inference": [python, "-c", PLAIN, *given],
        "initaudit check": check,
        "initaudit check --probe forward": [*check, "--probe", "forward"],
        "initaudit check --probe none": [*check, "--probe", "none"],
        "collect_activations": [python, "-c", COLLECT, *given],
        "MinMaxCalibrater": [python, "-c", MINMAX, *given],
    }
    if importlib.util.find_spec("polygraphy"):
        found["polygraphy, all outputs"] = [python, "-c", POLYGRAPHY, *given]
    return found


def compare(model: Path, network: Network, batch: int, arguments: argparse.Namespace) -> None:
    """Print what each command costs."""
    print(f"\n{model.stem}, batch {batch}{'':24}time      ratio    peak memory  ratio")
    tried = {
        label: command
        for label, command in commands(model, network, batch).items()
        if label == "plain inference" or (arguments.only or "") in label
    }
    costs: dict[str, list[Cost]] = {label: [] for label in tried}
    for _ in range(arguments.repeat):
        for label, command in tried.items():
            costs[label].append(run(command))
    best = {
        label: Cost(seconds=min(c.seconds for c in some), mebibytes=max(c.mebibytes for c in some))
        for label, some in costs.items()
    }
    plain = best["plain inference"]
    for label, cost in best.items():
        print(
            f"  {label:34} {cost.seconds:7.2f} s {cost.seconds / plain.seconds:7.2f} "
            f"{cost.mebibytes:10.0f} MiB {cost.mebibytes / plain.mebibytes:6.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], help="of the ResNet; the others take 8")
    parser.add_argument("--models", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", help="run commands whose name contains this, and plain inference")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            model = Path(folder) / f"{name}.onnx"
            onnx.save(NETWORKS[name].model(), model)
            for batch in arguments.batches if name == "resnet" else [8]:
                compare(model, NETWORKS[name], batch, arguments)
            model.unlink()


if __name__ == "__main__":
    main()
