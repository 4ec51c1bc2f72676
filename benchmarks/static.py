"""Static audit of large models: time and memory of `initaudit check --probe none` against reading the file and against plain numpy.

    python benchmarks/static.py [--sizes 0.25 1 4] [--types float32 float16 bfloat16] [--small 5000] [--folder DIR]

Makes models with external data in DIR (default: a temporary folder, deleted afterwards): layers of a transformer of width 4096,
filled from one block of N(0, 0.02) without holding the model in memory. Times are the best of three, of whole processes, with the file
in the page cache. `read` is `cat FILE > /dev/null`; `numpy` is mean, std, min, max and histogram of every tensor (cast to float32),
once. Peak memory is the sum of the peaks of all processes of one more run (VmHWM, which counts mapped pages), as the models are
weighed by several. Python may keep its bytecode, as that of an installed package is.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

WIDTH = 4096
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
HIDDEN = 11_008
GIB = 1 << 30
TYPES = {
    "float32": (np.dtype(np.float32), TensorProto.FLOAT),
    "float16": (np.dtype(np.float16), TensorProto.FLOAT16),
    "bfloat16": (np.dtype(ml_dtypes.bfloat16), TensorProto.BFLOAT16),
}
NUMPY_WAY = """
import sys, numpy as np, onnx, ml_dtypes
from onnx.external_data_helper import ExternalDataInfo
model = onnx.load(sys.argv[1], load_external_data=False)
for t in model.graph.initializer:
    info = ExternalDataInfo(t)
    raw = np.memmap(sys.argv[1].rsplit("/", 1)[0] + "/" + info.location, np.uint8, "r", info.offset, info.length)
    x = raw.view(onnx.helper.tensor_dtype_to_np_dtype(t.data_type)).astype(np.float32, copy=False)
    x.mean(), x.std(), x.min(), x.max(), np.histogram(x, bins=48)
"""


def make(folder: Path, gigabytes: float, type_name: str) -> Path:
    """A chain of MatMul and Relu, WIDTH to HIDDEN and back, of about this size."""
    dtype, code = TYPES[type_name]
    count = max(2, round(gigabytes * GIB / (WIDTH * HIDDEN * dtype.itemsize) / 2) * 2)
    block = (np.random.default_rng(0).standard_normal(WIDTH * 512) * 0.02).astype(dtype)
    path = folder / f"{type_name}_{gigabytes:g}.onnx"
    nodes, weights, value, offset = [], [], "x", 0
    with path.with_suffix(".bin").open("wb") as data:
        for i in range(count):
            shape = (WIDTH, HIDDEN) if i % 2 == 0 else (HIDDEN, WIDTH)
            length = shape[0] * shape[1] * dtype.itemsize
            left = shape[0] * shape[1]
            while left:
                part = np.roll(block, 4099 * i + left)[: min(left, block.size)]
                data.write(part.tobytes())
                left -= part.size
            tensor = TensorProto(name=f"w{i}", data_type=code, dims=shape, data_location=TensorProto.EXTERNAL)
            for key, entry in (("location", path.with_suffix(".bin").name), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(entry))
            weights.append(tensor)
            nodes += [
                helper.make_node("MatMul", [value, f"w{i}"], [f"h{i}"]),
                helper.make_node("Relu", [f"h{i}"], [f"y{i}"]),
            ]
            value, offset = f"y{i}", offset + length
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", code, ["n", WIDTH])],
        [helper.make_tensor_value_info(value, code, ["n", WIDTH])], weights,
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def make_small(folder: Path, layers: int) -> Path:
    """A chain of `layers` linear layers of 32 x 32."""
    rng = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for i in range(layers):
        array = rng.uniform(-1, 1, (32, 32)).astype(np.float32) / np.float32(32**0.5)
        weights.append(onnx.numpy_helper.from_array(array, f"w{i}"))
        nodes += [
            helper.make_node("Gemm", [value, f"w{i}"], [f"h{i}"], transB=1),
            helper.make_node("Tanh", [f"h{i}"], [f"y{i}"]),
        ]
        value = f"y{i}"
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", 32])], weights,
    )  # fmt: skip
    path = folder / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def run(*command: str, repeat: int = 3) -> tuple[float, float]:
    """Best wall time and processor time in seconds of a whole process and its children."""
    best = (float("inf"), float("inf"))
    for _ in range(repeat):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT)
        _, message = process.communicate()
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode not in (0, 1):
            raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{message.decode()[-2000:]}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = (min(best[0], wall), min(best[1], cpu))
    return best


def peak_memory(*command: str) -> float:
    """Peaks of all processes of a run added up, MiB, looked at every 5 ms."""
    peaks: dict[int, int] = {}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    while process.poll() is None:
        family = [process.pid]
        try:
            for pid in family:  # workers start workers, from any of their threads
                for task in Path(f"/proc/{pid}/task").iterdir():
                    family += map(int, (task / "children").read_text().split())
                status = Path(f"/proc/{pid}/status").read_text()
                peaks[pid] = max(peaks.get(pid, 0), int(status.partition("VmHWM:")[2].split()[0]))
        except (OSError, IndexError):  # ended meanwhile
            pass
        time.sleep(0.005)
    return sum(peaks.values()) / 1024


def check(path: Path, repeat: int = 3) -> tuple[float, float, float]:
    """Wall time and processor time in seconds, peak memory in MiB."""
    command = (sys.executable, "-m", "initaudit", "check", "--probe", "none", "--isolated", str(path))
    return (*run(*command, repeat=repeat), peak_memory(*command))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes",
        type=float,
        nargs="+",
        default=[0.25, 1.0, 4.0],
        help="GB of external data in float32; the others have as many values",
    )
    parser.add_argument("--types", nargs="+", default=list(TYPES), choices=list(TYPES))
    parser.add_argument(
        "--small", type=int, default=5000, help="layers of the model of many small tensors; 0 leaves it out"
    )
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(
            f"{'model':16} {'values':>9} {'read s':>7} {'check s':>8} {'cpu s':>7} {'x read':>7} {'numpy s':>8} {'faster':>7} {'MiB':>5} {'ns/value':>9}"
        )
        per_value: dict[tuple[str, float], float] = {}
        for type_name in options.types:
            for size in sorted(options.sizes):
                path = make(folder, size * TYPES[type_name][0].itemsize / 4, type_name)
                data = path.with_suffix(".bin")
                length = data.stat().st_size
                values = length // TYPES[type_name][0].itemsize
                read = run("sh", "-c", f"cat '{data}' > /dev/null")[0]
                plain = run(sys.executable, "-c", NUMPY_WAY, str(path), repeat=1)[0]
                wall, cpu, memory = check(path)
                per_value[type_name, size] = wall / values
                print(
                    f"{type_name + ' ' + format(size, 'g'):16} {values:9.2e} {read:7.2f} {wall:8.2f} {cpu:7.2f} {wall / read:7.1f} {plain:8.1f} "
                    f"{plain / wall:7.1f} {memory:5.0f} {wall / values * 1e9:9.2f}",
                    flush=True,
                )
                path.unlink()
                data.unlink()
        largest = max(options.sizes)
        for type_name in options.types:
            if type_name != "float32" and ("float32", largest) in per_value:
                print(
                    f"{type_name}: {per_value[type_name, largest] / per_value['float32', largest]:.2f} times float32 per value"
                )
        if options.small:
            wall, cpu, memory = check(make_small(folder, options.small))
            print(f"{options.small} layers of 32 x 32: {wall:.2f} s, {cpu:.2f} s of processor time, {memory:.0f} MiB")


if __name__ == "__main__":
    main()
