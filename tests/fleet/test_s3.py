"""Models and store in an object store that speaks S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from initaudit.fleet.place import StoreError
from initaudit.fleet.plan import Shard
from initaudit.fleet.store import Store
from tests.fleet.running import fleet, planned, statuses


@pytest.fixture
def s3() -> Iterator[str]:
    """A bucket of a server of this machine."""
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name, value in (("ACCESS_KEY_ID", "any"), ("SECRET_ACCESS_KEY", "any"), ("DEFAULT_REGION", "us-east-1")):
            patch.setenv(f"AWS_{name}", value)
        S3FileSystem.clear_instance_cache()  # one of another test speaks to another server
        fsspec.filesystem("s3").mkdirs("/fleet", exist_ok=True)
        yield "s3://fleet"
        S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.usefixtures("in_process")
def test_a_bucket_is_a_source_and_a_store(s3: str, models: Path):
    """ETags tell what changed; of two that begin a run at once, one makes its record; shards share it."""
    system = fsspec.filesystem("s3")
    for name in ("a.onnx", "outside.onnx", "outside.data"):
        system.pipe_file(f"fleet/models/{name}", (models / name).read_bytes())
    store = Store(f"{s3}/store")

    first = [row for part in (1, 2) for row in fleet([f"{s3}/models"], store, shard=Shard(part=part, of=2))]
    record = store.run()
    second = fleet([f"{s3}/models/*.onnx"], store)
    system.pipe_file("fleet/models/outside.data", bytes(len((models / "outside.data").read_bytes())))
    third = fleet([f"{s3}/models/*.onnx"], Store(f"{s3}/store"))

    assert statuses(first) == {"a": "audited", "outside": "audited"}
    assert [row.path for row in first] == [f"{s3}/models/a.onnx", f"{s3}/models/outside.onnx"]
    assert not store.create_run(record)
    assert statuses(second) == {"a": "cached", "outside": "cached"}
    assert statuses(third) == {"a": "cached", "outside": "audited"}


def test_a_bucket_that_is_not_there_is_told(s3: str, models: Path):
    """As a store that cannot be written, by its name."""
    with pytest.raises(StoreError, match=r"^store s3://nowhere/store: runs/.*bucket does not exist"):
        planned([models], Store("s3://nowhere/store"))
