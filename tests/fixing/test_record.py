"""What a fix did is recorded in the model, and told by everything that reads it."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import initaudit
from initaudit.cli import run
from initaudit.fixing.record import add_fix, write_record
from initaudit.model.digest import digest
from initaudit.model.record import KEY, Fix, FixedLayer, FixedTensor, read_record
from tests.networks import mlp, save

LAYER = FixedLayer(
    layer="/fc0/Gemm", initializer="fc0.weight", scheme="he", rung=None, reason="INI101", std=0.1, bias=None
)
FIX = Fix(
    version="0.1.0",
    scheme="auto",
    mode="resample",
    seed=7,
    source="ab",
    layers=(LAYER,),
    tensors=(FixedTensor(name="fc0.weight", before="aa", after="bb"),),
)
TOLD = "Fixed by initaudit 0.1.0: 1 layer (scheme auto, resample, seed 7)"
HOSTILE = '{"v":1,"fixes":"</script><script>owned=1</script>\\u001b[31m"}'


def recorded(folder: Path, text: str | None = None) -> str:
    """A model with this record."""
    proto = mlp([16, 8])
    if text is None:
        add_fix(proto, FIX)
    else:
        proto.metadata_props.add(key=KEY, value=text)
    return save(proto, folder / "m.onnx")


def told(path: str, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What text, JSON, HTML and both forms of `inspect` say of a model."""
    out = []
    check = ("check", "--isolated", "--probe", "none", "--exit-zero", "-q", path, "--output-format")
    for command in (
        (*check, "text"),
        (*check, "json"),
        (*check, "html"),
        ("inspect", path),
        ("inspect", path, "--output-format", "json"),
    ):
        capfd.readouterr()
        assert run(list(command)) == 0
        out.append(" ".join(capfd.readouterr().out.split()))
    return out


def test_every_reader_tells_of_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Text and page in a sentence, JSON whole."""
    text, document, page, layers, listed = told(recorded(tmp_path), capfd)

    assert TOLD in text
    assert TOLD in page
    assert TOLD in layers
    for record in (json.loads(document)["reports"][0]["model"]["record"], json.loads(listed)["record"]):
        assert record["problem"] is None
        assert record["fixes"][0]["seed"] == 7
        assert record["fixes"][0]["layers"][0]["initializer"] == "fc0.weight"
        assert record["fixes"][0]["tensors"] == 1


def test_every_reader_says_that_it_cannot_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """And shows nothing of what stands there."""
    text, document, page, layers, listed = told(recorded(tmp_path, HOSTILE), capfd)

    for out in (text, document, page, layers, listed):
        assert "'fixes' is no list" in html.unescape(out)
        assert "owned" not in out


def test_a_model_without_a_record_has_none(tmp_path: Path) -> None:
    """The key is there all the same."""
    report = initaudit.audit(save(mlp([16, 8]), tmp_path / "m.onnx"), probe="none")

    assert report.to_dict()["reports"][0]["model"]["record"] is None


def test_other_metadata_stays(tmp_path: Path) -> None:
    """One key is the record's; a second fix is added to it, and without any it goes."""
    proto = mlp([16, 8])
    proto.metadata_props.add(key="author", value="somebody")

    add_fix(proto, FIX)
    add_fix(proto, FIX)
    record = read_record(proto)

    assert record is not None
    assert record.fixes == (FIX, FIX)
    assert [entry.key for entry in proto.metadata_props] == ["author", KEY]

    write_record(proto, ())

    assert [entry.key for entry in proto.metadata_props] == ["author"]


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float16, onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)]
)
def test_a_digest_is_of_the_bytes_that_onnx_stores(dtype: type) -> None:
    """Whatever the layout in memory; no two values share one."""
    values = np.arange(12, dtype=np.float32).reshape(3, 4).astype(dtype)

    assert digest(values) == digest(np.asfortranarray(values))
    assert digest(values) != digest(values.T)
    assert digest(values) != digest(values + values.dtype.type(1))


def test_a_training_that_would_draw_the_old_way_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where the part for training draws a weight that was fixed; of others nothing is said."""
    proto = mlp([64, 64, 8], change={"fc0.weight": np.zeros_like})
    for name in ("fc0.weight", "fc1.weight"):
        proto.training_info.add().initialization_binding.add(key=name, value="drawn")
    path = save(proto, tmp_path / "m.onnx")

    assert (
        run(["fix", "--isolated", "--probe", "none", "--context", "fresh", path, "-o", str(tmp_path / "o.onnx")]) == 0
    )

    assert "note: the training_info of the model draws fc0.weight the old way" in capfd.readouterr().out
