"""The probe's process: whatever a model does to it, the audit gets a reason in words and no process stays behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from initaudit.errors import ProbeError, UsageError
from initaudit.frames import Frame, GarbledFrameError, read_frame, write_frame
from initaudit.memory import private_memory
from initaudit.probe import isolation, process
from initaudit.probe.isolation import MOST_KEPT_BYTES, Aborted, Child, discard_spare, prestart, run_child
from initaudit.probe.job import read_model

ROOT = Path(__file__).resolve().parents[2]
GIB = 1 << 30


def job(**options: object) -> dict:
    return {
        "path": None,
        "folder": None,
        "sha256": None,
        "plan": {"layers": [], "branches": {}},
        "options": {"seed": 0, **options},
    }


def model(nodes: list, inputs: list, output: str = "y", initializers: tuple = (), **kinds: object) -> bytes:
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], list(initializers)
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **kinds
    ).SerializeToString()


def floats(name: str, *dims: object) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(dims))


def endless() -> bytes:
    """A Loop whose condition stays true."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Tanh", ["v"], ["v2"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            floats("v", 4),
        ],
        [helper.make_tensor_value_info("c2", TensorProto.BOOL, []), floats("v2", 4)],
    )
    return model(
        [helper.make_node("Loop", ["", "true", "x"], ["y"], body=body)],
        [floats("x", 4)],
        initializers=(numpy_helper.from_array(np.array(True), "true"),),
    )


def gone(pid: int) -> bool:
    """Whether no process has this id any more."""
    for _ in range(200):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_endless_model_is_stopped_at_the_time_limit():
    """A model that never ends costs the time limit and nothing more."""
    with Child() as child:
        pid = child.pid
        with pytest.raises(ProbeError, match=r"took more than 2 s \(while \w+.*\); raise --timeout"):
            child.submit(job(), [endless()], timeout=2, max_memory=GIB)

    assert gone(pid)


def test_one_huge_tensor_is_refused_by_name():
    """A tensor larger than any memory fails at once, and the reason names the node that wanted it."""
    huge = model(
        [helper.make_node("ConstantOfShape", ["s"], ["y"], name="bomb")],
        [helper.make_tensor_value_info("s", TensorProto.INT64, [2])],
    )
    shape = np.array([1 << 20, 1 << 20], np.int64)

    with pytest.raises(ProbeError, match=r"could not get 4096\.0 GiB of memory for ConstantOfShape at node 'bomb'"):
        run_with_data({"s": shape}, huge)


def run_with_data(arrays: dict[str, np.ndarray], raw: bytes, **limits: int) -> object:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.npz")
        np.savez(path, **arrays)
        return run_child(
            job(input_data=str(path)),
            [raw],
            timeout=limits.get("timeout", 30),
            max_memory=limits.get("max_memory", GIB),
        )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the memory of another process")
def test_memory_that_grows_bit_by_bit_is_stopped_at_the_limit():
    """Many tensors, each small enough, alive at once: the process is killed at the limit, with the limit named."""
    nodes = [helper.make_node("Expand", ["x", "s"], ["e0"])]
    nodes += [helper.make_node("Tanh", [f"e{i}"], [f"e{i + 1}"]) for i in range(32)]
    nodes.append(helper.make_node("Sum", [f"e{i}" for i in range(33)], ["y"]))
    shape = numpy_helper.from_array(np.array([2048, 4096], np.int64), "s")

    with pytest.raises(
        ProbeError, match=r"needed more than 256 MiB of memory .* while making inputs; raise --max-memory"
    ):
        run_child(job(), [model(nodes, [floats("x", 1, 1)], initializers=(shape,))], timeout=60, max_memory=256 << 20)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSEGV, r"onnxruntime crashed \(SIGSEGV\) while making inputs"),
        (signal.SIGABRT, r"onnxruntime crashed \(SIGABRT\) while making inputs"),
        (signal.SIGKILL, r"was killed \(SIGKILL.* while making inputs"),
    ],
)
def test_crash_is_named_with_its_signal(number, reason):
    """A process that dies by a signal gives the name of the signal and what was being done."""
    doing: list[str] = []
    with Child() as child:

        def strike() -> None:
            for _ in range(1000):
                if doing and doing[-1] == "making inputs":
                    break
                time.sleep(0.01)
            os.kill(child.pid, number)

        threading.Thread(target=strike).start()
        with pytest.raises(ProbeError, match=reason):
            child.submit(job(), [endless()], timeout=30, max_memory=GIB, progress=doing.append)


