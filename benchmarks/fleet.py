"""What a fleet costs beside `check`, and whether its driver's memory grows with the number of models.

    python benchmarks/fleet.py cost [--models N] [--probe none] [--repeats N]
    python benchmarks/fleet.py speed [--models N] [--probe none] [--repeats N] [--engine dask]
    python benchmarks/fleet.py memory [--rows N]

`cost` audits the same models by `check`, by `fleet run` with the local engine, and by `fleet run` with Dask on this machine, weights only and
with the full probe, in turns, one model at a time: two at once slow each other down where they share a core. It counts processor time, that of all descendants included: the part that a
model takes is the slope between a quarter of the models and all of them, the rest is what starting takes. The bars are those of COST.

`speed` runs over the models with one worker and with two, in turns, and says how much sooner two are done, and what processor time they take
over that of one. Beside that stands how much sooner two processes that do nothing but count are done than one after the other, just before: what
the machine has to give at that moment. The bar is SPEED; it means an idle machine of two cores.

`memory` runs over N and over ten times N models, of which each content occurs ten times (so that most are known already), with some of
INLINE bytes among them, and compares the peaks of the driver's own memory. The bar is MEMORY.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

COST = {"none": 1.15, "full": 1.05}
"""By probe: the processor time of `fleet run` for a model over that of `check`."""
SPEED = 1.8
"""Wall time of a run with one worker over that with two."""
MEMORY = 1.1
"""Of the driver's peak at ten times the models over that at the models."""
INLINE = 12_000_000
"""Bytes of the larger models."""
REPEATS = 3
PR_SET_CHILD_SUBREAPER = 36
"""prctl(2): whose parent ends is this process's child then, and its time is counted."""


def make(path: Path, seed: int, width: int = 128, layers: int = 3) -> None:
    """A freshly initialised network of ReLU layers."""
    rng = np.random.default_rng(seed)
    nodes, tensors, value = [], [], "x"
    for i in range(layers):
        weight = rng.normal(0, np.sqrt(2 / width), (width, width)).astype(np.float32)
        tensors += [numpy_helper.from_array(weight, f"fc{i}.weight")]
        tensors += [numpy_helper.from_array(np.zeros(width, np.float32), f"fc{i}.bias")]
        out = f"z{i}" if i < layers - 1 else "y"
        nodes.append(helper.make_node("Gemm", [value, f"fc{i}.weight", f"fc{i}.bias"], [out], transB=1))
        if i < layers - 1:
            nodes.append(helper.make_node("Relu", [out], [f"a{i}"]))
            value = f"a{i}"
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", width]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def processor_time(command: Sequence[str]) -> float:
    """Seconds of a command and all that it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "initaudit", *command], check=False, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peak(command: Sequence[str]) -> int:
    """Bytes that the command's own process holds at the most."""
    most = 0
    with subprocess.Popen([sys.executable, "-m", "initaudit", *command], stderr=subprocess.DEVNULL) as driver:
        while driver.poll() is None:
            lines = Path(f"/proc/{driver.pid}/status").read_text().splitlines()
            most = max([most, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))])
            time.sleep(0.02)
    assert driver.returncode in (0, 1)
    return most


def make_folder(folder: Path, models: int) -> Path:
    """A folder of so many networks."""
    folder.mkdir()
    for i in range(models):
        make(folder / f"{i}.onnx", i)
    return folder


