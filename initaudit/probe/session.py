"""Open an onnxruntime session on a model held in memory, and say in words why one cannot be opened or run.

Weights in external files are never copied. The model goes to onnxruntime as bytes, its external references unchanged,
with `session.model_external_initializers_file_folder_path` naming the folder of the file: onnxruntime then maps the
data files itself. Measured, 512 MiB in eight matrices: 66 MiB resident after loading and 31 MiB of private memory after
a run without pre-packing; with pre-packing 578 MiB, and 1090 MiB when the values are handed over as OrtValues of a
numpy memory map (`add_external_initializers` copies them). Nothing is written anywhere.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from initaudit.config import DEFAULT_PROVIDER
from initaudit.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import onnxruntime
    from onnx import ModelProto

LARGE_WEIGHTS = 64 << 20
"""Above this many bytes of external weights onnxruntime may not re-pack them: the copy would double the memory, and a
probe runs each weight too few times to earn it back."""

THREADS = 2
"""Of a session, on any machine: how onnxruntime divides a product, a reduction or an activation among threads decides about the last bits of the
result, and with them about later digits."""

provider: ContextVar[str] = ContextVar("provider", default=DEFAULT_PROVIDER)
"""The execution provider of every session; nodes that it has no kernel for run on the CPU."""


class NoKernelError(ProbeError):
    """The CPU provider has no kernel for an operator with these element types; a float32 shadow may run."""


LONGEST = 4000
"""Characters of a message of onnxruntime that are looked through: names in it come from the file, and patterns take time in proportion to the
square. A judgement: the longest with a real name have some 600."""


def open_session(
    model: ModelProto, folder: Path | None, options: onnxruntime.SessionOptions | None = None
) -> onnxruntime.InferenceSession:
    """A session of `provider` on `model`, whose external data lies in `folder`.

    Raises NoKernelError or ProbeError with a reason that names operator and node, or the provider that does not start.
    """
    import onnxruntime

    options = options or quiet_options()
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        if not packs_weights(model):
            options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        raw = model.SerializeToString()
    except ValueError as error:
        raise ProbeError("the model with its weights exceeds the 2 GiB that protobuf can hold") from error
    wanted = provider.get()
    try:
        session = onnxruntime.InferenceSession(raw, options, providers=list(dict.fromkeys((wanted, DEFAULT_PROVIDER))))
    except Exception as error:
        raise load_error(error, model) from error
    if wanted not in session.get_providers():  # onnxruntime goes on without it
        raise ProbeError(f"onnxruntime could not start {wanted}")
    return session


def quiet_options(threads: int = THREADS) -> onnxruntime.SessionOptions:
    """Options with basic optimisation and nothing but fatal messages on stderr.

    Idle threads sleep instead of spinning. Measured beside other work on two cores, a ResNet of 11 million parameters:
    the probe took 9.4 s instead of 13.3 s, and 2.1 s of CPU time instead of 3.9 s.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    return options


def trial_options() -> onnxruntime.SessionOptions:
    """Options for a session that runs a few times: without optimisation, which would cost more than it saves.

    Measured: opening a BERT graph of 1,900 nodes takes 0.28 s of CPU time instead of 0.59 s with basic optimisation.
    """
    import onnxruntime

    options = quiet_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def packs_weights(model: ModelProto) -> bool:
    """Whether onnxruntime may re-pack the weights, upon which the last bits of what it computes may depend."""
    return external_bytes(model) <= LARGE_WEIGHTS


def external_bytes(model: ModelProto) -> int:
    """Bytes of initializers that lie in external files, as the model declares them."""
    return sum(
        int(entry.value)
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "length" and entry.value.isdigit()
    )


def run_session(
    session: onnxruntime.InferenceSession, outputs: Sequence[str] | None, arrays: Mapping[str, np.ndarray]
) -> list[Any]:
    """Outputs of one run, all of them for None. Raises ProbeError with a reason that names operator and node."""
    try:
        found = list(session.run(outputs, dict(arrays)))
        return found if outputs is None else found[: len(outputs)]  # an empty list onnxruntime takes for all of them
    except Exception as error:
        raise run_error(error) from error


def load_error(error: Exception, model: ModelProto) -> ProbeError:
    """Why onnxruntime does not load `model`, in words."""
    text = " ".join(str(error)[:LONGEST].split())
    if found := re.search(r"Could not find an implementation for (\S+)\((\d+)\) node with name '([^']*)'", text):
        return NoKernelError(f"onnxruntime has no CPU kernel for {found[1]} (opset {found[2]}){_node(found[3])}")
    if found := re.search(
        r"Type Error: Type '?\(?tensor\((\S+?)\)'?\)? of (?:input|output).*?(?:operator \((\w+)\) in )?node \(([^)]*)",
        text,
    ):
        operator = f"{found[2]} " if found[2] else "an operator "
        return NoKernelError(f"onnxruntime does not define {operator}for {found[1]}{_node(found[3])}")
    if found := re.search(r'In Node, \("([^"]*)", ([^,]+), "([^"]*)", [^)]*\) :.*?(Error .*)', text):
        operator = f"{found[3]}.{found[2]}" if found[3] else found[2]
        if "No Op registered" in found[4] or "No opset import" in found[4]:
            version = re.search(r"domain_version of (\d+)", found[4])
            opset = f" in opset {version[1]}" if version else ""
            return ProbeError(f"onnxruntime knows no operator {operator}{opset}{_node(found[1])}")
        return ProbeError(f"onnxruntime refuses {operator}{_node(found[1])}: {found[4].removeprefix('Error ')}")
    if found := re.search(r"Fatal error: (\S+?)\(-?\d+\) is not a registered function/op", text):
        domain, _, operator = found[1].rpartition(":")
        node = next((n.name for n in model.graph.node if n.op_type == operator and n.domain == domain), "")
        return ProbeError(
            f"onnxruntime knows no operator {operator} of domain {domain!r}{_node(node)}: a custom operator needs its library"
        )
    if found := re.search(r"Opset (\d+) is under development.*domain (\S+) is till opset (\d+)", text):
        return ProbeError(f"the model uses opset {found[1]} of {found[2]}, onnxruntime knows up to {found[3]}")
    if found := re.search(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)", text):
        return ProbeError(f"the model has IR version {found[1]}, onnxruntime knows up to {found[2]}")
    return ProbeError(f"onnxruntime does not load the model: {_plain(text)}")


def run_error(error: Exception) -> ProbeError:
    """Why a run failed, in words."""
    text = " ".join(str(error)[:LONGEST].split())
    if found := re.search(
        r"(?:while running (\S+) node\. Name:'([^']*)'.*)?Failed to allocate memory for requested buffer of size (\d+)",
        text,
    ):
        where = f" for {found[1]}{_node(found[2])}" if found[1] else ""
        return ProbeError(f"onnxruntime could not get {int(found[3]) / 2**30:.1f} GiB of memory{where}")
    if found := re.search(r"while running (\S+) node\. Name:'([^']*)' Status Message: (.*)", text):
        return ProbeError(f"onnxruntime fails in {found[1]}{_node(found[2])}: {_plain(found[3])}")
    return ProbeError(f"onnxruntime fails: {_plain(text)}")


def _node(name: str) -> str:
    return f" at node {name!r}" if name else ""


def _plain(text: str) -> str:
    """The message without the source position and signature that onnxruntime puts in front."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"^Load model from .*? failed:\s*", "", text)
    text = re.sub(r"(?:/\S*?)?[\w/.]+\.(?:cc|h):\d+ (?:[\w:*&<>~ ,]+?\([^()]*\)(?: const)? )?", "", text)
    return text[:300].strip()