def test_error_of_the_model_comes_back_as_its_reason():
    """What onnxruntime says about a model arrives unchanged by the way through the process."""
    raw = model([helper.make_node("Frob", ["x"], ["y"], name="n1", domain="my.ops")], [floats("x", 2)])

    with pytest.raises(ProbeError, match=r"knows no operator my\.ops\.Frob at node 'n1'"):
        run_child(job(), [raw], timeout=30, max_memory=GIB)


def test_failure_of_our_own_is_told_as_what_it_is():
    """An exception in the process itself comes back with its type and place, and is not laid to onnxruntime."""
    with pytest.raises(ProbeError, match=r"^initaudit itself failed: IndexError: .*\(job\.py, line \d+\)$"):
        run_child(job(), [], timeout=30, max_memory=GIB)


def test_option_that_does_not_fit_is_a_usage_error():
    """A shape for an input that does not exist is the user's mistake, not the model's."""
    raw = model([helper.make_node("Tanh", ["x"], ["y"])], [floats("x", "b", 3)])

    with pytest.raises(UsageError, match="no input 'z'; it has x"):
        run_child(job(input_shapes={"z": [1, 3]}), [raw], timeout=30, max_memory=GIB)


def test_nothing_is_imported_from_the_current_directory(tmp_path, monkeypatch):
    """An onnx.py that lies beside a downloaded model is not run."""
    for name in ("onnx", "numpy", "onnxruntime", "initaudit"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current directory')")
    monkeypatch.chdir(tmp_path)
    raw = model([helper.make_node("Frob", ["x"], ["y"], domain="my.ops")], [floats("x", 2)])

    with pytest.raises(ProbeError, match="knows no operator"):
        run_child(job(), [raw], timeout=60, max_memory=GIB)


def test_changed_file_is_noticed(tmp_path):
    """The numbers of the report must belong to the file that was read first."""
    path = tmp_path / "m.onnx"
    path.write_bytes(model([helper.make_node("Tanh", ["x"], ["y"])], [floats("x", 2)]))

    with pytest.raises(ProbeError, match="changed during the audit"):
        run_child({**job(), "path": str(path), "sha256": "0" * 64}, timeout=30, max_memory=GIB)


def test_what_was_measured_before_the_end_is_kept():
    """A process that dies on the way back has measured the way forward: that is returned, with what happened."""
    script = (
        f"import sys, os; sys.path.insert(0, {str(ROOT)!r})\n"
        "from initaudit.frames import Frame, write_frame\n"
        "write_frame(sys.stdout.buffer, Frame(kind='partial', body={'signals': {'a': 1}}))\n"
        "write_frame(sys.stdout.buffer, Frame(kind='progress', body='measuring gradients'))\n"
        "os.abort()\n"
    )
    with Child([sys.executable, "-c", script]) as child:
        answer = child.submit(job(), timeout=60, max_memory=GIB)

    assert answer["signals"] == {"a": 1}
    assert answer["interrupted"].startswith("onnxruntime crashed (SIGABRT) while measuring gradients")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("print('stray output of a kernel')", "unreadable answer"),
        ("import sys; sys.exit(3)", r"ended without an answer \(exit code 3\)"),
        ("raise KeyError('lost')", r"exit code 1\) while starting: KeyError: 'lost'"),
    ],
)
def test_nonsense_from_the_process_is_a_reason(script, reason):
    """Whatever the process writes or does not write, the parent has a sentence for it."""
    with Child([sys.executable, "-c", script]) as child, pytest.raises(ProbeError, match=reason):
        child.submit(job(), timeout=30, max_memory=GIB)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_its_parent(number):
    """Ctrl-C and even SIGKILL of the parent end the child, also in the middle of an endless run."""
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from tests_isolation import endless, job\n"
        "from initaudit.probe.isolation import Child\n"
        "with Child() as child:\n"
        "    print(child.pid, flush=True)\n"
        "    child.submit(job(), [endless()], timeout=60, max_memory=1 << 30, progress=lambda p: print(p, flush=True))\n"
    ).replace("tests_isolation", Path(__file__).stem)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(ROOT), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        while parent.stdout.readline().strip() != "making inputs":
            pass
        parent.send_signal(number)
        parent.wait()

    assert gone(pid)


