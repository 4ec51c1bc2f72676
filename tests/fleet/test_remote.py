"""A remote model is read where it lies, or brought here: no byte twice, in few requests, and never two versions of one object."""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import onnx
import pytest

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.errors import ExternalDataError, ModelError, UnreadableModel
from initaudit.fleet import remote_object, segments
from initaudit.fleet.remote import fetched
from tests.networks import mlp

PLENTY = 1 << 30
WIDTHS = [64, 300, 300, 300, 8]


def make(folder: Path, edit: Callable[[onnx.ModelProto], None] = lambda _: None) -> tuple[bytes, bytes]:
    """The bytes of a model, and of the file that holds its weights."""
    proto = mlp(WIDTHS)
    onnx.save(proto, folder / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    proto = onnx.load(folder / "m.onnx", load_external_data=False)
    edit(proto)
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    return proto.SerializeToString(), (folder / "m.bin").read_bytes()


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Any]:
    """A file system in memory with a model in a folder, and a file above it."""
    system = fsspec.filesystem("memory")
    model, weights = make(tmp_path)
    system.pipe({"/zoo/deep/m.onnx": model, "/zoo/deep/m.bin": weights, "/zoo/secret.bin": weights})
    yield system
    system.rm("/zoo", recursive=True)


def entry(path: Path | str) -> dict[str, Any]:
    """What the document says of a model's weights."""
    said = audit(path, Config(probe="none"), readers=1).entry()
    return {key: said[key] for key in ("layers", "findings", "verdict", "coverage")}


def locate(location: str) -> Callable[[onnx.ModelProto], None]:
    """Let all weights lie elsewhere."""

    def edit(proto: onnx.ModelProto) -> None:
        for tensor in proto.graph.initializer:
            next(entry for entry in tensor.external_data if entry.key == "location").value = location

    return edit


@pytest.mark.parametrize("in_place", [True, False])
def test_the_report_is_that_of_the_same_file_here(bucket: Any, tmp_path: Path, in_place: bool) -> None:
    """Read in place or brought here; nothing of it stays."""
    with fetched("memory://zoo/deep/m.onnx", PLENTY, in_place=in_place) as path:
        said = entry(path)
        held = sum(512 * file.stat().st_blocks for file in path.parent.iterdir())

    assert said == entry(tmp_path / "m.onnx")
    assert (held < len(bucket.cat("/zoo/deep/m.bin"))) == in_place
    assert not path.parent.exists()


@dataclass(slots=True)
class Traffic:
    """What a server sent."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path."""
    sent: int = 0
    """Bytes of the answers."""

    def __call__(self, application: Any) -> Any:
        """A WSGI application that is counted."""

        def counted(environment: Mapping[str, Any], start: Any) -> Iterator[bytes]:
            self.requests.append((environment["REQUEST_METHOD"], environment["PATH_INFO"]))
            for piece in application(environment, start):
                self.sent += len(piece)
                yield piece

        return counted


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Traffic]]:
    """A local S3: its address, and what goes over the wire."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    traffic = Traffic()
    server = make_server("127.0.0.1", 0, traffic(DomainDispatcherApplication(create_backend_app)), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", traffic
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("in_place", [True, False])
def test_an_object_store_sends_each_weight_once(
    server: tuple[str, Traffic], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    """At most 2 % more than the model has, in few requests: a look at each object, and for each segment a reading and a look."""
    address, traffic = server
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setattr(segments, "SEGMENT", 1 << 18)
    model, weights = make(tmp_path)
    system = fsspec.filesystem("s3")
    system.mkdirs("zoo", exist_ok=True)
    system.pipe({"zoo/m.onnx": model, "zoo/m.bin": weights})
    before = len(traffic.requests)
    traffic.sent = 0

    with fetched("s3://zoo/m.onnx", PLENTY, in_place=in_place) as path:
        said = entry(path)

    asked = traffic.requests[before:]
    assert said == entry(tmp_path / "m.onnx")
    assert len(weights) < traffic.sent <= 1.02 * (len(weights) + len(model))
    assert {path for _, path in asked} == {"/zoo/m.onnx", "/zoo/m.bin"}
    readings = sum(method == "GET" for method, _ in asked)
    assert readings <= 2 + len(weights) // segments.SEGMENT + sum(1 for _ in WIDTHS)
    assert len(asked) == 2 * readings + 2


@pytest.mark.parametrize("in_place", [True, False])
def test_an_object_that_changes_while_it_is_read_is_no_model(
    bucket: Any, in_place: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by its name, also where what reads it passes over the error."""
    weights = bucket.cat("/zoo/deep/m.bin")
    read = bucket.cat_file

    def rewriting(path: str, **options: Any) -> bytes:
        found: bytes = read(path, **options)
        if path.endswith("m.bin"):
            bucket.pipe("/zoo/deep/m.bin", weights)
        return found

    monkeypatch.setattr(bucket, "cat_file", rewriting)

    with (
        pytest.raises(ExternalDataError, match=r"^memory://zoo/deep/m\.bin: changed while it was read$"),
        fetched("memory://zoo/deep/m.onnx", PLENTY, in_place=in_place) as path,
        suppress(ModelError),
    ):
        audit(path, Config(probe="none"), readers=1)


