"""Files beside the model that other programs write: baselines, reports given to `diff`, arrays given as inputs."""

from __future__ import annotations

import copy
import functools
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.format import FormatOptions, all_formats
from initaudit.judgement.baseline import load_baseline
from initaudit.probe.inputs.data import read_data
from initaudit.report.comparison import appeared, compared, comparison, pair_reports
from initaudit.report.reading import read_report
from tests.fuzz.outcome import check_rendered
from tests.fuzz.strategies import changed, damaged, refused
from tests.networks import mlp, normal

SHARED = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
REPORT = audit(mlp([8, 16, 4], draw=normal(1.0)).SerializeToString(), Config(probe="none")).to_dict()
ENTRY = REPORT["reports"][0]
ACCEPTED = {"fingerprint": "0123", "code": "INI101", "layer": "fc0", "severity": "error"}
BASELINE = {"version": 2, "models": {"a.onnx": [ACCEPTED, ACCEPTED], "b.onnx": []}}


def archive(arrays: dict[str, np.ndarray] | np.ndarray) -> bytes:
    """An .npz or .npy file."""
    stream = io.BytesIO()
    np.savez(stream, **arrays) if isinstance(arrays, dict) else np.save(stream, arrays)
    return stream.getvalue()


ARCHIVE = archive({"x": np.ones((2, 3), np.float32), "ids": np.arange(4)})
ARRAY = archive(np.ones((2, 3), np.float32))


@SHARED
@given(document=changed(BASELINE))
def test_a_baseline_is_read_or_a_usage_error(document: Any, tmp_path: Path):
    """And what is read can be asked for a model and written again."""
    file = tmp_path / "baseline.json"
    file.write_text(json.dumps(document))

    def read() -> None:
        baseline = load_baseline(file)
        baseline.of("a.onnx")
        assert json.loads(baseline.render())["version"] == 2

    said = refused(read)

    assert said is None or "baseline.json" in said


@SHARED
@given(raw=st.one_of(damaged(json.dumps(BASELINE).encode()), st.binary(max_size=40)))
def test_a_damaged_baseline_is_a_usage_error_or_read(raw: bytes, tmp_path: Path):
    """Bytes that are no text among them."""
    file = tmp_path / "baseline.json"
    file.write_bytes(raw)

    said = refused(lambda: load_baseline(file))

    assert said is None or "baseline.json" in said


@settings(max_examples=60)
@given(document=changed(ENTRY).map(lambda entry: {**REPORT, "reports": [entry]}) | changed(REPORT))
def test_a_report_is_compared_or_a_usage_error(document: Any):
    """What `diff` reads of a report it can compare with a sound one, and show, in every format."""
    read: Any = None

    def work() -> None:
        nonlocal read
        read = read_report("report.json", json.dumps(document).encode())

    said = refused(work)

    assert said is None or "report.json" in said
    if read is None:
        return
    for before, after in ((read, REPORT), (REPORT, read)):
        compare(before, after)


def test_a_report_without_one_of_its_keys_is_compared_or_a_usage_error():
    """Each key in turn, taken away or null: what other versions write may lack any of them."""
    for place in places(REPORT):
        for lacking in (without(REPORT, place), with_null(REPORT, place)):
            read: Any = None

            def work(document: Any = lacking) -> None:
                nonlocal read
                read = read_report("report.json", json.dumps(document).encode())

            said = refused(work)

            assert said is None or "report.json" in said
            if read is not None:
                compare(read, read)


def compare(before: Any, after: Any) -> None:
    """The comparison of two reports, in every format."""
    models = [compared(b, a) for b, a in pair_reports(before["reports"], after["reports"])]
    for model in models:
        appeared(model, "warning")
    gate = {"fail_on": "error", "missed": [], "exit_code": 0}
    made = comparison(models, gate, versions=(str(before["tool"]["version"]), "1"))
    for name, form in all_formats().items():
        if form.can_compare():
            check_rendered(name, form.compare(made, FormatOptions(verbose=True)))


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path to each key, of lists in the first element."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from places(inner, (*at, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*at, 0))


def without(document: Any, place: tuple[str | int, ...]) -> Any:
    """A copy that lacks what stands there."""
    changed = copy.deepcopy(document)
    del _holder(changed, place)[place[-1]]
    return changed


def with_null(document: Any, place: tuple[str | int, ...]) -> Any:
    """A copy that has null there."""
    changed = copy.deepcopy(document)
    _holder(changed, place)[place[-1]] = None
    return changed


def _holder(document: Any, place: tuple[str | int, ...]) -> Any:
    return functools.reduce(lambda inner, key: inner[key], place[:-1], document)


@example(raw=ARRAY.replace(b"{", b"[{", 1), name="x")
@given(raw=st.one_of(damaged(ARCHIVE), damaged(ARRAY), st.binary(max_size=60)), name=st.sampled_from(["x", "ids", "z"]))
def test_arrays_for_inputs_are_read_or_a_usage_error(raw: bytes, name: str):
    """Archives, single arrays and anything else, for inputs that are in them or not."""

    def work() -> None:
        read = read_data(raw, {name: np.dtype(np.float32)}, "data.npz")
        assert read[name].dtype == np.float32

    said = refused(work)

    assert said is None or "data.npz" in said