def unknown_operator() -> bytes:
    """A model that onnxruntime refuses at once."""
    return model([helper.make_node("Frob", ["x"], ["y"], domain="my.ops")], [floats("x", 2)])


def refused() -> None:
    """Give a job to a child that answers with a reason."""
    with pytest.raises(ProbeError, match="knows no operator"):
        run_child(job(), [unknown_operator()], timeout=60, max_memory=GIB)


def idle() -> Child:
    """The one child without work."""
    ((_, child),) = isolation._idle
    return child


@pytest.fixture
def alone() -> Iterator[None]:
    """No child is there before, and none afterwards."""
    discard_spare()
    yield
    discard_spare()


def test_process_started_early_serves_one_probe_after_another(alone):
    """Its start and its imports are paid for once."""
    prestart()
    first = idle()

    refused()
    prestart()
    refused()

    assert idle() is first
    assert first.served == 2


def test_dead_process_is_replaced_and_waited_for(alone):
    """A process that was killed while it had no work costs nobody a probe, and does not stay behind as a zombie."""
    prestart()
    dead = idle().pid
    os.kill(dead, signal.SIGKILL)
    assert gone(dead)

    refused()

    assert idle().pid != dead
    assert not Path(f"/proc/{dead}").exists()


@pytest.mark.parametrize("limit", [{"timeout": 1, "max_memory": GIB}, {"timeout": 60, "max_memory": 1 << 20}])
def test_aborted_process_serves_nobody_else(alone, limit):
    """At a limit of time or memory the process is ended; the next probe has a fresh one."""
    prestart()
    first = idle().pid

    with pytest.raises(Aborted):
        run_child(job(), [endless()], **limit)

    assert isolation._idle == []
    assert not Path(f"/proc/{first}").exists()


def test_process_in_which_something_of_our_own_failed_serves_nobody_else(alone):
    """What state it is in is not known: it leaves by itself."""
    with pytest.raises(ProbeError, match="initaudit itself failed"):
        run_child(job(), [], timeout=30, max_memory=GIB)
    failed = idle().pid

    refused()

    assert idle().pid != failed


@pytest.mark.parametrize(("name", "value"), [("MOST_JOBS", 1), ("MOST_KEPT_BYTES", 1 << 20)])
def test_process_is_replaced_after_some_jobs_or_when_it_has_grown(alone, monkeypatch, name, value):
    """A leak has no time to grow, and the memory limit of a model is its own."""
    monkeypatch.setattr(isolation, name, value)
    prestart()
    first = idle().pid

    refused()
    refused()

    assert not Path(f"/proc/{first}").exists()


def test_memory_of_a_job_is_given_back(alone):
    """After a network with values of 200 MB, the process is as small as one that is kept may be."""
    nodes = [helper.make_node("Expand", ["x", "s"], ["e"]), helper.make_node("Tanh", ["e"], ["t"])]
    nodes.append(helper.make_node("Gather", ["t", "row"], ["y"]))
    shape = numpy_helper.from_array(np.array([2048, 25600], np.int64), "s")
    beyond = numpy_helper.from_array(np.array(4096, np.int64), "row")

    with pytest.raises(ProbeError, match="Gather"):
        run_child(
            job(),
            [model(nodes, [floats("x", 1, 1)], initializers=(shape, beyond))],
            timeout=60,
            max_memory=2 * GIB,
        )

    assert idle().is_ready
    assert private_memory(idle().pid) < MOST_KEPT_BYTES


def test_memory_limit_is_that_of_the_job(alone):
    """A small limit of one job does not hold for the next one in the same process."""
    raw = unknown_operator()
    for limit in (300 << 20, 8 * GIB):
        with pytest.raises(ProbeError, match="knows no operator"):
            run_child(job(), [raw], timeout=60, max_memory=limit)
    child = idle()
    assert child.is_ready

    soft = next(line for line in Path(f"/proc/{child.pid}/limits").read_text().splitlines() if "data size" in line)

    assert soft.split()[3] == "unlimited"


