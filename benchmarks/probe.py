"""Time and peak memory of `initaudit check` beside plain inference and beside tools that look at activations.

    python benchmarks/probe.py [--batches 1 8 32] [--models resnet transformer] [--repeat 3]

The models are built here with onnx alone: a network of the size of ResNet-18 (11.7 million parameters, 224 x 224) and a
transformer of 12 layers (width 512, 256 tokens). Every line is a whole process, started from nothing; time is the best of
`--repeat`, memory the largest sum of the proportional set sizes of the process and its children. Ratios are to plain
onnxruntime inference of the same batch in the same run.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

PLAIN = """
import sys, numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
shape = [int(n) for n in sys.argv[2].split("x")]
session.run(None, {"x": np.random.default_rng(0).standard_normal(shape, dtype=np.float32)})
"""
READER = """
import sys, numpy as np
from onnxruntime.quantization import CalibrationDataReader
shape = [int(n) for n in sys.argv[2].split("x")]
class Reader(CalibrationDataReader):
    def __init__(self): self.left = [{"x": np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}]
    def get_next(self): return self.left.pop() if self.left else None
"""
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
POLYGRAPHY = """
import sys, numpy as np
from polygraphy.backend.onnx import ModifyOutputs, OnnxFromPath, BytesFromOnnx
from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
from polygraphy import constants
shape = [int(n) for n in sys.argv[2].split("x")]
model = ModifyOutputs(OnnxFromPath(sys.argv[1]), outputs=constants.MARK_ALL)
with OnnxrtRunner(SessionFromOnnx(BytesFromOnnx(model))) as runner:
    runner.infer({"x": np.random.default_rng(0).standard_normal(shape, dtype=np.float32)})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one command."""

    seconds: float
    mebibytes: float


class Builder:
    """Collects nodes and weights."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def weight(self, name: str, shape: tuple[int, ...], std: float) -> str:
        """A normal weight; zeros for std 0."""
        values = self.rng.standard_normal(shape, dtype=np.float32) * np.float32(std)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """A node with one output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"/{output}", **attributes))
        return output

    def save(self, path: Path, shape: list[int | str], output: str) -> None:
        """Write the model with input `x`."""
        graph = helper.make_graph(
            self.nodes, path.stem,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.weights,
        )  # fmt: skip
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def resnet(path: Path) -> None:
    """ResNet-18 with BatchNorm folded into its convolutions, residual branches scaled down as Fixup does."""
    b = Builder()

    def conv(source: str, name: str, channels: tuple[int, int], size: int, stride: int, scale: float = 1.0) -> str:
        inside, outside = channels
        weight = b.weight(
            f"{name}.weight", (outside, inside, size, size), scale * math.sqrt(2 / (inside * size * size))
        )
        bias = b.weight(f"{name}.bias", (outside,), 0.0)
        sizes = {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [size // 2] * 4}
        return b.add("Conv", [source, weight, bias], name, **sizes)

    value = b.add("Relu", [conv("x", "stem", (3, 64), 7, 2)], "stem.relu")
    value = b.add("MaxPool", [value], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    inside = 64
    for stage, outside in enumerate((64, 128, 256, 512)):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 2 if stage and not block else 1
            inner = b.add("Relu", [conv(value, f"{name}.conv1", (inside, outside), 3, stride)], f"{name}.relu1")
            branch = conv(inner, f"{name}.conv2", (outside, outside), 3, 1, 0.35)
            skip = value if stride == 1 else conv(value, f"{name}.shortcut", (inside, outside), 1, stride, 0.7)
            value = b.add("Relu", [b.add("Add", [branch, skip], f"{name}.add")], f"{name}.relu2")
            inside = outside
    value = b.add("Flatten", [b.add("GlobalAveragePool", [value], "average")], "flat")
    b.add("Gemm", [value, b.weight("fc.weight", (1000, 512), 0.044), b.weight("fc.bias", (1000,), 0.0)], "y", transB=1)
    b.save(path, ["N", 3, 224, 224], "y")


def transformer(path: Path, *, layers: int = 12, width: int = 512, heads: int = 8, tokens: int = 256) -> None:
    """Pre-norm transformer encoder on embedded tokens."""
    b = Builder()
    b.weights += [
        numpy_helper.from_array(np.array([0, 0, heads, width // heads]), "split"),
        numpy_helper.from_array(np.array([0, 0, width]), "merge"),
        numpy_helper.from_array(np.float32(math.sqrt(heads / width)), "scale"),
        numpy_helper.from_array(np.ones(width, np.float32), "one"),
        numpy_helper.from_array(np.zeros(width, np.float32), "zero"),
        numpy_helper.from_array(np.float32(math.sqrt(0.5)), "sqrt_half"),
        numpy_helper.from_array(np.float32(1), "unit"), numpy_helper.from_array(np.float32(0.5), "half"),
    ]  # fmt: skip

    def linear(source: str, name: str, inside: int, outside: int, std: float) -> str:
        product = b.add("MatMul", [source, b.weight(f"{name}.weight", (inside, outside), std)], f"{name}.product")
        return b.add("Add", [product, b.weight(f"{name}.bias", (outside,), 0.0)], name)

    def norm(source: str, name: str) -> str:
        return b.add("LayerNormalization", [source, "one", "zero"], name, axis=-1)

    value, std = "x", 1 / math.sqrt(width)
    for i in range(layers):
        h = norm(value, f"{i}.norm1")
        parts = []
        for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            split = b.add("Reshape", [linear(h, f"{i}.{part}", width, width, std), "split"], f"{i}.{part}.split")
            parts.append(b.add("Transpose", [split], f"{i}.{part}.heads", perm=order))
        scores = b.add("Mul", [b.add("MatMul", parts[:2], f"{i}.scores"), "scale"], f"{i}.scaled")
        mixed = b.add("MatMul", [b.add("Softmax", [scores], f"{i}.softmax", axis=-1), parts[2]], f"{i}.mixed")
        merged = b.add("Reshape", [b.add("Transpose", [mixed], f"{i}.back", perm=[0, 2, 1, 3]), "merge"], f"{i}.merged")
        value = b.add(
            "Add", [value, linear(merged, f"{i}.out", width, width, std / math.sqrt(2 * layers))], f"{i}.add1"
        )
        h = linear(norm(value, f"{i}.norm2"), f"{i}.up", width, 4 * width, std)
        half = b.add("Mul", [h, "half"], f"{i}.half")
        erf = b.add("Add", [b.add("Erf", [b.add("Mul", [h, "sqrt_half"], f"{i}.s")], f"{i}.erf"), "unit"], f"{i}.erf1")
        h = linear(b.add("Mul", [half, erf], f"{i}.gelu"), f"{i}.down", 4 * width, width, std / math.sqrt(8 * layers))
        value = b.add("Add", [value, h], f"{i}.add2")
    norm(value, "y")
    b.save(path, ["N", tokens, width], "y")


def run(command: list[str], repeat: int) -> Cost:
    """Best time and largest memory of `repeat` runs. Exit codes 0 and 1 (findings) are fine."""
    times, peaks = [], []
    for _ in range(repeat):
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        peak = [0]
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
        watcher.start()
        _, errors = process.communicate()
        times.append(time.perf_counter() - start)
        done.set()
        watcher.join()
        if process.returncode not in (0, 1):
            raise SystemExit(f"{command}: exit code {process.returncode}\n{errors.decode()[-2000:]}")
        peaks.append(peak[0] / 2**20)
    return Cost(seconds=min(times), mebibytes=max(peaks))


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


def commands(model: Path, shape: str, batch: int) -> dict[str, list[str]]:
    """What is compared, plain inference first."""
    python = sys.executable
    check = [python, "-m", "initaudit", "check", str(model), "--batch", str(batch), "--exit-zero", "--isolated"]
    found = {
        "plain inference": [python, "-c", PLAIN, str(model), shape],
        "initaudit check": check,
        "initaudit check --probe forward": [*check, "--probe", "forward"],
        "initaudit check --probe none": [*check, "--probe", "none"],
        "collect_activations": [python, "-c", COLLECT, str(model), shape],
        "MinMaxCalibrater": [python, "-c", MINMAX, str(model), shape],
    }
    if importlib.util.find_spec("polygraphy"):
        found["polygraphy, all outputs"] = [python, "-c", POLYGRAPHY, str(model), shape]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--models", nargs="+", default=["resnet", "transformer"], choices=["resnet", "transformer"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", help="run commands whose name contains this, and plain inference")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            model = Path(folder) / f"{name}.onnx"
            {"resnet": resnet, "transformer": transformer}[name](model)
            rest = "3x224x224" if name == "resnet" else "256x512"
            for batch in arguments.batches if name == "resnet" else [8]:
                print(f"\n{name}, batch {batch}{'':24}time      ratio    peak memory  ratio")
                plain: Cost | None = None
                for label, command in commands(model, f"{batch}x{rest}", batch).items():
                    if arguments.only and plain and arguments.only not in label:
                        continue
                    cost = run(command, arguments.repeat)
                    plain = plain or cost
                    print(
                        f"  {label:34} {cost.seconds:7.2f} s {cost.seconds / plain.seconds:7.2f} "
                        f"{cost.mebibytes:10.0f} MiB {cost.mebibytes / plain.mebibytes:6.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