def test_what_does_not_fit_is_refused_before_it_is_fetched(bucket: Any) -> None:
    """In place only as much as one tensor with its neighbours must fit."""
    size = len(bucket.cat("/zoo/deep/m.bin"))
    told: list[int] = []

    with (
        pytest.raises(ModelError, match=r"m\.onnx: larger than the .* of --max-bytes"),
        fetched("memory://zoo/deep/m.onnx", size, told.append),
    ):
        pass

    assert sum(told) < size


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has mapped")
def test_scratch_holds_what_was_used_last(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model larger than the quota is audited in place."""
    monkeypatch.setattr(segments, "SEGMENT", 1 << 12)
    model, weights = (len(bucket.cat(f"/zoo/deep/m.{suffix}")) for suffix in ("onnx", "bin"))
    largest = 300 * 300 * 4

    with fetched("memory://zoo/deep/m.onnx", model + largest, in_place=True) as path:
        said = entry(path)
        lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(path.parent) in line]
        mapped = [int(high, 16) - int(low, 16) for low, _, high in (line[0].partition("-") for line in lines)]

    assert model + largest < weights
    assert 0 < sum(mapped) <= largest + len(mapped) * mmap.PAGESIZE
    assert said == entry(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "/zoo/secret.bin", "a/../../secret.bin", "memory://zoo/secret.bin", "%2e%2e/secret.bin", ""],
)
@pytest.mark.parametrize("in_place", [True, False])
def test_nothing_outside_the_models_folder_is_asked_for(
    bucket: Any, tmp_path: Path, location: str, in_place: bool
) -> None:
    """Whatever leads out of it, or is no relative path: refused as for files, and not even looked at."""
    model, _ = make(tmp_path, locate(location))
    bucket.pipe("/zoo/deep/m.onnx", model)
    asked: list[str] = []
    info = bucket.info

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucket, "info", lambda path, **_: asked.append(path) or info(path))
        with (
            fetched("memory://zoo/deep/m.onnx", PLENTY, in_place=in_place) as path,
            pytest.raises(ModelError, match=r"not a relative path|leads outside|is missing"),
        ):
            audit(path, Config(probe="none"))

    assert all(path.startswith("/zoo/deep/") for path in asked)
    assert asked


def test_what_cannot_be_had_is_told_in_one_line(bucket: Any) -> None:
    """The object, and why."""
    with (
        pytest.raises(UnreadableModel, match=r"^memory://zoo/none\.onnx: no such object$"),
        fetched("memory://zoo/none.onnx", PLENTY),
    ):
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucket, "cat_file", lambda *_, **__: b"short")
        with (
            pytest.raises(ModelError, match=r"^memory://zoo/deep/m\.onnx: \d+ bytes were asked for, 5 came$"),
            fetched("memory://zoo/deep/m.onnx", PLENTY),
        ):
            pass


def test_a_server_that_does_not_answer_has_not_said_that_the_object_is_missing(server: tuple[str, Traffic]) -> None:
    """fsspec tells every failure over HTTP as a missing file."""
    for url, why in (("http://127.0.0.1:1/m.onnx", "Cannot connect"), (f"{server[0]}/none/m.onnx", "no such object$")):
        with pytest.raises(UnreadableModel, match=why), fetched(url, PLENTY):
            pass


def test_segments_hold_every_tensor_once() -> None:
    """Neighbours together up to a size; tensors are never cut, and what overlaps is read once."""
    parts = [range(4096 * i, 4096 * i + 100) for i in range(5000)]
    parts += [range(1 << 30, 5 << 30), range(1 << 30, 5 << 30), range((5 << 30) - 10, (5 << 30) + 10), range(7, 7)]

    found = list(segments.segments(parts))

    assert all(any(s.start <= p.start and p.stop <= s.stop for s in found) for p in parts if p)
    assert all(a.stop <= b.start for a, b in pairwise(found))
    assert found[-1] == range(1 << 30, (5 << 30) + 10)
    assert all(len(s) <= segments.SEGMENT for s in found[:-1])
    assert len(found) < 5


def test_pieces_are_of_a_bounded_size(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a tensor is."""
    monkeypatch.setattr(remote_object, "PIECE", 1000)
    found = remote_object.RemoteObject.find("memory://zoo/deep/m.bin", bucket, "/zoo/deep/m.bin")

    pieces = list(found.pieces(range(500, 5200)))

    assert [len(piece) for piece in pieces] == [1000, 1000, 1000, 1000, 700]
    assert b"".join(pieces) == bucket.cat("/zoo/deep/m.bin")[500:5200]