def test_process_that_cannot_be_started_is_a_reason(alone, monkeypatch):
    """Where the system has no process left, only the probe of the model fails."""

    def exhausted(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(process.subprocess, "Popen", exhausted)
    prestart()

    with pytest.raises(ProbeError, match="process could not be started: Resource temporarily unavailable"):
        run_child(job(), [unknown_operator()], timeout=60, max_memory=GIB)


def test_thread_that_cannot_be_started_is_a_reason_and_leaves_no_process(alone, monkeypatch):
    """A process that cannot be watched is ended."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def exhausted(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def start(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(process.subprocess, "Popen", start)
    monkeypatch.setattr(threading.Thread, "start", exhausted)

    with pytest.raises(ProbeError, match="could not be watched: can't start new thread"):
        Child()

    assert [p.returncode for p in started] == [-signal.SIGKILL]


def test_id_of_a_process_that_was_waited_for_is_never_killed(monkeypatch):
    """Another process may have it by then."""
    killed: list[int] = []
    kill = os.killpg

    def note(group: int, number: int) -> None:
        killed.append(Path(f"/proc/{group}").exists())
        kill(group, number)

    monkeypatch.setattr(os, "killpg", note)
    with Child([sys.executable, "-c", "import sys; sys.exit(3)"]) as child:
        assert gone(child.pid)
        with pytest.raises(ProbeError, match="exit code 3"):
            child.submit(job(), timeout=30, max_memory=GIB)
        child.close()

    assert killed
    assert all(killed)


def test_probe_that_is_not_wanted_any_more_is_ended(alone):
    """Whoever gives up an audit leaves no process at work."""
    stop = threading.Event()
    prestart()
    child = idle()

    def heard(doing: str) -> None:
        if doing == "making inputs":
            stop.set()

    with pytest.raises(Aborted, match="given up while making inputs"):
        run_child(job(), [endless()], timeout=60, max_memory=GIB, progress=heard, stop=stop)

    assert not Path(f"/proc/{child.pid}").exists()


def test_the_process_can_be_started_before_numpy_and_onnx_are_imported() -> None:
    script = "import sys, initaudit.probe.isolation; print({'numpy', 'onnx', 'onnxruntime'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_process_started_early_loads_the_runtime_while_it_waits():
    """onnxruntime is there before a job is: that a process is started early saves what the import takes."""
    script = "import sys; from initaudit.probe.child import preload; preload(); print('onnxruntime' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "True"


def test_process_that_nobody_needs_is_discarded(alone):
    """Where no probe follows, nothing stays behind."""
    prestart()
    spare = idle()

    discard_spare()

    assert isolation._idle == []
    assert not Path(f"/proc/{spare.pid}").exists()


def test_private_memory_is_that_of_the_process():
    """What is measured is the memory that the process itself wrote."""
    before = private_memory(os.getpid())
    block = np.ones(64 << 20, np.uint8)
    after = private_memory(os.getpid())

    if sys.platform.startswith("linux"):
        assert after - before > 0.9 * block.nbytes


def test_a_model_that_was_handed_over_is_held_by_neither_side():
    """Its bytes would add its size twice to what the probe of a drawn network takes."""
    raw = model([helper.make_node("Relu", ["x"], ["y"])], [floats("x", 1, 2)])
    sent, received = [raw], [raw]
    run_child(job(), sent, timeout=60, max_memory=GIB)
    read_model(job(), received)

    assert sent == []
    assert received == [b""]


def test_frames_survive_the_pipe():
    """Header, blobs and non-finite numbers come through; a torn or foreign stream is recognised."""
    import io

    stream = io.BytesIO()
    write_frame(stream, Frame(kind="job", body={"a": [1, float("inf")]}, blobs=[b"xyz", b""]))
    raw = stream.getvalue()

    assert read_frame(io.BytesIO(raw)) == Frame(kind="job", body={"a": [1, float("inf")]}, blobs=[b"xyz", b""])
    assert read_frame(io.BytesIO(b"")) is None
    for garbage in (raw[:-1], raw[:7], b"hello, world, this is no frame", raw[:4] + b"\xff" * 8):
        with pytest.raises(GarbledFrameError):
            read_frame(io.BytesIO(garbage))
