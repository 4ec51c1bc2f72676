"""What the probe's process does with a job: read the model, make inputs, measure.

    {"path": file or null, "folder": of external data or null, "sha256": of the file or null, "max_memory": bytes,
     "options": ProbeOptions.to_json(), "plan": Plan.to_json() with "superlinear": whether some layer grows
     faster than the input, "data": number of the blob with real inputs, absent where there is none}

with the serialised model as the first blob where `path` is null. With the key `fit`, weights are fitted to the inputs instead, see
`initaudit.probe.fit`: {"layers": fields of `Fitted`, "tensors": {name of a stored tensor: number of the blob with its new values, raw},
"first": number of the blob that `Fitted.index` counts from}; the answer is {"tensors": {name: type and raw data of what was fitted}, "refused": {layer: reason}}.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initaudit.config import DEFAULT_PROVIDER
from initaudit.errors import ModelError, ProbeError
from initaudit.probe.session import NoKernelError, external_bytes, provider

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnx import ModelProto

    from initaudit.probe.inputs import Feeds, InputOptions

DATA_HEADROOM = 512 << 20
"""Bytes of data segment beyond the memory limit: thread stacks and allocator reserves that are never touched. With numpy, onnx
and onnxruntime imported it is 70 to 120 MiB (`benchmarks/thresholds.py memory`); glibc reserves up to 64 MiB more for each
thread that allocates."""


def run_job(
    job: dict[str, Any],
    blobs: list[bytes],
    progress: Callable[[str], None],
    checkpoint: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """The measurements as a JSON value; where there is nothing to measure, the inputs and the reason under `unmeasured`.

    Args:
        job: see above.
        blobs: the model, where it has no path, which is not kept there once it is read; an .npz or .npy file, where inputs have none.
        progress: called with what is being done.
        checkpoint: called with the forward measurements before the way back is tried.

    Raises:
        ProbeError: with the reason where there are no measurements.
        UsageError: where --input-shape or --input-data does not fit the model.
    """
    if "fit" in job:
        return _fitted(job, blobs, progress)
    layers = job["plan"]["layers"]
    outside = [layer for layer in layers if not layer["in_loop"]]
    if len(outside) in (0, len(layers)):
        return _measured(job, blobs, layers, progress, checkpoint)
    try:
        return _measured(job, list(blobs), layers, progress, checkpoint)
    except ProbeError as error:
        answer = _measured(job, blobs, outside, progress, checkpoint)
        inside = {layer["name"]: f"it lies in a loop: {error}" for layer in layers if layer["in_loop"]}
        return {**answer, "skipped": {**answer["skipped"], **inside}}


def _measured(
    job: dict[str, Any],
    blobs: list[bytes],
    layers: Sequence[dict[str, Any]],
    progress: Callable[[str], None],
    checkpoint: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """The measurements of some layers of the plan. Raises as `run_job`."""
    from initaudit.model.embedding import embed
    from initaudit.probe.branches import take_branches
    from initaudit.probe.flatten import flatten
    from initaudit.probe.float16 import half_values
    from initaudit.probe.inputs import InputOptions
    from initaudit.probe.inputs.varying import varying, why_nothing_varies
    from initaudit.probe.loops import bring_out
    from initaudit.probe.measure import measure
    from initaudit.probe.plan import values_in_loops

    provider.set(job["options"].get("provider", DEFAULT_PROVIDER))
    progress("reading the model")
    model = read_model(job, blobs)
    limit_memory(job["max_memory"], external_bytes(model))
    folder = Path(job["folder"]) if job.get("folder") else None
    try:
        embed(model, folder)
    except ModelError as error:
        raise ProbeError(str(error)) from error
    progress("making inputs")
    model = flatten(model)
    take_branches(model, job["plan"]["branches"])
    bring_out(model, values_in_loops(layers))
    half = half_values(model)
    given = InputOptions.from_json(job["options"])
    if "data" in job:
        given = replace(given, data=blobs[job["data"]])
    model, feeds, notes = prepare(model, folder, given)

    varies = varying(feeds)
    inputs = [{**described, "varies": varies[described["name"]]} for described in feeds.descriptions]

    def complete(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "inputs": inputs, "notes": [*notes, *feeds.notes, *answer["notes"]]}

    if (reason := why_nothing_varies(feeds, varies)) is not None:
        return complete({"unmeasured": reason, "notes": []})

    def forward_done(answer: dict[str, Any]) -> None:
        checkpoint(complete(answer))
        progress("measuring gradients")

    progress("measuring the forward signal")
    plan = {**job["plan"], "layers": layers}
    return complete(measure(model, folder, feeds, plan, job["options"], forward_done, half=half))


def _fitted(job: dict[str, Any], blobs: list[bytes], progress: Callable[[str], None]) -> dict[str, Any]:
    """The weights of some layers, fitted to inputs. Raises as `run_job`."""
    import numpy as np

    from initaudit.probe.branches import take_branches
    from initaudit.probe.enough import enough
    from initaudit.probe.fit import Fitted, fit, put, take
    from initaudit.probe.flatten import flatten
    from initaudit.probe.inputs import InputOptions

    wanted = job["fit"]
    provider.set(job["options"].get("provider", DEFAULT_PROVIDER))
    progress("reading the model")
    model = read_model(job, blobs)
    limit_memory(job["max_memory"], external_bytes(model))
    folder = Path(job["folder"]) if job.get("folder") else None
    put(model, {name: blobs[blob] for name, blob in wanted["tensors"].items()})
    progress("making inputs")
    model = flatten(model)
    take_branches(model, job["plan"]["branches"])
    given = InputOptions.from_json(job["options"])
    if "data" in job:
        given = replace(given, data=blobs[job["data"]])
    model, feeds, _ = prepare(model, folder, given)
    layers = [Fitted.from_json(values) for values in wanted["layers"]]
    feeds = enough(model, folder, layers, feeds, given, job["options"]["timeout"])
    progress("fitting weights to inputs")
    indices = [np.frombuffer(blob, np.int64) for blob in blobs[wanted["first"] :]]
    refused = fit(model, folder, layers, feeds, indices)
    return {"tensors": take(model, layers), "refused": refused}


def prepare(model: ModelProto, folder: Path | None, options: InputOptions) -> tuple[ModelProto, Feeds, list[str]]:
    """The model as onnxruntime runs it, inputs for it, and notes on what was changed.

    The model is changed in place. Raises ProbeError or UsageError.
    """
    from initaudit.probe.adapt import adapt, lower_opset
    from initaudit.probe.flatten import flatten
    from initaudit.probe.shadow import shadow

    model, notes = adapt(flatten(model))
    for remedy in (lower_opset, shadow):
        try:
            return *_fed(model, folder, options), notes
        except NoKernelError:
            notes += remedy(model)
    return *_fed(model, folder, options), notes


def _fed(model: ModelProto, folder: Path | None, options: InputOptions) -> tuple[ModelProto, Feeds]:
    """The model with inputs for it; where its file fixes more inputs than are wanted, one that takes as many, if the graph allows."""
    from initaudit.probe.free_batch import fixed_batch, free_batch
    from initaudit.probe.inputs import make_feeds
    from initaudit.probe.inputs.feeds import DEFAULT_BATCH

    batch = fixed_batch(model)
    if batch is not None and batch > (options.batch or DEFAULT_BATCH):
        freed = free_batch(model, batch)
        try:
            feeds = make_feeds(freed, folder, options)
        except NoKernelError:
            raise
        except ProbeError:
            return model, make_feeds(model, folder, options)
        if feeds.batch_is_free:
            note = f"the file fixes its batch at {batch}; the network takes any, and was fed {feeds.batch}"
            return freed, replace(feeds, notes=[*feeds.notes, note])
    return model, make_feeds(model, folder, options)


def read_model(job: dict[str, Any], blobs: list[bytes]) -> ModelProto:
    """The model of the job, which `blobs` no longer hold then; of a file, the larger weights stay where they are (see `initaudit.model.outline`).

    Raises ProbeError where the file has changed since the parent read it.
    """
    import mmap

    from onnx import ModelProto

    from initaudit.model.outline import read_outline

    if job.get("path") is None:
        held, blobs[0] = blobs[0], b""
        return ModelProto.FromString(held)
    path = Path(job["path"])
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            if job.get("sha256") not in (None, hashlib.sha256(raw).hexdigest()):
                raise ProbeError("the file changed during the audit")
            return read_outline(raw, path.name)
    except OSError as error:
        raise ProbeError(f"the file went away during the audit: {error.strerror or error}") from error


def limit_memory(max_memory: int | None, mapped: int = 0) -> None:
    """Let allocations far beyond the limit fail at once; None lifts it for the next job.

    Maps of weight files are private and count: they are added, twice, for two sessions may be open at a time.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, highest = resource.getrlimit(resource.RLIMIT_DATA)
        limit = highest if max_memory is None else max_memory + DATA_HEADROOM + 2 * mapped
        if highest != resource.RLIM_INFINITY:
            limit = min(limit, highest)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, highest))