def cost(models: int, probe: str, repeats: int) -> None:
    """Print the table."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    ways = {
        "check": lambda folder, store: ["check", "-o", str(store) + ".json", folder],
        "local": lambda folder, store: ["fleet", "run", folder, "--store", str(store)],
        "dask": lambda folder, store: ["fleet", "run", folder, "--store", str(store), "--engine", "dask"],
    }
    sizes = (models // 4, models)
    used: dict[str, list[float]] = {way: [float("inf"), float("inf")] for way in ways}
    with tempfile.TemporaryDirectory() as made:
        folders = [make_folder(Path(made, f"{size}"), size) for size in sizes]
        for repeat in range(repeats):
            for way, command in ways.items():
                for i, folder in enumerate(folders):
                    store = Path(made, f"store-{way}-{repeat}-{i}")
                    words = [*command(str(folder), store), "-q", "--isolated", "--probe", probe]
                    used[way][i] = min(used[way][i], processor_time(words))
                    shutil.rmtree(store, ignore_errors=True)
    each = {way: (most - few) / (sizes[1] - sizes[0]) for way, (few, most) in used.items()}
    print(f"probe {probe}, {models} models (bar {COST[probe]})")
    for way, (_, most) in used.items():
        start = most - each[way] * models
        ratios = f"{each[way] / each['check']:.2f} x check a model, {most / used['check'][1]:.2f} x in all"
        print(f"  {way:6} {1000 * each[way]:7.1f} ms a model, {start:5.2f} s to start, {most:7.2f} s in all: {ratios}")


def machine() -> float:
    """How much sooner two busy processes are done than one after the other."""
    count = [sys.executable, "-c", "for _ in range(30_000_000): pass"]
    begun = time.perf_counter()
    subprocess.run(count, check=True)
    alone = time.perf_counter() - begun
    both = [subprocess.Popen(count) for _ in range(2)]
    for process in both:
        process.wait()
    return 2 * alone / (time.perf_counter() - begun - alone)


def speed(models: int, probe: str, repeats: int, engine: str) -> None:
    """Print each pair, and the best."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    best = 0.0
    with tempfile.TemporaryDirectory() as made:
        folder = make_folder(Path(made, "models"), models)
        for repeat in range(repeats):
            room = machine()
            walls, processor = [], []
            for workers in (1, 2):
                words = ["fleet", "run", str(folder), "--store", f"{made}/store-{repeat}-{workers}", "--engine", engine]
                begun = time.perf_counter()
                processor.append(
                    processor_time([*words, "--workers", str(workers), "-q", "--isolated", "--probe", probe])
                )
                walls.append(time.perf_counter() - begun)
            best = max(best, walls[0] / walls[1])
            print(
                f"{engine}, probe {probe}, {models} models: {walls[0]:.2f} s with one worker, {walls[1]:.2f} s with two: "
                f"{walls[0] / walls[1]:.2f} x; processor time {processor[1] / processor[0]:.2f} x; two processes that count: {room:.2f} x",
                flush=True,
            )
    print(f"best {best:.2f} x (bar {SPEED})")


def memory(rows: int) -> None:
    """Print the peaks."""
    with tempfile.TemporaryDirectory() as made:
        peaks = []
        for count in (rows, 10 * rows):
            folder = Path(made, f"{count}")
            folder.mkdir()
            for i in range(count):
                first = folder / f"{i % (count // 10)}.onnx"
                if i < count // 10:
                    large = i < 3
                    make(first, i, width=1000 if large else 64, layers=INLINE // 4_000_000 if large else 3)
                elif i < count - 10 or i % 10:
                    shutil.copy(first if i % (count // 10) >= 3 else folder / "5.onnx", folder / f"{i}.onnx")
                else:
                    shutil.copy(folder / "0.onnx", folder / f"{i}.onnx")
            words = [
                "fleet",
                "run",
                str(folder),
                "--store",
                str(folder) + "-store",
                "-q",
                "--isolated",
                "--probe",
                "none",
            ]
            peaks.append(peak(words))
            print(f"{count:6} models: {peaks[-1] / 2**20:.1f} MiB")
        print(f"{peaks[1] / peaks[0]:.3f} x (bar {MEMORY})")


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "speed", "memory"))
    parser.add_argument("--models", type=int, default=200, help="without a probe; a fifth of them with")
    parser.add_argument("--engine", default="local", help="of the speed")
    parser.add_argument("--probe", choices=tuple(COST), action="append", help="default: both")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="the least time of so many counts")
    parser.add_argument("--rows", type=int, default=300)
    given = parser.parse_args()
    if given.what == "memory":
        memory(given.rows)
        return
    for probe in given.probe or list(COST):
        models = given.models if probe == "none" else given.models // 5
        if given.what == "cost":
            cost(models, probe, given.repeats)
        else:
            speed(models, probe, given.repeats, given.engine)


if __name__ == "__main__":
    main()
